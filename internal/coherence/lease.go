package coherence

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// leaseTime is how long a lease lasts unless it is renewed: how long others wait in vain for a sidecar that was killed.
const leaseTime = 2 * time.Second

// A Turn says who fetches an answer that several processes miss at the same time.
type Turn int

// The turns.
const (
	Fetch Turn = iota // for oneself: others fetch with other tokens, or nobody was asked
	Lead              // this process holds the lease, others wait for it
	Wait              // another process fetches with the very same tokens: its answer is as young as ours would be
)

// A lease is the right to fetch for all.
type lease struct {
	key    string // "": there is none
	holder Token
	proof  int // how many tags, from the first on, prove that an answer is young enough for others
}

func parseTurn(v any) Turn {
	switch v {
	case "o":
		return Lead
	case "w":
		return Wait
	}
	return Fetch
}

func (k *Keyspace) takeLease(ctx context.Context, c redis.UniversalClient, l lease, marks []Mark) (Turn, error) {
	if !allOpen(marks) {
		return Fetch, nil
	}
	answers, err := run(ctx, c, []call{{leaseScript, []string{l.key}, []any{l.holder[:], proofOf(marks), leaseTime.Milliseconds()}}})
	if err != nil {
		return Fetch, err
	}
	return parseTurn(answers[0]), nil
}

// RenewLease lengthens the lease of o, which leads. It reports whether it is still ours.
func (k *Keyspace) RenewLease(ctx context.Context, o *Opened) bool {
	return k.renewLease(ctx, o, leaseTime)
}

// TakeOver makes o the one that leads, with the lease that from has. Both are of one process, and opened the same tokens.
func (o *Opened) TakeOver(from *Opened) {
	o.lease, o.Turn, from.Turn = from.lease, Lead, Fetch
}

// GiveBack gives the lease of o back, if it is ours: those who wait look again, and fetch where nothing was stored.
func (k *Keyspace) GiveBack(ctx context.Context, o *Opened) {
	if o.Turn == Lead {
		k.renewLease(ctx, o, 0)
	}
}

func (k *Keyspace) renewLease(ctx context.Context, o *Opened, d time.Duration) bool {
	ours := false
	_ = k.conn.Do(ctx, nil, "lease", func(ctx context.Context, c redis.UniversalClient) error {
		answers, err := run(ctx, c, []call{{renewScript, []string{o.lease.key}, []any{o.lease.holder[:], d.Milliseconds()}}})
		ours = err == nil && answers[0] == int64(1)
		return err
	})
	return ours
}

// LeaseKey is the key of the lease that o asked for; "" if it asked for none. Where it is gone, nobody fetches any more.
func (o *Opened) LeaseKey() string { return o.lease.key }

// RenewEvery is how often a lease has to be renewed.
const RenewEvery = leaseTime / 3
