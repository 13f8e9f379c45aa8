package store

import (
	"sync/atomic"
	"testing"
)

func TestTasksMayBeginWhileTheyAreWaitedFor(t *testing.T) {
	t.Parallel()
	var all tasks
	select {
	case <-all.Ended():
	default:
		t.Error("there are none, and they are waited for")
	}
	var begun atomic.Int64
	hold := make(chan struct{})
	all.Go(func() { <-hold })
	ended := all.Ended()
	for range 100 {
		all.Go(func() { begun.Add(1) })
	}
	select {
	case <-ended:
		t.Error("one still runs")
	default:
	}
	close(hold)
	<-ended
	<-all.Ended()
	if begun.Load() != 100 {
		t.Errorf("%d of 100 have ended", begun.Load())
	}
}
