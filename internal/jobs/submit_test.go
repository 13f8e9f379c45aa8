package jobs

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sidecar/internal/reason"
	"sidecar/test/redisd"
)

func TestTheSameKeyLeadsToTheSameJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	first := w.accept(w.submission("a sword", "k1"))
	if again := w.accept(w.submission("a sword", "k1")); again != first {
		t.Errorf("jobs %s and %s", first, again)
	}
	if other := w.accept(w.submission("a sword", "k2")); other == first {
		t.Error("another key leads to the job")
	}
	w.work()
	w.await(first, Succeeded)
	receipt := w.Submit(t.Context(), nil, w.submission("a sword", "k1"))
	if receipt.ID != first || receipt.Status != Succeeded {
		t.Errorf("after the job: %+v", receipt)
	}
}

func TestTheSameKeyWithAnotherRequestIsAMismatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	w.accept(w.submission("a sword", "k1"))
	for name, change := range map[string]func(*Submission){
		"another body":   func(s *Submission) { s.Request.Body = []byte("a shield") },
		"another target": func(s *Submission) { s.Request.Target = "/craft/2" },
	} {
		s := w.submission("a sword", "k1")
		change(&s)
		if r := w.Submit(t.Context(), nil, s); r.Outcome != Mismatch || r.ID != "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestAKeyIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	first := w.accept(w.submission("a sword", "k1"))
	for _, owner := range []string{"bob", ""} {
		s := w.submission("a sword", "k1")
		s.Owner = owner
		if id := w.accept(s); id == first {
			t.Errorf("%q was given alice's job", owner)
		}
	}
	nobody := w.submission("a sword", "k9")
	nobody.Owner = ""
	if first, second := w.accept(nobody), w.accept(nobody); first == second {
		t.Error("two clients without credentials share a job")
	}
}

func TestManyAtOnceWithOneKeyMakeOneJobThatRunsOnce(t *testing.T) {
	t.Parallel()
	for name, steps := range map[string]bool{"by one script": false, "by steps": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, shared, answer(201))
			w.steps = steps
			w.work()
			const many = 20
			ids := make([]string, many)
			var all sync.WaitGroup
			for i := range many {
				all.Go(func() {
					ids[i] = w.Submit(t.Context(), nil, w.submission("a sword", "k1")).ID
				})
			}
			all.Wait()
			for _, id := range ids {
				if id != ids[0] || id == "" {
					t.Fatalf("the jobs are %q", ids)
				}
			}
			w.await(ids[0], Succeeded)
			if got := w.requests(); len(got) != 1 {
				t.Errorf("the API was asked %d times", len(got))
			}
		})
	}
}

func TestTheKeyIsForgottenWithTheJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	id := w.accept(w.submission("a sword", "k1"))
	hold := w.newHold(w.submission("a sword", "k1"), id).key
	life := func() time.Duration {
		ms, _ := shared.For(t).Do("PTTL", hold).(int64)
		return time.Duration(ms) * time.Millisecond
	}
	if got := life(); got <= 24*time.Hour {
		t.Errorf("the key of a waiting job lives %v", got)
	}
	w.work()
	w.await(id, Succeeded)
	awaitTrue(t, "the key lives no longer than the job",
		func() bool { return life() <= time.Hour && life() > 0 })
}

func TestAnEnqueueWithoutAnswerIsWithdrawnBeforeAWorkerRunsIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		steps  bool
		within time.Duration
	}{
		"by one script":                    {},
		"by steps":                         {steps: true},
		"that its submission would make":   {within: time.Minute},
		"that it would make, and by steps": {steps: true, within: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := redisd.Start(t)
			w := newWorld(t, redis, answer(201))
			w.steps = c.steps
			w.accept(w.submission("warm", "")) // a connection and the scripts are there
			s := w.submission("a sword", "")
			if s.Within = c.within; c.within > 0 {
				<-w.Submit(t.Context(), nil, s).Local.Done()
			}
			before := len(w.requests())
			w.cut.at("enqueue", redis.Freeze)
			receipt := w.Submit(t.Context(), w.conn.Budget(time.Second), s)
			if receipt.Outcome != Withdrawn || !ValidID(receipt.ID) ||
				receipt.Why != reason.EnqueueUnknown {
				t.Fatalf("%+v", receipt)
			}
			w.work()
			redis.Thaw()
			w.awaitRequests(before + 1) // of the first job: the queue is worked through in order
			awaitTrue(t, "the job is withdrawn", func() bool {
				return redis.Do("HGET", w.Names.Job(receipt.ID), "status") == string(withdrawn)
			})
			awaitTrue(t, "its task is gone", func() bool {
				return redis.Do("EXISTS", w.taskKey(receipt.ID)) == int64(0)
			})
			if _, err := w.Job(t.Context(), nil, receipt.ID); err != ErrNotFound {
				t.Errorf("a client sees the withdrawn job: %v", err)
			}
			if slices.Contains(w.requests(), receipt.ID) {
				t.Error("a worker ran the withdrawn job")
			}
		})
	}
}

