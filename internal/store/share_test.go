package store_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"sidecar/internal/store"
)

// join begins a fill that may be shared and joins the flight. It is ended when the test ends.
func (w *world) join(q store.Query) *store.Fill {
	w.t.Helper()
	fill := w.shared(q)
	w.t.Cleanup(fill.End)
	if !fill.Join(w.t.Context()) {
		w.t.Fatal("the answer may not be shared")
	}
	return fill
}

// leased reports whether the lease on q stands in Redis.
func (w *world) leased(q store.Query) bool {
	w.t.Helper()
	n, err := w.raw().Exists(w.t.Context(), names.Lease(q.Primary)).Result()
	if err != nil {
		w.t.Fatal(err)
	}
	return n == 1
}

func (w *world) awaitNoLease(q store.Query) {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); w.leased(q); {
		if time.Now().After(deadline) {
			w.t.Fatal("the lease is not given back")
		}
	}
}

// A fetch that panics ends without a result: the next one fetches, with the lease that the first
// had.
func TestALeaderThatEndsWithoutAResultPassesLeadAndLeaseOn(t *testing.T) {
	w := newWorld(t)
	q := query("/characters/42", nil)
	first, second, third := w.join(q), w.join(q), w.join(q)
	if !first.Leads() || second.Leads() || third.Leads() {
		t.Fatal("the first one alone is to lead")
	}
	first.End()
	if _, e := second.Wait(t.Context(), nil); e != store.ToFetch || !second.Leads() || third.Leads() {
		t.Fatal("the second one alone is to lead now")
	}
	if !w.leased(q) {
		t.Error("the lease was given back though another member fetches")
	}
	first.Keep(answer("late"), 0, noNames, nil) // what was given up is never kept: done would panic
	second.Complete(store.Result{Entry: answer("one")})
	if r, e := third.Wait(t.Context(), nil); e != store.Answered || r.Entry == nil || string(r.Entry.Body) != "one" {
		t.Errorf("the third one got %v, event %d", r, e)
	}
	second.End()
	w.awaitNoLease(q)
}

// The member that joined second has got the lease. The leader, which found it elsewhere, gets it,
// and does not wait for a process that is this one.
func TestALeaseThatAMemberGotIsHandedToTheLeader(t *testing.T) {
	w := newWorld(t)
	q := query("/characters/42", nil)
	holder, leader := w.shared(q), w.shared(q) // opened in this order
	if !leader.Join(t.Context()) || !leader.Leads() {
		t.Fatal("the one that joins first is to lead")
	}
	waited := make(chan bool)
	go func() {
		_, e := leader.Wait(t.Context(), nil)
		waited <- e == store.Answered
	}()
	if !holder.Join(t.Context()) || holder.Leads() {
		t.Fatal("the holder of the lease is to be a member that waits")
	}
	if ok := <-waited; ok {
		t.Fatal("the leader has a result")
	}
	holder.End()
	if !w.leased(q) {
		t.Error("the member that left has given the leader's lease back")
	}
	leader.End()
	w.awaitNoLease(q)
}

// Members hand the lease to the leader while their clients leave. In the end nobody has it.
func TestALeaseHasOneOwnerWhileMembersLeave(t *testing.T) {
	w := newWorld(t)
	q := query("/characters/42", nil)
	for range 20 {
		var running sync.WaitGroup
		for range 8 {
			fill := w.shared(q)
			running.Go(func() {
				defer fill.End()
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				if !fill.Join(ctx) {
					return
				}
				if !fill.Leads() {
					go leave() // ends at once
					fill.Wait(ctx, nil)
				}
			})
		}
		running.Wait()
		w.awaitNoLease(q)
	}
}

// Another process fetches with the same tokens: this one waits, and finds the answer in the store.
func TestALeaderWaitsForTheProcessThatFetches(t *testing.T) {
	w := newWorld(t)
	other := another(t, w.redis)
	q := query("/characters/42", nil)
	fetching := other.join(q)
	here, member := w.join(q), w.join(q)
	answered := make(chan store.Result)
	for _, fill := range []*store.Fill{here, member} {
		go func() {
			r, _ := fill.Wait(t.Context(), w.conn.Budget(5*time.Second))
			answered <- r
		}()
	}
	if why := other.keep(fetching, answer("one"), noNames); why != "" {
		t.Fatal(why)
	}
	for range 2 {
		if r := <-answered; r.Entry == nil || string(r.Entry.Body) != "one" {
			t.Errorf("one that waits got %v", r)
		}
	}
}
