package store_test

import (
	"context"
	"testing"
	"time"

	"sidecar/internal/reason"
	"sidecar/internal/store"
)

// heldQuery is query for a route that may answer from memory.
func heldQuery(path string) (q store.Query) {
	q = query(path, nil)
	q.Memory = time.Hour
	return q
}

// listening runs the keyspace, and waits until it has heard itself: only then does memory answer.
func (w *world) listening() *world {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { // ends with the test
		defer close(ended)
		w.keyspace.Run(ctx)
	}()
	w.t.Cleanup(func() { cancel(); <-ended })
	w.await("the process hears its own heartbeat", w.keyspace.Current)
	return w
}

func (w *world) await(what string, holds func() bool) {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("in vain: %s", what)
		}
	}
}

func TestMemoryAnswersUntilAnotherProcessInvalidates(t *testing.T) {
	w := newWorld(t).listening()
	other := another(t, w.redis)
	q := heldQuery("/1")
	if why := w.keep(w.begin(q), answer("held"), noNames); why != "" {
		t.Fatal(why)
	}
	if found := w.lookup(q); found.Entry == nil || !found.Memory {
		t.Fatalf("%+v", found)
	}
	unheld := q
	unheld.Memory = 0
	if found := w.lookup(unheld); found.Entry == nil || found.Memory {
		t.Errorf("a route without memory: %+v", found)
	}
	other.invalidate(tag)
	w.await("the invalidation is heard", func() bool { return w.lookup(q).Entry == nil })
	if found := w.lookup(q); found.Why != reason.Invalidated || found.Memory {
		t.Errorf("%+v", found)
	}
}

func TestADroppedEntryIsFoundNeitherInMemoryNorInRedis(t *testing.T) {
	w := newWorld(t).listening()
	q := heldQuery("/1")
	w.keep(w.begin(q), answer("dropped"), noNames)
	found := w.lookup(q)
	if found.Entry == nil || !found.Memory {
		t.Fatalf("%+v", found)
	}
	w.Drop(t.Context(), nil, found.Key)
	if found := w.lookup(q); found.Entry != nil || found.Why != reason.Miss {
		t.Errorf("here: %+v", found)
	}
	if found := another(t, w.redis).lookup(q); found.Entry != nil {
		t.Errorf("in another process: %+v", found)
	}
}

func TestAFillKnowsWhetherWhatWasFoundWasWrittenToSince(t *testing.T) {
	w := newWorld(t)
	q := query("/1", nil)
	w.keep(w.begin(q), answer("found"), noNames)
	found := w.lookup(q)
	if !w.begin(q).Holds(found) {
		t.Error("nothing was written, and it does not hold")
	}
	w.invalidate(tag)
	if w.begin(q).Holds(found) {
		t.Error("something was written, and it holds")
	}
}

func TestCloseWaitsForNoStoreThatASilentRedisHolds(t *testing.T) {
	w := newWorld(t)
	fill := w.begin(query("/1", nil))
	w.redis.Freeze()
	defer w.redis.Thaw()
	outcome := make(chan reason.Reason, 1)
	fill.Keep(answer("late"), 0, noNames, func(why reason.Reason) { outcome <- why })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	w.Close(ctx)
	select {
	case why := <-outcome:
		t.Errorf("Close waited for the store, which ended with %q", why)
	default:
	}
	select {
	case why := <-outcome:
		if why != reason.StoreFailed {
			t.Errorf("%q", why)
		}
	case <-time.After(20 * time.Second):
		t.Error("the store never ends")
	}
}
