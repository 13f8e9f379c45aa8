package jobs

import (
	"testing"
	"time"

	"sidecar/internal/reason"
)

func TestOnlySoManyJobsArePending(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	first := w.accept(w.to("/forge", "alice"))
	w.accept(w.to("/forge", "alice"))
	refused := func(who string, want Outcome) {
		t.Helper()
		if r := w.Submit(t.Context(), nil, w.to("/forge", who)); r.Outcome != want ||
			r.Why != reason.JobsPending {
			t.Errorf("%s: %+v", who, r)
		}
	}
	refused("alice", FullForCaller)
	w.accept(w.to("/forge", "bob"))
	refused("bob", Full)
	w.accept(w.to("/craft/1", "alice"))
	w.cancel(first, Canceled)
	w.accept(w.to("/forge", "carol"))
	refused("carol", Full)
}

func TestAKeyWhoseJobIsNotAdmittedIsFreeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	first := w.accept(w.to("/forge", "alice"))
	w.accept(w.to("/forge", "alice"))
	s := w.to("/forge", "alice")
	s.Key = "k1"
	if r := w.Submit(t.Context(), nil, s); r.Outcome != FullForCaller {
		t.Fatalf("%+v", r)
	}
	w.cancel(first, Canceled)
	w.accept(s)
}

func TestEveryEndGivesThePlacesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201, 422, 201))
	w.work()
	w.await(w.accept(w.to("/forge", "alice")), Succeeded)
	w.await(w.accept(w.to("/forge", "alice")), Failed)
	s := w.to("/forge", "alice")
	s.Within = time.Minute
	r := w.Submit(t.Context(), nil, s)
	<-r.Local.Done()
	for _, d := range scopesOf("forge", s.Owner) {
		keys := w.placeKeys(d)
		awaitTrue(t, "no place is taken",
			func() bool { return shared.For(t).Do("ZCARD", keys[0]) == int64(0) })
		awaitTrue(t, "no byte is counted",
			func() bool { return shared.For(t).Do("HGET", keys[1], "sum") == "0" })
	}
}

func TestPendingJobsAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	s := w.to("/forge", "alice")
	full := func(id string, size int) int {
		t.Helper()
		full, err := w.admit(t.Context(), nil, s, id, size)
		if err != nil {
			t.Fatal(err)
		}
		return full
	}
	if got := full("a", maxPendingCallerBytes-1); got != -1 {
		t.Errorf("the first: scope %d is full", got)
	}
	if got := full("b", 2); got != 1 {
		t.Errorf("beyond the bound: scope %d is full", got)
	}
	if got := full("c", 1); got != -1 {
		t.Errorf("up to the bound: scope %d is full", got)
	}
}

func TestThePlacesOfASidecarThatDiedComeBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	s, r := w.to("/forge", "alice"), shared.For(t)
	w.accept(s)
	// and it dies
	if full, err := w.admit(t.Context(), nil, s, newID(), 10); full != -1 || err != nil {
		t.Fatal(full, err)
	}
	if got := w.Submit(t.Context(), nil, s); got.Outcome != FullForCaller {
		t.Fatalf("it may only be slow: %+v", got)
	}
	for _, d := range scopesOf("forge", s.Owner) {
		for _, id := range r.Do("ZRANGE", w.placeKeys(d)[0], 0, -1).([]any) {
			r.Do("ZINCRBY", w.placeKeys(d)[0], -2*placeDoubt.Milliseconds(), id) // time goes by
		}
	}
	w.accept(s)
	if got := w.Submit(t.Context(), nil, s); got.Outcome != FullForCaller {
		t.Errorf("the place of a job that waits is given away: %+v", got)
	}
}
