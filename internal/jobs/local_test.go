package jobs

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"sidecar/cachekeys"
	"sidecar/test/redisd"
)

// begin submits a POST of alice's that makes its first attempt itself.
func (w *world) begin(key string) Receipt {
	w.t.Helper()
	s := w.submission("a sword", key)
	s.Within = time.Minute
	r := w.Submit(w.t.Context(), nil, s)
	if r.Outcome != Accepted || r.Local == nil {
		w.t.Fatalf("not begun: %+v", r)
	}
	return r
}

// scheduled reports whether asynq has the task of the job for a later time.
func (w *world) scheduled(r *redisd.Server, id string) bool {
	return r.Do("ZSCORE", asynqKey(w.queue.asynq("default"), "scheduled"), id) != nil
}

func TestASubmissionThatIsAnsweredInTimeLeavesNoJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(503))
	r := w.begin("")
	<-r.Local.Done()
	if r.Local.Promise() {
		t.Fatal("a job is promised though the answer is there")
	}
	if a, _ := r.Local.Answer(); a == nil || a.Status != 503 {
		t.Errorf("the answer is %+v", a)
	}
	if !slices.Contains(w.dropped(), cachekeys.Named("item:1")) {
		t.Errorf("at the answer only %v is invalidated", w.dropped())
	}
	awaitTrue(t, "its task is gone",
		func() bool { return shared.For(t).Do("EXISTS", w.taskKey(r.ID)) == int64(0) })
	if _, err := w.Job(t.Context(), nil, r.ID); err != ErrNotFound {
		t.Errorf("a client sees the job: %v", err)
	}
	w.work()
	// a worker that ran it would have come by
	w.await(w.accept(w.submission("another", "")), Failed)
	if got := w.requests(); slices.Index(got[1:], r.ID) >= 0 {
		t.Errorf("the API was asked with %q: the client had the answer", got)
	}
}

func TestTheKeyOfASubmissionThatIsAnsweredInTimeLeadsToItsOutcome(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	r := w.begin("k1")
	<-r.Local.Done()
	w.await(r.ID, Succeeded)
	again := w.Submit(t.Context(), nil, w.submission("a sword", "k1"))
	if again.ID != r.ID || again.Local != nil || again.Status != Succeeded ||
		len(w.requests()) != 1 {
		t.Errorf("%+v after %d requests", again, len(w.requests()))
	}
}

func TestAnAttemptThatHasBegunGoesOnAsTheJob(t *testing.T) {
	t.Parallel()
	finish := make(chan struct{})
	w := newWorld(t, shared, func(rw http.ResponseWriter, r *http.Request) {
		<-finish
		answer(201)(rw, r)
	})
	w.work()
	r := w.begin("")
	if !r.Local.Promise() {
		t.Fatal("it is over")
	}
	if got, err := w.Job(t.Context(), nil, r.ID); err != nil || got.Status != Running ||
		got.Attempts != 1 || got.Started.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	if !w.scheduled(shared.For(t), r.ID) {
		t.Error("nobody would run it if this process died")
	}
	close(finish)
	if got := w.await(r.ID, Succeeded); got.Attempts != 1 || !got.HasResult {
		t.Errorf("%+v", got)
	}
	awaitTrue(t, "its task is taken back",
		func() bool { return shared.For(t).Do("EXISTS", w.taskKey(r.ID)) == int64(0) })
	if got := w.requests(); len(got) != 1 {
		t.Errorf("%d requests", len(got))
	}
}

func TestAPromisedAttemptThatFailsIsTriedAgainByAWorker(t *testing.T) {
	t.Parallel()
	finish := make(chan struct{})
	replies := answer(503, 201)
	w := newWorld(t, shared, func(rw http.ResponseWriter, r *http.Request) {
		<-finish
		replies(rw, r)
	})
	w.work()
	r := w.begin("")
	r.Local.Promise()
	close(finish)
	if got := w.await(r.ID, Succeeded); got.Attempts != 2 || got.Failures != 1 {
		t.Errorf("%+v", got)
	}
	if got := w.requests(); len(got) != 2 || got[0] != got[1] {
		t.Errorf("the API was asked with %q", got)
	}
}

