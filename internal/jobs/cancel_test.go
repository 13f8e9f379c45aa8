package jobs

import (
	"net/http"
	"slices"
	"testing"

	"sidecar/cachekeys"
)

// cancel asks for the end of a job, and wants this status.
func (w *world) cancel(id string, want Status) {
	w.t.Helper()
	r, err := w.Job(w.t.Context(), nil, id)
	if err != nil {
		w.t.Fatal(err)
	}
	if got, err := w.Cancel(w.t.Context(), nil, r); err != nil || got != want {
		w.t.Fatalf("it is %s, %v; want %s", got, err, want)
	}
}

func TestAJobThatWaitsIsCanceledAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	id := w.accept(w.submission("a sword", "k1"))
	w.cancel(id, Canceled)
	r, err := w.Job(t.Context(), nil, id)
	if err != nil || r.Status != Canceled || r.HasResult || r.Finished.IsZero() {
		t.Errorf("%+v, %v", r, err)
	}
	if got := shared.For(t).Do("HGET", w.Names.Job(id), "request"); got != nil {
		t.Error("its request is still in Redis")
	}
	if got := shared.For(t).Do("EXISTS", w.taskKey(id)); got != int64(0) {
		t.Error("its task is still there")
	}
	if again := w.accept(w.submission("a sword", "k1")); again != id {
		t.Error("its key leads to another job")
	}
	w.cancel(id, Canceled)
	w.work()
	w.await(w.accept(w.submission("a shield", "")), Succeeded)
	if got := w.requests(); len(got) != 1 {
		t.Errorf("%d requests", len(got))
	}
}

func TestAJobThatRunsHasItsRequestCancelled(t *testing.T) {
	t.Parallel()
	cut := make(chan struct{})
	w := newWorld(t, shared, func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(cut)
	})
	other := newWorld(t, shared, answer(201), func(o *Options) { o.Concurrency = 0 })
	id := w.accept(w.submission("a sword", ""))
	w.work()
	w.awaitRequests(1)
	other.cancel(id, Running)
	<-cut
	if r := w.await(id, Canceled); r.Attempts != 1 || r.LastError != "" {
		t.Errorf("%+v", r)
	}
	if !slices.Contains(w.dropped(), cachekeys.Named("item:1")) ||
		!slices.Contains(w.dropped(), cachekeys.Family("by:")) {
		t.Errorf("it may have changed more than %v", w.dropped())
	}
	awaitTrue(t, "its task is gone",
		func() bool { return shared.For(t).Do("EXISTS", w.taskKey(id)) == int64(0) })
}

func TestACancellationThatNobodyHeardIsFoundAtTheNextRenewal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	id := w.accept(w.submission("a sword", ""))
	w.work()
	w.awaitRequests(1)
	shared.For(t).Do("HSET", w.Names.Job(id), "cancel", 1)
	if err := w.renewHeld(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.await(id, Canceled)
}

func TestAJobIsCanceledThatFailsMeanwhile(t *testing.T) {
	t.Parallel()
	var w *world
	w = newWorld(t, shared, func(rw http.ResponseWriter, r *http.Request) {
		shared.For(t).Do("HSET", w.Names.Job(r.Header.Get("X-Job-Id")), "cancel", 1)
		answer(503)(rw, r)
	})
	id := w.accept(w.submission("a sword", ""))
	w.work()
	w.await(id, Canceled)
	if got := w.requests(); len(got) != 1 {
		t.Errorf("%d requests", len(got))
	}
}

func TestACanceledJobWhoseWorkerDiedIsNotRunAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	id := w.accept(w.submission("a sword", ""))
	shared.For(t).Do("HSET", w.Names.Job(id), "status", "running", "attempts", 1)
	w.cancel(id, Running)
	w.work()
	w.await(id, Canceled)
	if got := w.requests(); len(got) != 0 {
		t.Errorf("%d requests", len(got))
	}
}

func TestAJobThatIsOverStaysAsItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	id := w.accept(w.submission("a sword", ""))
	w.work()
	w.await(id, Succeeded)
	w.cancel(id, Succeeded)
	w.await(id, Succeeded)
	if _, err := w.Cancel(t.Context(), nil, Record{ID: newID()}); err != ErrNotFound {
		t.Errorf("a job that is not there: %v", err)
	}
}
