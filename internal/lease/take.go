package lease

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/internal/redisconn"
)

// Take asks Redis for a lease, within b. The State of the returned lease tells the outcome. After
// an error it is None; if Redis has given the lease all the same, it runs out after its term.
func (l *Leases) Take(ctx context.Context, b *redisconn.Budget, r Request,
	note string) (*Lease, error) {
	taken := l.New(r)
	return taken, taken.Retry(ctx, b, note)
}

// Retry asks Redis once more for a lease that was found Elsewhere. One that was handed over to l
// meanwhile stays.
func (l *Lease) Retry(ctx context.Context, b *redisconn.Budget, note string) error {
	return l.leases.conn.Do(ctx, b, "lease",
		func(ctx context.Context, c redis.UniversalClient) error {
			answers, err := redisconn.Run(ctx, c, []redisconn.Call{l.Call(nil, note)})
			if err == nil {
				l.Answer(answers[0])
			}
			return err
		})
}

// Call is the script call that takes l, for a pipeline of the caller's, which passes Redis's
// answer to Answer. The digest of note is left with the lease. With witnesses it is the digest of
// their values, one after the other, which the script reads when it runs; nothing is taken where
// one is absent. In Cluster witnesses lie on the lease's slot.
func (l *Lease) Call(witnesses []string, note string) redisconn.Call {
	l.leases.mu.Lock()
	defer l.leases.mu.Unlock()
	l.sent = time.Now()
	keys, counted := []string{l.request.Key}, 0
	if l.request.Counter != "" {
		keys, counted = append(keys, l.request.Counter), 1
	}
	digest := sha1.Sum([]byte(note))
	return redisconn.Call{Script: takeScript, Keys: append(keys, witnesses...), Args: []any{
		l.holder, hex.EncodeToString(digest[:]), l.leases.term.Milliseconds(), counted,
		fenceTTL.Milliseconds(),
	}}
}

// Answer takes Redis's answer to Call.
func (l *Lease) Answer(v any) {
	fields, _ := v.([]any)
	if len(fields) == 0 {
		return
	}
	l.leases.mu.Lock()
	defer l.leases.mu.Unlock()
	if l.holds() {
		return
	}
	switch fields[0] {
	case "held":
		l.state, l.until = Held, l.sent.Add(l.leases.term)
		if len(fields) > 1 {
			text, _ := fields[1].(string)
			l.fence, _ = strconv.ParseUint(text, 10, 64)
		}
	case "same":
		l.state, l.same = Elsewhere, true
	case "other":
		l.state, l.same = Elsewhere, false
	}
}
