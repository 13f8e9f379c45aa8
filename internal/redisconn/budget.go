package redisconn

import (
	"context"
	"sync/atomic"
	"time"
)

// A Budget is the time that all Redis operations of one request together may take, dialling
// included. A nil Budget bounds nothing. It is safe for concurrent use; the time of concurrent
// operations is added up.
type Budget struct {
	left atomic.Int64 // nanoseconds
}

// Budget returns a budget of d.
func (c *Conn) Budget(d time.Duration) *Budget {
	b := new(Budget)
	b.left.Store(int64(d))
	return b
}

// Left is the time that is left; never negative.
func (b *Budget) Left() time.Duration { return max(0, time.Duration(b.left.Load())) }

// Bound returns a context that ends with the rest of b, for a wait that costs Redis nothing.
func (b *Budget) Bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if b == nil {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, b.Left())
}

func (b *Budget) bound(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if b != nil && b.Left() == 0 {
		return nil, nil, ErrBudget
	}
	bounded, cancel := b.Bound(ctx)
	return bounded, cancel, nil
}

func (b *Budget) spend(d time.Duration) {
	if b != nil {
		b.left.Add(-int64(d))
	}
}
