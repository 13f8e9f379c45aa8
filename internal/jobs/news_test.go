package jobs

import (
	"net/http"
	"testing"
	"time"

	"sidecar/test/redisd"
)

func TestChangesOfAJobAreHeardByOtherSidecars(t *testing.T) {
	t.Parallel()
	finish := make(chan struct{})
	w := newWorld(t, shared, func(rw http.ResponseWriter, r *http.Request) {
		<-finish
		answer(201)(rw, r)
	})
	other := newWorld(t, shared, answer(201), func(o *Options) { o.Concurrency = 0 })
	id := w.accept(w.submission("a sword", ""))
	changed, stop, ok := other.Watch(id)
	if !ok {
		t.Fatal("nobody may watch")
	}
	defer stop()
	w.work()
	wait := func(want Status) {
		t.Helper()
		for end := time.After(20 * time.Second); ; {
			if r, err := other.Job(t.Context(), nil, id); err != nil || r.Status == want {
				return
			}
			select {
			case <-changed:
			case <-end:
				t.Fatalf("nobody heard that it is %s", want)
			}
		}
	}
	wait(Running)
	close(finish)
	wait(Succeeded)
}

func TestOnlySoManyMayWatch(t *testing.T) {
	t.Parallel()
	var w watchers
	_, stop, _ := w.watch("a")
	for range maxWatchers - 1 {
		w.watch("a")
	}
	if _, _, ok := w.watch("b"); ok {
		t.Error("one more may")
	}
	stop()
	if _, _, ok := w.watch("b"); !ok {
		t.Error("nobody may though one has left")
	}
}

func TestATaskIsTakenWhenItsNewsComes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	w.work()
	w.await(w.accept(w.submission("the first", "")), Succeeded) // all is warm, and asleep
	other := newWorld(t, shared, answer(201), func(o *Options) { o.Concurrency = 0 })
	const times = 5
	quick := 0
	for range times {
		began := time.Now()
		other.await(other.accept(other.submission("a sword", "")), Succeeded)
		if time.Since(began) < lookInterval/2 {
			quick++
		}
	}
	if quick == 0 {
		t.Errorf("of %d none was taken before the next look", times)
	}
}

func TestATaskWhoseNewsIsLostIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	w.work()
	w.await(w.accept(w.submission("the first", "")), Succeeded)
	id, r, queue := w.accept(w.submission("a sword", "")), shared.For(t), w.queue.asynq("default")
	w.await(id, Succeeded)
	r.Do("HSET", w.Names.Job(id), "status", "queued") // as if it were yet to be done
	r.Do("HSET", w.taskKey(id), "state", "pending")
	r.Do("LPUSH", asynqKey(queue, "pending"), id)
	awaitTrue(t, "it is taken", func() bool {
		return r.Do("LLEN", asynqKey(queue, "pending")) == int64(0)
	})
}

func TestTheQueuesAreKnownAfterTheStoreCameBackEmpty(t *testing.T) {
	t.Parallel()
	r := redisd.Start(t)
	w := newWorld(t, r, answer(201))
	w.accept(w.submission("a sword", ""))
	r.Do("FLUSHALL")
	w.accept(w.submission("a shield", ""))
	states, err := w.States(t.Context())
	if err != nil || states["default"].Pending != 1 {
		t.Errorf("%+v, %v", states, err)
	}
}
