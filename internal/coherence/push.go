package coherence

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/cachekeys"
	"sidecar/internal/redisconn"
)

// Times of the pushes.
const (
	// echoBound is how long ago the newest echo that came back may have been sent: for so long a
	// process that is frozen or cut off may answer old entries from memory.
	echoBound = 500 * time.Millisecond
	echoEvery = echoBound / 4
	// idleAfter is when nobody wants memory any more, and echoes are no longer sent.
	idleAfter   = 3 * time.Second
	resubscribe = 200 * time.Millisecond
	maxUnechoed = 64
	// without any message, although echoes are sent: the subscription is taken for dead
	pushPatience = 2 * time.Second
)

// The kinds of messages, by their first byte. It is followed by
//
//	'i'  an invalidation: how many slots (2 bytes), the slots (2 bytes each), then digests of
//	     rules in base64
//	'e'  an echo: the process (10 bytes), which one (8 bytes)
const (
	invalidated = 'i'
	echoed      = 'e'
)

// message is the push of an invalidation; "" for no tags. The script appends the digests of rules.
func message(tags []cachekeys.Digest) string {
	if len(tags) == 0 {
		return ""
	}
	b := make([]byte, 0, 3+2*len(tags))
	b = append(b, invalidated)
	b = binary.BigEndian.AppendUint16(b, uint16(len(tags)))
	for _, t := range tags {
		b = binary.BigEndian.AppendUint16(b, slotOf(t))
	}
	return string(b)
}

const digestText = 22 // bytes of a digest in base64

// hear takes a push of another process, or one of our own. A push that cannot be read invalidates
// everything.
func (h *invalidationLog) hear(b []byte) {
	n := 0
	if len(b) >= 3 {
		n = int(binary.BigEndian.Uint16(b[1:]))
	}
	if len(b) < 3+2*n || (len(b)-3-2*n)%digestText != 0 {
		h.raiseAll()
		return
	}
	now := h.counter.Add(1)
	for i := range n {
		h.set(binary.BigEndian.Uint16(b[3+2*i:]), now)
	}
	for rest := b[3+2*n:]; len(rest) > 0; rest = rest[digestText:] {
		if d, ok := cachekeys.ParseDigest(string(rest[:digestText])); ok {
			h.set(slotOf(d), now)
		}
	}
}

// A listener hears the invalidations of other processes, and knows by its own echo whether it has
// caught up: an echo comes back behind all that was published before it. It listens from the
// first time on that somebody wants to answer from memory.
type listener struct {
	conn          *redisconn.Conn
	channel       string
	invalidations *invalidationLog
	tokens        *Tokens
	log           *slog.Logger
	always        bool // answer from memory without an echo; only with Guards.NoOwnEcho

	wanted atomic.Int64  // when memory was last wanted, in nanoseconds since start
	wake   chan struct{} // has a value when it is wanted and nothing is known
	start  time.Time
	// when the newest echo that came back was sent, since start; 0: none since the last
	// subscription
	caught atomic.Int64
	fault  atomic.Pointer[string]

	mu   sync.Mutex
	sent map[uint64]time.Duration // echoes that have not come back
	last uint64
}

func newListener(conn *redisconn.Conn, channel string, h *invalidationLog, tokens *Tokens,
	log *slog.Logger) *listener {
	return &listener{conn: conn, channel: channel, invalidations: h, tokens: tokens, log: log,
		wake: make(chan struct{}, 1), start: time.Now().Add(-time.Hour),
		sent: map[uint64]time.Duration{}}
}

// current reports whether everything that was invalidated up to echoBound ago has been heard of.
func (l *listener) current() bool {
	now := time.Since(l.start)
	l.wanted.Store(int64(now))
	caught := l.caught.Load()
	if l.always || caught != 0 && now-time.Duration(caught) < echoBound {
		return true
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return false
}

// run listens from when it is first wanted, until ctx is done.
func (l *listener) run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-l.wake:
	}
	var beating sync.WaitGroup
	beating.Go(func() { l.beat(ctx) })
	defer beating.Wait()
	for ctx.Err() == nil {
		err := l.listen(ctx)
		l.caught.Store(0)
		l.failed(ctx, err)
		select {
		case <-ctx.Done():
		case <-time.After(resubscribe):
		}
	}
}