func TestAJobThatItsSubmissionBeganRunsOnceMoreWhenThatProcessDies(t *testing.T) {
	t.Parallel()
	finish := make(chan struct{})
	dead := newWorld(t, shared, func(rw http.ResponseWriter, r *http.Request) {
		<-finish
		answer(500)(rw, r)
	})
	r := dead.begin("")
	r.Local.Promise()
	dead.awaitRequests(1)
	// Time goes by, and it never takes the task back.
	shared.For(t).Do("ZADD", asynqKey(dead.queue.asynq("default"), "scheduled"), "XX", 1, r.ID)
	other := newWorld(t, shared, answer(201))
	other.work()
	if got := other.await(r.ID, Succeeded); got.Attempts != 2 {
		t.Errorf("%+v", got)
	}
	close(finish) // it was only frozen, and comes too late
	awaitTrue(t, "it gives up", func() bool { return dead.held.count() == 0 })
	if got := other.await(r.ID, Succeeded); got.Attempts != 2 ||
		other.requests()[0] != dead.requests()[0] {
		t.Errorf("%+v, asked with %q and %q", got, dead.requests(), other.requests())
	}
}

func TestAnEndMakesAJobOfASubmissionThatIsUnderWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		func(o *Options) { o.DrainTimeout, o.Concurrency = 50*time.Millisecond, 0 })
	stop := w.work()
	r := w.begin("")
	w.awaitRequests(1)
	stop()
	<-r.Local.Done()
	if !r.Local.Promise() {
		t.Fatal("the client is told that its request failed")
	}
	next := newWorld(t, shared, answer(201))
	next.work()
	if got := next.await(r.ID, Succeeded); got.Attempts != 2 {
		t.Errorf("%+v", got)
	}
}

func TestASubmissionToAnAPIThatIsDownWaitsAsAJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	good := w.Backend
	down := true
	w.Unsent = func(err error) bool { return errors.Is(err, errDown) }
	w.Backend = backendFunc(func(ctx context.Context, r *http.Request) (*http.Response, error) {
		if down {
			down = false
			return nil, errDown
		}
		return good.Replay(ctx, r)
	})
	r := w.begin("")
	<-r.Local.Done()
	if !r.Local.Promise() {
		t.Fatal("no job is promised")
	}
	w.work()
	if got := w.await(r.ID, Succeeded); got.Attempts != 1 || got.Failures != 0 {
		t.Errorf("%+v", got)
	}
}

func TestASubmissionWhoseRecordIsUncertainIsMadeOnce(t *testing.T) {
	t.Parallel()
	for name, promise := range map[string]bool{"answered in time": false, "promised": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := redisd.Start(t)
			finish := make(chan struct{})
			w := newWorld(t, redis, func(rw http.ResponseWriter, r *http.Request) {
				<-finish
				answer(201)(rw, r)
			})
			w.steps = true
			w.accept(w.submission("warm", ""))
			w.cut.at("job-create", redis.Freeze)
			s := w.submission("a sword", "")
			s.Within = time.Minute
			r := w.Submit(t.Context(), w.conn.Budget(200*time.Millisecond), s)
			if r.Outcome != Accepted || r.Local == nil {
				t.Fatalf("%+v", r)
			}
			if promise {
				r.Local.Promise()
			}
			close(finish)
			<-r.Local.Done()
			redis.Thaw()
			awaitTrue(t, "it is over", func() bool { return w.held.count() == 0 })
			awaitTrue(t, "its task is gone",
				func() bool { return redis.Do("EXISTS", w.taskKey(r.ID)) == int64(0) })
			want := map[bool]string{false: "withdrawn", true: "succeeded"}[promise]
			awaitTrue(t, want, func() bool {
				return redis.Do("HGET", w.Names.Job(r.ID), "status") == want
			})
			if got := w.requests(); len(got) != 1 {
				t.Errorf("%d requests", len(got))
			}
		})
	}
}
