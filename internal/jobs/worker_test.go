package jobs

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"sidecar/cachekeys"
	"sidecar/internal/backend"
	"sidecar/test/redisd"
)

func TestAJobInvalidatesBeforeItsOutcomeCanBeSeen(t *testing.T) {
	t.Parallel()
	var w *world
	seen := make(chan Status, 1)
	w = newWorld(t, shared, answer(201), func(o *Options) {
		o.Invalidator = invalidator(func(tags []cachekeys.Tag) error {
			_ = w.Changed(t.Context(), tags)
			// the key that the API got is the job's id
			r, err := w.Job(t.Context(), nil, w.requests()[0])
			if err != nil {
				t.Error(err)
			}
			seen <- r.Status
			return nil
		})
	})
	id := w.accept(w.submission("a sword", ""))
	w.work()
	r := w.await(id, Succeeded)
	if got := <-seen; got != Running {
		t.Errorf("at the invalidation the job was %s", got)
	}
	for _, tag := range []string{"item:1", "by:alice"} {
		if !slices.Contains(w.dropped(), cachekeys.Named(tag)) {
			t.Errorf("%s is not among %v", tag, w.dropped())
		}
	}
	result, err := w.Result(t.Context(), nil, r)
	if err != nil || result.Status != 201 || !strings.Contains(string(result.Body), "alice") {
		t.Errorf("the result: %+v, %v", result, err)
	}
	if r.Attempts != 1 || r.Failures != 0 || r.Started.IsZero() || r.Finished.IsZero() ||
		r.LastError != "" {
		t.Errorf("%+v", r)
	}
}

// invalidator is an Invalidator that is a function.
type invalidator func(tags []cachekeys.Tag) error

func (f invalidator) Changed(_ context.Context, tags []cachekeys.Tag) error { return f(tags) }

func TestAnInvalidationThatFailsDoesNotFailTheJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201), func(o *Options) {
		o.Invalidator = invalidator(func([]cachekeys.Tag) error {
			return errors.New("Redis is away")
		})
	})
	id := w.accept(w.submission("a sword", ""))
	w.work()
	w.await(id, Succeeded)
}

func TestWhatFailsIsTriedAgainAsOftenAsTheRouteSays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		statuses []int
		want     Status
		attempts int
		failures int
		says     string
	}{
		{"it succeeds in the end", []int{503, 500, 201}, Succeeded, 3, 2, ""},
		{"it fails for good", []int{503}, Failed, 3, 3,
			"the backend answered 503 Service Unavailable"},
		{"a client error is final", []int{422}, Failed, 1, 1,
			"the backend answered 422 Unprocessable Entity"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, shared, answer(c.statuses...))
			id := w.accept(w.submission("a sword", ""))
			w.work()
			r := w.await(id, c.want)
			if r.Attempts != c.attempts || r.Failures != c.failures ||
				r.LastError != c.says || !r.HasResult {
				t.Errorf("%+v", r)
			}
			if got := w.requests(); len(got) != c.attempts || got[0] != id {
				t.Errorf("the API was asked with the keys %q", got)
			}
			if last, err := w.Result(t.Context(), nil, r); err != nil ||
				last.Status != c.statuses[len(c.statuses)-1] {
				t.Errorf("the result: %+v, %v", last, err)
			}
		})
	}
}

func TestTheNextAttemptComesWhenItsTimeHasCome(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		base        time.Duration
		after       string
		least, most time.Duration
	}{
		"by the rule":       {2 * time.Minute, "", 59 * time.Second, 2 * time.Minute},
		"by Retry-After":    {time.Second, "120", 119 * time.Second, 2 * time.Minute},
		"but not for years": {time.Second, "99999999", time.Hour - time.Second, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, shared, func(rw http.ResponseWriter, _ *http.Request) {
				if c.after != "" {
					rw.Header().Set("Retry-After", c.after)
				}
				rw.WriteHeader(503)
			}, func(o *Options) { o.RetryBase = c.base })
			id := w.accept(w.submission("a sword", ""))
			before := time.Now()
			w.work()
			w.await(id, Retrying)
			var at time.Time
			awaitTrue(t, "asynq has the task back",
				func() bool { at = w.retryAt(shared.For(t), id); return !at.IsZero() })
			if in := at.Sub(before); in < c.least || in > c.most+5*time.Second {
				t.Errorf("the next attempt is in %v", in)
			}
		})
	}
}

func TestTheClientsOwnKeyReachesTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	id := w.accept(w.submission("a sword", "k1"))
	w.work()
	w.await(id, Succeeded)
	if got := w.requests(); got[0] != "k1" {
		t.Errorf("it got %q", got)
	}
}

func TestAResultBeyondTheBoundIsNotKept(t *testing.T) {
	t.Parallel()
	for name, over := range map[string]int{"the bound": 0, "one byte more": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, shared, func(rw http.ResponseWriter, _ *http.Request) {
				_, _ = rw.Write(make([]byte, 8<<20+over))
			})
			id := w.accept(w.submission("a sword", ""))
			w.work()
			r := w.await(id, map[int]Status{0: Succeeded, 1: Failed}[over])
			if r.HasResult != (over == 0) || r.Attempts != 1 {
				t.Errorf("%+v", r)
			}
			if over > 0 && !strings.Contains(r.LastError, "more than 8388608 bytes") {
				t.Errorf("last error: %s", r.LastError)
			}
			if !slices.Contains(w.dropped(), cachekeys.Named("item:1")) {
				t.Errorf("what the job changed is not invalidated: %v", w.dropped())
			}
		})
	}
}

func TestAWorkerThatPanicsTakesNoOtherJobWithIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	first := true
	good := w.Backend
	w.Backend = backendFunc(func(ctx context.Context, r *http.Request) (*http.Response, error) {
		if r.RequestURI == "/craft/9" && first {
			first = false
			panic("a fault of our own")
		}
		return good.Replay(ctx, r)
	})
	s := w.submission("a sword", "")
	s.Request.Target = "/craft/9"
	id, other := w.accept(s), w.accept(w.submission("a shield", ""))
	w.work()
	w.await(other, Succeeded)
	if r := w.await(id, Succeeded); r.Attempts != 2 {
		t.Errorf("%+v", r)
	}
}

// backendFunc is a Backend that is a function.
type backendFunc func(ctx context.Context, r *http.Request) (*http.Response, error)

func (f backendFunc) Replay(ctx context.Context, r *http.Request) (*http.Response, error) {
	return f(ctx, r)
}

func TestAJobThatIsCutOffAgainAndAgainIsGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	id := w.accept(w.submission("a sword", ""))
	shared.For(t).Do("HSET", w.Names.Job(id), "attempts", maxCutOffs)
	w.work()
	if r := w.await(id, Failed); r.LastError != "it was cut off too often" ||
		len(w.requests()) != 0 {
		t.Errorf("%+v after %d requests", r, len(w.requests()))
	}
}

func TestShutdownGivesARunningJobBack(t *testing.T) {
	t.Parallel()
	begun, cut := make(chan struct{}, 1), make(chan struct{}, 1)
	w := newWorld(t, shared, func(_ http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-r.Context().Done() // the sidecar cuts the connection
		cut <- struct{}{}
	}, func(o *Options) { o.DrainTimeout = 50 * time.Millisecond })
	id := w.accept(w.submission("a sword", ""))
	stop := w.work()
	<-begun
	stop()
	<-cut
	if r, err := w.Job(t.Context(), nil, id); err != nil || r.Status != Retrying ||
		r.Attempts != 1 || r.Failures != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	if !slices.Contains(w.dropped(), cachekeys.Named("item:1")) {
		t.Errorf("what a request that was cut off may have changed is not invalidated: %v",
			w.dropped())
	}
	next := newWorld(t, shared, answer(201))
	next.work()
	if r := next.await(id, Succeeded); r.Attempts != 2 {
		t.Errorf("%+v", r)
	}
}

