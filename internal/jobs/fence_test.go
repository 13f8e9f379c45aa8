package jobs

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/test/redisd"
)

func TestAStartThatArrivesLateOrphansNoJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	id := w.accept(w.submission("a sword", ""))
	r, err := w.peek(t.Context(), nil, id, public)
	if err != nil {
		t.Fatal(err)
	}
	start := func(before int, runner string) (n int) {
		t.Helper()
		err := w.Redis.Do(t.Context(), nil, "test",
			func(ctx context.Context, c redis.UniversalClient) (err error) {
				n, err = startScript.Run(ctx, c, []string{w.Names.Job(id)}, 1, 3_600_000, before,
					runner, "news", "j").Int()
				return err
			})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := start(r.Attempts, "the worker"); n != 1 {
		t.Fatalf("the attempt is number %d", n)
	}
	if n := start(r.Attempts, "the worker"); n != 1 {
		t.Errorf("the same start once more is attempt %d", n)
	}
	if n := start(r.Attempts, "one that is late"); n != scriptOther {
		t.Errorf("a late start is attempt %d", n)
	}
	if r, _ = w.Job(t.Context(), nil, id); r.Attempts != 1 {
		t.Errorf("%+v", r)
	}
	// The worker of attempt 1 is gone. A late start after the next has been read changes nothing
	// either: the task goes back, and the job is done.
	w.cut.at("job-start", func() { start(1, "late again") })
	w.work()
	if r := w.await(id, Succeeded); r.Attempts != 3 || len(w.requests()) != 1 {
		t.Errorf("%+v after %d requests", r, len(w.requests()))
	}
}

func TestATaskStaysWhileItsRecordIsNotFinal(t *testing.T) {
	t.Parallel()
	var w *world
	first := true
	w = newWorld(t, shared, func(rw http.ResponseWriter, r *http.Request) {
		if first { // a start that is late has raised the count
			first = false
			shared.For(t).Do("HINCRBY", w.Names.Job(r.Header.Get("X-Job-Id")), "attempts", 1)
		}
		answer(201)(rw, r)
	})
	id := w.accept(w.submission("a sword", ""))
	w.work()
	if r := w.await(id, Succeeded); r.Attempts != 3 || len(w.requests()) != 2 {
		t.Errorf("%+v after %d requests", r, len(w.requests()))
	}
}

func TestAPromiseIsKeptPastAnOpenBreakerAtTheEnd(t *testing.T) {
	t.Parallel()
	r := redisd.Start(t)
	w := newWorld(t, r, answer(201), func(o *Options) { o.EndTimeout = 20 * time.Second })
	w.steps = true
	w.accept(w.submission("warm", ""))
	w.cut.at("job-create", func() {
		r.Freeze()
		w.cut.shut.Store(true) // the breaker opens after this, and stays so
	})
	receipt := w.Submit(t.Context(), w.conn.Budget(200*time.Millisecond),
		w.submission("a sword", ""))
	if receipt.Outcome != Accepted {
		t.Fatalf("%+v", receipt)
	}
	r.Thaw()
	awaitTrue(t, "what was frozen is done",
		func() bool { return r.Do("EXISTS", w.Names.Job(receipt.ID)) == int64(1) })
	r.Do("DEL", w.Names.Job(receipt.ID)) // as if it had not been
	w.stop()
	if got := r.Do("HGET", w.Names.Job(receipt.ID), "status"); got != string(Queued) {
		t.Errorf("the record of a job that a client was promised says %v", got)
	}
}

func TestAnOutcomeIsRecordedPastAnOpenBreakerAtTheEnd(t *testing.T) {
	t.Parallel()
	begun, finish := make(chan struct{}), make(chan struct{})
	w := newWorld(t, shared, func(rw http.ResponseWriter, r *http.Request) {
		close(begun)
		<-finish
		answer(201)(rw, r)
	}, func(o *Options) { o.DrainTimeout = time.Second })
	id := w.accept(w.submission("a sword", ""))
	stop := w.work()
	<-begun
	w.cut.shut.Store(true)
	close(finish)
	stop()
	w.cut.shut.Store(false)
	if r, err := w.Job(t.Context(), nil, id); err != nil ||
		r.Status != Succeeded || r.Attempts != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestAWorkerTakesNothingWhileTheBreakerIsOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	w.work()
	w.await(w.accept(w.submission("the first", "")), Succeeded)
	w.cut.shut.Store(true)
	other := newWorld(t, shared, answer(201))
	id := other.accept(other.submission("a sword", ""))
	pending := asynqKey(w.queue.asynq("default"), "pending")
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
		if shared.For(t).Do("LLEN", pending) != int64(1) {
			t.Fatal("a worker took the job that could not record it")
		}
	}
	other.work()
	other.await(id, Succeeded)
}

func TestAJobThatThisProcessHoldsIsNotBegunAgain(t *testing.T) {
	t.Parallel()
	finish := make(chan struct{})
	w := newWorld(t, shared, func(rw http.ResponseWriter, r *http.Request) {
		<-finish
		answer(201)(rw, r)
	})
	id := w.accept(w.submission("a sword", ""))
	w.work()
	w.awaitRequests(1)
	// Its lease runs out, since Redis was away for long, and the task comes back to this process.
	r, queue := shared.For(t), w.queue.asynq("default")
	r.Do("LREM", asynqKey(queue, "active"), 0, id)
	r.Do("RPUSH", asynqKey(queue, "pending"), id)
	awaitTrue(t, "it is given back", func() bool { return !w.retryAt(r, id).IsZero() })
	close(finish)
	if got := w.await(id, Succeeded); got.Attempts != 1 || len(w.requests()) != 1 {
		t.Errorf("%+v after %d requests", got, len(w.requests()))
	}
}

func TestARequestOfAsynqIsRepeatedThoughItsContextIsCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cmd := taking{UniversalClient: w.conn.Client(), jobs: w.Jobs}.Eval(ctx,
		"return 7", []string{"k"})
	if n, err := cmd.Int(); n != 7 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestTimeForWhichTheProcessWasFrozenDoesNotCount(t *testing.T) {
	t.Parallel()
	ctx, cancel := withRunningTime(t.Context(), 20*time.Millisecond)
	defer cancel()
	<-ctx.Done()
	if context.Cause(ctx) != context.DeadlineExceeded {
		t.Errorf("it ended by %v", context.Cause(ctx))
	}
	for took, want := range map[time.Duration]time.Duration{
		time.Second: time.Second, 2 * time.Second: 2 * time.Second, 10 * time.Second: 0,
	} {
		if got := ran(time.Second, took); got != want {
			t.Errorf("of %v it ran for %v, want %v", took, got, want)
		}
	}
}