func TestAKeyWhoseEnqueueIsUnknownIsFreeAgain(t *testing.T) {
	t.Parallel()
	redis := redisd.Start(t)
	w := newWorld(t, redis, answer(201))
	w.accept(w.submission("warm", "k0"))
	w.cut.at("enqueue", redis.Freeze)
	receipt := w.Submit(t.Context(), w.conn.Budget(200*time.Millisecond),
		w.submission("a sword", "k1"))
	redis.Thaw()
	if receipt.Outcome != Withdrawn {
		t.Fatalf("%+v", receipt)
	}
	hold := w.newHold(w.submission("a sword", "k1"), "").key
	awaitTrue(t, "the key leads nowhere",
		func() bool { return redis.Do("EXISTS", hold) == int64(0) })
}

func TestAnAcceptedJobWhoseRecordIsUncertainIsConfirmed(t *testing.T) {
	t.Parallel()
	redis := redisd.Start(t)
	w := newWorld(t, redis, answer(201))
	w.steps = true
	w.accept(w.submission("warm", ""))
	w.cut.at("job-create", redis.Freeze)
	receipt := w.Submit(t.Context(), w.conn.Budget(200*time.Millisecond),
		w.submission("a sword", ""))
	if receipt.Outcome != Accepted {
		t.Fatalf("%+v", receipt)
	}
	redis.Thaw()
	w.work()
	w.await(receipt.ID, Succeeded)
}

func TestWithoutRoomToMakeItCertainTheClientIsToldSo(t *testing.T) {
	t.Parallel()
	for op, steps := range map[string]bool{"enqueue": false, "job-create": true} {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			redis := redisd.Start(t)
			w := newWorld(t, redis, answer(201))
			w.steps = steps
			w.accept(w.submission("warm", ""))
			w.stop() // nothing is mended
			w.mender.todo = make([]mending, maxMending)
			w.cut.at(op, redis.Freeze)
			receipt := w.Submit(t.Context(), w.conn.Budget(200*time.Millisecond),
				w.submission("a sword", ""))
			redis.Thaw()
			if receipt.Outcome != Uncertain || receipt.ID != "" {
				t.Errorf("%+v", receipt)
			}
		})
	}
}

func TestWithoutAJobStoreThereIsNoJob(t *testing.T) {
	t.Parallel()
	redis := redisd.Start(t)
	w := newWorld(t, redis, answer(201))
	redis.Kill()
	for _, key := range []string{"", "k1"} {
		receipt := w.Submit(t.Context(), w.conn.Budget(100*time.Millisecond),
			w.submission("a sword", key))
		if receipt.Outcome != Declined || receipt.Why != reason.JobStoreAway {
			t.Errorf("with the key %q: %+v", key, receipt)
		}
	}
}

func TestAFullJobStoreRefusesTheJob(t *testing.T) {
	t.Parallel()
	redis := redisd.Start(t)
	w := newWorld(t, redis, answer(201))
	redis.Do("CONFIG", "SET", "maxmemory", "1")
	receipt := w.Submit(t.Context(), nil, w.submission("a sword", ""))
	if receipt.Outcome != Declined || receipt.Why != reason.JobStoreAway {
		t.Errorf("%+v", receipt)
	}
}

func TestRedisHoldsNothingReadableOfASealedJob(t *testing.T) {
	t.Parallel()
	redis := redisd.Start(t)
	sealer := mustSealer(t, testKey(1))
	hold, release := make(chan struct{}), make(chan struct{})
	w := newWorld(t, redis, func(rw http.ResponseWriter, _ *http.Request) {
		close(hold)
		<-release
		rw.Header().Set("X-Secret", "of-the-answer")
		_, _ = rw.Write([]byte("secret-of-the-answer"))
	}, func(o *Options) { o.Sealer = sealer })
	w.work()
	id := w.accept(w.submission("secret-of-the-body", "secret-key"))
	<-hold
	dumps := []string{dump(redis)} // while the job runs
	close(release)
	r := w.await(id, Succeeded)
	for _, d := range append(dumps, dump(redis)) {
		if !strings.Contains(d, id) {
			t.Fatal("the dump does not hold the job")
		}
		for _, secret := range []string{
			"secret-of-the-body", "alice-s-secret", "secret-of-the-answer",
			"secret-key", "/craft/1",
		} {
			if strings.Contains(d, secret) {
				t.Errorf("%q can be read in Redis", secret)
			}
		}
	}
	if got, err := w.Result(t.Context(), nil, r); err != nil ||
		string(got.Body) != "secret-of-the-answer" {
		t.Errorf("the result is %+v, %v", got, err)
	}
}

func TestTheRequestIsErasedWhenTheJobIsFinal(t *testing.T) {
	t.Parallel()
	for status, final := range map[int]Status{201: Succeeded, 422: Failed} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			redis := redisd.Start(t)
			w := newWorld(t, redis, answer(status))
			id := w.accept(w.submission("secret-of-the-body", ""))
			if d := dump(redis); !strings.Contains(d, "alice-s-secret") ||
				!strings.Contains(d, "secret-of-the-body") {
				t.Fatal("the request is not in Redis while the job waits: the test looks in the wrong place")
			}
			w.work()
			w.await(id, final)
			if d := dump(redis); strings.Contains(d, "alice-s-secret") ||
				strings.Contains(d, "secret-of-the-body") {
				t.Error("the request is in Redis after the job")
			}
		})
	}
}
