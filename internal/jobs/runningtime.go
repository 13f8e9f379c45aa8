package jobs

import (
	"context"
	"time"
)

// frozenGap is a pause between two ticks that no busy machine makes: the process was frozen.
const frozenGap = 2 * time.Second

// withRunningTime returns a context that ends, by DeadlineExceeded as its cause, when this process
// has been running for d. Time for which it was frozen does not count: the backend may have
// answered long ago, and nobody has read it.
func withRunningTime(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		tick := min(max(d/10, time.Millisecond), time.Second)
		for left := d; left > 0; {
			before := time.Now()
			select {
			case <-ctx.Done():
				return
			case <-time.After(min(tick, left)):
			}
			left -= ran(tick, time.Since(before))
		}
		cancel(context.DeadlineExceeded)
	}()
	return ctx, func() { cancel(nil) }
}

// ran is how much of the time that a tick took this process ran.
func ran(tick, took time.Duration) time.Duration {
	if took >= tick+frozenGap {
		return 0
	}
	return took
}