func TestShutdownLetsAJobFinishThatIsQuickEnough(t *testing.T) {
	t.Parallel()
	begun, finish := make(chan struct{}), make(chan struct{})
	w := newWorld(t, shared, func(http.ResponseWriter, *http.Request) {
		close(begun)
		<-finish
	}, func(o *Options) { o.DrainTimeout = 20 * time.Second })
	id := w.accept(w.submission("a sword", ""))
	stop := w.work()
	<-begun
	time.AfterFunc(20*time.Millisecond, func() { close(finish) })
	stop()
	if r, err := w.Job(t.Context(), nil, id); err != nil || r.Status != Succeeded {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestARefusedConnectionIsNoAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	up := make(chan struct{})
	good := w.Backend
	refused := make(chan struct{}, 100)
	w.Unsent = func(err error) bool { return errors.Is(err, errDown) }
	w.Backend = backendFunc(func(ctx context.Context, r *http.Request) (*http.Response, error) {
		select {
		case <-up:
			return good.Replay(ctx, r)
		default:
			refused <- struct{}{}
			return nil, errDown
		}
	})
	id := w.accept(w.submission("a sword", ""))
	w.work()
	<-refused
	r := w.await(id, Queued)
	if r.Attempts != 0 || r.Failures != 0 {
		t.Errorf("while the API is down: %+v", r)
	}
	close(up)
	if r := w.await(id, Succeeded); r.Attempts != 1 {
		t.Errorf("%+v", r)
	}
}

var errDown = errors.New("connection refused")

func TestAnAttemptThatTakesTooLongHasFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s := w.submission("a sword", "")
	job := *s.Job
	job.Timeout, job.MaxRetry = 50*time.Millisecond, 0
	s.Job = &job
	id := w.accept(s)
	w.work()
	if r := w.await(id, Failed); r.LastError != "the backend did not answer within 50ms" ||
		r.HasResult {
		t.Errorf("%+v", r)
	}
}

func TestAnAttemptThatTheBackendsOwnTimeEndsIsSaidToBeLate(t *testing.T) {
	t.Parallel()
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then a server sees that a client left
		<-r.Context().Done()
	}))
	t.Cleanup(api.Close)
	impatient, err := backend.New(backend.Options{
		URL: api.URL, Timeout: 50 * time.Millisecond, Dial: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(impatient.Close)
	w := newWorld(t, shared, answer(201), func(o *Options) { o.Backend = impatient })
	s := w.submission("a sword", "")
	job := *s.Job
	job.MaxRetry = 0
	s.Job = &job
	id := w.accept(s)
	w.work()
	if r := w.await(id, Failed); r.LastError != "the backend did not answer in time" {
		t.Errorf("%+v", r)
	}
}

func TestAnAnswerThatBreaksOffHasFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Length", "100")
		_, _ = rw.Write([]byte("half"))
		rw.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	s := w.submission("a sword", "")
	job := *s.Job
	job.MaxRetry = 0
	s.Job = &job
	id := w.accept(s)
	w.work()
	if r := w.await(id, Failed); r.LastError != "the backend's answer broke off" || r.HasResult {
		t.Errorf("%+v", r)
	}
}

