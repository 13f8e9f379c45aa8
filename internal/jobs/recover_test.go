package jobs

import (
	"net/http"
	"testing"
	"time"
)

func TestAJobWhoseWorkerDiedGoesBackToItsQueue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	id, r, queue := w.accept(w.submission("a sword", "")), shared.For(t), w.queue.asynq("default")
	pending, active, lease := asynqKey(queue, "pending"), asynqKey(queue, "active"),
		asynqKey(queue, "lease")
	taken := func(till time.Time) { // by a worker that dies
		r.Do("LREM", pending, 0, id)
		r.Do("LREM", active, 0, id)
		r.Do("RPUSH", active, id)
		r.Do("ZADD", lease, till.Unix(), id)
	}
	look := func(steady time.Duration) (back bool) {
		t.Helper()
		if err := w.recover(t.Context(), steady); err != nil {
			t.Fatal(err)
		}
		return r.Do("LLEN", pending) == int64(1)
	}
	taken(time.Now().Add(-leaseGrace / 2))
	if look(time.Hour) {
		t.Error("its worker may only be late")
	}
	taken(time.Now().Add(-2 * leaseGrace))
	if look(leaseSteady / 2) {
		t.Error("Redis was away just now: its worker had no time to renew")
	}
	if !look(time.Hour) {
		t.Fatal("it stays with its dead worker")
	}
	if r.Do("LLEN", active) != int64(0) || r.Do("ZCARD", lease) != int64(0) ||
		r.Do("HGET", w.taskKey(id), "state") != "pending" {
		t.Error("it is in two places")
	}
	w.work()
	w.await(id, Succeeded)
}

func TestATaskThatIsActiveWithoutALeaseIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	id, r, queue := w.accept(w.submission("a sword", "")), shared.For(t), w.queue.asynq("default")
	r.Do("RPOPLPUSH", asynqKey(queue, "pending"), asynqKey(queue, "active"))
	// another application's
	r.Do("RPUSH", asynqKey(queue, "active"), "0b5e0bd6-67e3-4c37-b1d4-7f0c4b0d9a3e")
	if err := w.recover(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if score := r.Do("ZSCORE", asynqKey(queue, "lease"), id); score == nil {
		t.Error("it has no lease that could run out")
	}
	if n := r.Do("ZCARD", asynqKey(queue, "lease")); n != int64(1) {
		t.Errorf("%v tasks have a lease", n)
	}
}

func TestWhatThisProcessHoldsKeepsItsLease(t *testing.T) {
	t.Parallel()
	finish := make(chan struct{})
	w := newWorld(t, shared, func(rw http.ResponseWriter, r *http.Request) {
		<-finish
		answer(201)(rw, r)
	})
	id, r, lease := w.accept(w.submission("a sword", "")), shared.For(t),
		asynqKey(w.queue.asynq("default"), "lease")
	w.work()
	w.awaitRequests(1)
	r.Do("DEL", lease) // evicted
	if err := w.renewHeld(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.Do("ZSCORE", lease, id) == nil {
		t.Error("it has none")
	}
	close(finish)
	w.await(id, Succeeded)
}
