package proc

import (
	"sync/atomic"
	"testing"
	"time"
)

// lateTick is how long Late's goroutine means to sleep.
const lateTick = 10 * time.Millisecond

// Late adds up the times for which the machine does not run a goroutine that is ready. The function
// that it returns tells the sum since the call. A test subtracts it from a time that it
// bounds, so that the bound is for the program and not for its neighbours.
func Late(t testing.TB) (late func() time.Duration) {
	var sum atomic.Int64
	ended := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			began := time.Now()
			select {
			case <-ended:
				return
			case <-time.After(lateTick):
				sum.Add(int64(max(0, time.Since(began)-lateTick)))
			}
		}
	}()
	t.Cleanup(func() { close(ended); <-done })
	return func() time.Duration { return time.Duration(sum.Load()) }
}
