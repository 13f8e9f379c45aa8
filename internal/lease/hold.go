package lease

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/internal/redisconn"
)

// Renew lengthens the lease by its term from now on, and reports whether it is held. Redis refuses
// that when the lease has run out or is another's. If Redis does not answer, the lease is held
// until it would have run out.
func (l *Lease) Renew(ctx context.Context) bool {
	holder, ok := l.held()
	if !ok {
		return false
	}
	sent := time.Now()
	ours, err := l.renew(ctx, holder, l.leases.term)
	l.leases.mu.Lock()
	defer l.leases.mu.Unlock()
	switch {
	case err != nil || !l.holds():
	case ours:
		l.until = sent.Add(l.leases.term)
	default:
		l.state = None
	}
	return l.holds()
}

// Keep renews the lease while it is held here, until ctx is done. It returns once the lease is
// given back, lost, or handed over to another user. A lease that may still be handed over to this
// one is waited for.
func (l *Lease) Keep(ctx context.Context) {
	every := l.leases.term / 3
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		switch l.State() {
		case None:
			return
		case Held:
			bounded, cancel := context.WithTimeout(ctx, every)
			l.Renew(bounded)
			cancel()
		}
	}
}

// Release gives the lease back: another process can take it at once. It does so for its holder
// alone, and does nothing for a lease that is not held here, or a nil one. Nothing is handed over
// to l any more. Without Redis the lease runs out by itself.
func (l *Lease) Release(ctx context.Context) {
	if holder, ok := l.end(); ok {
		_, _ = l.renew(ctx, holder, 0)
	}
}

// ReleaseIn is Release as a part of a pipeline of the caller's.
func (l *Lease) ReleaseIn(ctx context.Context, pipe redis.Pipeliner) {
	if holder, ok := l.end(); ok {
		// the text: a pipeline cannot be sent again
		renewScript.Eval(ctx, pipe, []string{l.request.Key}, holder, 0)
	}
}

// end makes l none. ok reports whether it was held, and is to be given back for holder.
func (l *Lease) end() (holder string, ok bool) {
	if l == nil {
		return "", false
	}
	l.leases.mu.Lock()
	defer l.leases.mu.Unlock()
	ok, l.state = l.state == Held, None
	return l.holder, ok
}

func (l *Lease) held() (holder string, ok bool) {
	l.leases.mu.Lock()
	defer l.leases.mu.Unlock()
	return l.holder, l.holds()
}

func (l *Lease) renew(ctx context.Context, holder string,
	term time.Duration) (ours bool, err error) {
	err = l.leases.conn.Do(ctx, nil, "lease",
		func(ctx context.Context, c redis.UniversalClient) error {
			answers, err := redisconn.Run(ctx, c,
				[]redisconn.Call{
					{Script: renewScript, Keys: []string{l.request.Key},
						Args: []any{holder, term.Milliseconds()}},
				})
			ours = err == nil && answers[0] == int64(1)
			return err
		})
	return ours, err
}