// failed remembers and logs why nothing is heard, each reason once.
func (l *listener) failed(ctx context.Context, err error) {
	if ctx.Err() != nil || err == nil {
		return
	}
	text := err.Error()
	if before := l.fault.Swap(&text); before == nil || *before != text {
		l.log.Warn("invalidations of other sidecars are not heard: nothing is answered from memory",
			"error", err)
	}
}

// listen is one subscription, until it breaks.
func (l *listener) listen(ctx context.Context) error {
	sub := subscribe(ctx, l.conn.Client(), l.channel)
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })()
	defer sub.Close()
	for quiet := time.Now(); ; {
		got, err := sub.ReceiveTimeout(ctx, pushPatience)
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() &&
			ctx.Err() == nil {
			if l.unanswered() && time.Since(quiet) > pushPatience {
				return errors.New("the subscription is dead: echoes do not come back")
			}
			continue
		}
		if err != nil {
			return err
		}
		quiet = time.Now()
		switch m := got.(type) {
		case *redis.Subscription:
			l.invalidations.raiseAll() // earlier messages are lost
			l.forgetEchoes()
			l.fault.Store(nil)
			l.echo(ctx)
		case *redis.Message:
			l.take([]byte(m.Payload))
		}
	}
}

func (l *listener) take(b []byte) {
	switch {
	case len(b) > 0 && b[0] == invalidated:
		l.invalidations.hear(b)
	case len(b) == 1+len(l.tokens.process)+8 && b[0] == echoed:
		if [10]byte(b[1:11]) == l.tokens.process {
			l.cameBack(binary.BigEndian.Uint64(b[11:]))
		}
	default:
		l.invalidations.raiseAll() // a stranger's, or a later version's
	}
}

// beat sends echoes while memory is wanted, until ctx is done.
func (l *listener) beat(ctx context.Context) {
	tick := time.NewTicker(echoEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		case <-tick.C:
			if time.Since(l.start)-time.Duration(l.wanted.Load()) > idleAfter {
				continue
			}
		}
		l.echo(ctx)
	}
}

func (l *listener) echo(ctx context.Context) {
	l.mu.Lock()
	if len(l.sent) >= maxUnechoed {
		clear(l.sent)
	}
	l.last++
	n := l.last
	l.sent[n] = time.Since(l.start)
	l.mu.Unlock()
	b := append([]byte{echoed}, l.tokens.process[:]...)
	b = binary.BigEndian.AppendUint64(b, n)
	ctx, cancel := context.WithTimeout(ctx, echoBound)
	defer cancel()
	_ = l.conn.Do(ctx, nil, "echo", func(ctx context.Context, c redis.UniversalClient) error {
		err := publish(ctx, c, l.channel, b)
		// an ACL: it says nothing against the cache. An outage is reported elsewhere.
		if _, reply := errors.AsType[redis.Error](err); reply {
			l.failed(ctx, err)
			return nil
		}
		return err
	})
}

// cameBack notes that everything published before echo n has been heard of.
func (l *listener) cameBack(n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sent, ok := l.sent[n]
	if !ok {
		return
	}
	for m := range l.sent {
		if m <= n {
			delete(l.sent, m)
		}
	}
	if int64(sent) > l.caught.Load() {
		l.caught.Store(int64(sent))
	}
}

func (l *listener) forgetEchoes() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.sent)
}

// unanswered reports whether echoes are out.
func (l *listener) unanswered() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sent) > 0
}

// Current reports whether answers may be given from memory: all that other processes invalidated
// until half a second ago has been heard of. Asking also says that somebody wants to know.
func (k *Keyspace) Current() bool { return k.listener.current() }

// PushFault says why other processes' invalidations are not heard; "" if they are, or if nobody
// wants to know.
func (k *Keyspace) PushFault() string {
	if text := k.listener.fault.Load(); text != nil {
		return *text
	}
	return ""
}