func TestOnlyTheLastAttemptWritesItsOutcome(t *testing.T) {
	t.Parallel()
	var w *world
	counted := make(chan struct{})
	w = newWorld(t, shared, func(rw http.ResponseWriter, r *http.Request) {
		// Another worker has taken the task over meanwhile.
		shared.For(t).Do("HINCRBY", w.Names.Job(r.Header.Get("Idempotency-Key")), "attempts", 1)
		close(counted)
	})
	id := w.accept(w.submission("a sword", ""))
	stop := w.work()
	<-counted
	stop()
	if r, err := w.Job(t.Context(), nil, id); err != nil || r.Status != Running ||
		r.Attempts != 2 || r.HasResult {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestATaskWithoutARecordIsGivenBackUntilItIsTooOld(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	enqueue := func(age time.Duration) (id string) {
		id = newID()
		_, err := w.client.Enqueue(asynq.NewTask("craft", w.newStub(id, time.Now().Add(-age))),
			asynq.TaskID(id),
			asynq.Queue(w.queue.asynq("default")), asynq.MaxRetry(math.MaxInt32))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	young, old := enqueue(time.Minute), enqueue(unconfirmedLife+time.Minute)
	w.work()
	r := shared.For(t)
	awaitTrue(t, "the old one is withdrawn",
		func() bool { return r.Do("HGET", w.Names.Job(old), "status") == "withdrawn" })
	awaitTrue(t, "the old one is gone",
		func() bool { return r.Do("EXISTS", w.taskKey(old)) == int64(0) })
	awaitTrue(t, "the young one waits", func() bool { return !w.retryAt(r, young).IsZero() })
	if r.Do("EXISTS", w.Names.Job(young)) != int64(0) || len(w.requests()) != 0 {
		t.Error("the young one has a record, or the API was asked")
	}
}

func TestWhatCannotBeOpenedIsNotSent(t *testing.T) {
	t.Parallel()
	ours := mustSealer(t, testKey(1))
	t.Run("a key that other sidecars have already", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, shared, answer(201),
			func(o *Options) { o.Sealer = mustSealer(t, testKey(2)) })
		id := w.accept(w.submission("a sword", ""))
		w.Sealer = ours
		w.work()
		awaitTrue(t, "it waits for the key",
			func() bool { return !w.retryAt(shared.For(t), id).IsZero() })
		if r, err := w.Job(t.Context(), nil, id); err != nil ||
			r.Status != Queued || r.Attempts != 0 {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("a request that somebody put there", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, shared, answer(201), func(o *Options) { o.Sealer = ours })
		id := w.accept(w.submission("a sword", ""))
		forged := (*Sealer)(nil).seal(binding{}, w.submission("an army", "").Request.encode())
		shared.For(t).Do("HSET", w.Names.Job(id), "request", forged)
		w.work()
		if r := w.await(id, Failed); r.Attempts != 0 ||
			!strings.Contains(r.LastError, "cannot be opened") {
			t.Errorf("%+v", r)
		}
		if got := w.requests(); len(got) != 0 {
			t.Errorf("the API was asked: %q", got)
		}
	})
}

func TestWorkersStartAndGoOnWithoutRedis(t *testing.T) {
	t.Parallel()
	redis := redisd.Start(t, redisd.AOF("always"))
	w := newWorld(t, redis, answer(201))
	w.work()
	first := w.accept(w.submission("a sword", ""))
	w.await(first, Succeeded)
	second := newWorld(t, redis, answer(201),
		func(o *Options) { o.Concurrency, o.Names, o.Prefix = 0, w.Names, w.Prefix })
	// A task that is taken while Redis dies is recovered, but later than this test waits.
	w.gate.mu.Lock()
	w.gate.closed = time.Now().Add(time.Hour)
	w.gate.mu.Unlock()
	id := second.accept(second.submission("a shield", "k"))
	redis.Kill()
	redis.Restart()
	w.gate.reached()
	w.await(id, Succeeded)
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	w := newWorld(t, shared, answer(201))
	for name, change := range map[string]func(*Options){
		"Redis":       func(o *Options) { o.Redis = nil },
		"prefix":      func(o *Options) { o.Prefix = "" },
		"Plan":        func(o *Options) { o.Plan = nil },
		"Backend":     func(o *Options) { o.Backend = nil },
		"Invalidator": func(o *Options) { o.Invalidator = nil },
		"Queues":      func(o *Options) { o.Queues = nil },
	} {
		o := w.Options
		change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func TestAsynqSaysOnceWhatItFindsAgainAndAgain(t *testing.T) {
	t.Parallel()
	redis := redisd.Start(t)
	log := new(lines)
	w := newWorld(t, redis, answer(200), func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(log,
			&slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	id := w.accept(w.submission("a sword", ""))
	w.work()
	w.await(id, Succeeded)
	redis.Kill()
	said := func(level string) int {
		return strings.Count(log.String(),
			"level="+level+` msg=asynq says="Failed to forward scheduled tasks`)
	}
	awaitTrue(t, "asynq says it again and again",
		func() bool { return said("DEBUG")+said("WARN") > 2 })
	if n := said("WARN"); n != 1 {
		t.Errorf("a warning is said %d times, want 1", n)
	}
}
