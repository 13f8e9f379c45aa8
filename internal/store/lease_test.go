package store_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/entry"
	"sidecar/internal/reason"
	"sidecar/internal/store"
)

// event waits within a time that no wait for another process takes.
func (w *world) event(f *store.Fill, ctx context.Context) (e store.Event, soon bool) {
	began := time.Now()
	_, e = f.Wait(ctx, w.conn.Budget(5*time.Second))
	return e, time.Since(began) < 5*time.Second // it waits 8 s for another process
}

// A lease lasts for two seconds unless it is renewed.
func TestALeaseIsRenewedByItsOwnerHoweverItGotIt(t *testing.T) {
	t.Parallel()
	for name, own := range map[string]func(w *world, q store.Query){
		"it took it": func(w *world, q store.Query) { w.t.Cleanup(w.shared(q).End) },
		"it led, and a member handed it over": func(w *world, q store.Query) {
			holder, leader := w.shared(q), w.shared(q)
			w.t.Cleanup(leader.End)
			if !leader.Join(w.t.Context()) || !holder.Join(w.t.Context()) || !leader.Leads() {
				w.t.Fatal("the one that joins first is to lead")
			}
			holder.End()
		},
		"the leader failed": func(w *world, q store.Query) {
			first, second := w.join(q), w.join(q)
			first.Fail(store.Result{Failed: store.Error})
			for range 2 { // told of the failure, and then sent
				second.Wait(w.t.Context(), nil)
			}
			if !second.Leads() {
				w.t.Fatal("the second one is to lead")
			}
			first.End()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, q := newWorld(t), query("/characters/42", nil)
			own(w, q)
			for began := time.Now(); time.Since(began) < 3*time.Second; time.Sleep(
				50 * time.Millisecond) {
				if !w.leased(q) { // a time that passes is what is tried
					t.Fatalf("it is lost after %v", time.Since(began))
				}
			}
		})
	}
}

func TestALeaderDoesNotWaitForAProcessWithOtherTokens(t *testing.T) {
	t.Parallel()
	w, q := newWorld(t), query("/characters/42", nil)
	another(t, w.redis).join(q)
	w.invalidate(tag)
	if e, soon := w.event(w.join(q), t.Context()); e != store.ToFetch || !soon {
		t.Errorf("event %d, soon: %t", e, soon)
	}
}

func TestALeaderDoesNotWaitForAProcessWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	w, q := newWorld(t), query("/characters/42", nil)
	another(t, w.redis).join(q)
	here := w.join(q)
	w.redis.Kill()
	if e, soon := w.event(here, t.Context()); e != store.ToFetch || !soon {
		t.Errorf("event %d, soon: %t", e, soon)
	}
}

func TestALeaderWhoseClientLeavesWaitsForNoProcess(t *testing.T) {
	t.Parallel()
	w, q := newWorld(t), query("/characters/42", nil)
	another(t, w.redis).join(q)
	here := w.join(q)
	ctx, leave := context.WithCancel(t.Context())
	context.AfterFunc(ctx, here.Leave)
	time.AfterFunc(50*time.Millisecond, leave) // while it waits
	if e, soon := w.event(here, ctx); e != store.ClientLeft || !soon {
		t.Errorf("event %d, soon: %t", e, soon)
	}
}

func TestALeaseIsGivenBackWithTheResultAndOfAnAnswerThatIsKeptWithItsStore(t *testing.T) {
	t.Parallel()
	w, q := newWorld(t), query("/characters/42", nil)
	unshared := w.join(q)
	unshared.Complete(store.Result{})
	w.awaitNoLease(q)
	for name, over := range map[string]func(f *store.Fill){
		"complete": func(f *store.Fill) { f.Complete(store.Result{}) },
		"yield":    (*store.Fill).Yield,
	} {
		fill, reached, stored := w.join(q), make(chan struct{}), make(chan reason.Reason, 1)
		reach := sync.OnceFunc(func() { close(reached) })
		t.Cleanup(reach)
		fill.Keep(answer("kept"), 0, func() ([]cachekeys.Tag, reason.Reason) {
			<-reached
			return nil, ""
		}, func(why reason.Reason) { stored <- why })
		fill.Keep(answer("again"), 0, noNames, nil) // does nothing: done would panic
		over(fill)
		for range 50 {
			if !w.leased(q) {
				t.Fatalf("%s: the lease is given back before the answer is stored", name)
			}
		}
		reach()
		if why := <-stored; why != "" {
			t.Error(why)
		}
		w.awaitNoLease(q)
		fill.End()
	}
}

func TestAnAnswerThatIsNotStoredGivesTheLeaseBack(t *testing.T) {
	t.Parallel()
	w, q := newWorld(t), query("/characters/42", nil)
	stale := answer("stale")
	stale.Lifetime = 0
	ended := answer("ended")
	ended.Until = entry.At(time.Now())
	for _, e := range []struct {
		name  string
		entry func(f *store.Fill) reason.Reason
	}{
		{"stale", func(f *store.Fill) reason.Reason { return w.keep(f, stale, noNames) }},
		{"beyond the caller's token", func(f *store.Fill) reason.Reason {
			return w.keep(f, ended, noNames)
		}},
	} {
		fill := w.join(q)
		w.persist(names.Lease(q.Primary)) // it does not run out
		if why := e.entry(fill); why != reason.AgeExceedsLife {
			t.Errorf("%s: %q", e.name, why)
		}
		w.awaitNoLease(q)
		if found := w.lookup(q); found.Entry != nil {
			t.Errorf("%s: %q is stored", e.name, found.Entry.Body)
		}
	}
}
