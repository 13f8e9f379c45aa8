package jobs

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"sidecar/internal/reason"
	"sidecar/test/redisd"
)

func TestASubmissionIsOneRoundTrip(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{"without a key": "", "with one": "k1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, shared, answer(201))
			w.accept(w.submission("warm", "k0"))
			w.confirmed()
			w.stop() // what others do at the same time is not counted
			before := len(w.cut.ops())
			w.accept(w.submission("a sword", key))
			if got := w.cut.ops()[before:]; !slices.Equal(got, []string{"enqueue"}) {
				t.Errorf("it took %q", got)
			}
		})
	}
}

// confirmed waits until every job is.
func (w *world) confirmed() {
	w.t.Helper()
	awaitTrue(w.t, "it is confirmed", func() bool {
		return slices.Contains(w.cut.ops(), "job-confirm")
	})
}

// unconfirmed submits a request whose submission dies before the job is confirmed.
func (w *world) unconfirmed(r *redisd.Server, key string) (id string) {
	w.t.Helper()
	w.stop()
	id = w.accept(w.submission("a sword", key))
	if got := r.Do("HGET", w.Names.Job(id), "unconfirmed"); got != "0" {
		w.t.Fatalf("the job is confirmed: %v", got)
	}
	return id
}

func TestAJobWhoseSubmissionDiedRunsInTheEnd(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t, shared, answer(201)), shared.For(t)
	id := w.unconfirmed(r, "")
	w.work()
	awaitTrue(t, "a worker has looked", func() bool {
		return r.Do("HGET", w.Names.Job(id), "unconfirmed") == "1"
	})
	awaitTrue(t, "the task waits", func() bool { return !w.retryAt(r, id).IsZero() })
	if in := time.Until(w.retryAt(r, id)); in < time.Second || len(w.requests()) != 0 {
		t.Errorf("the next look is in %v, after %d requests", in, len(w.requests()))
	}
	r.Do("HSET", w.Names.Job(id), "unconfirmed", strconv.Itoa(unconfirmedLooks-1))
	if _, err := w.RunNow(t.Context(), Record{ID: id, Queue: "default"}); err != nil {
		t.Error(err)
	}
	w.await(id, Succeeded)
	if r.Do("HEXISTS", w.Names.Job(id), "unconfirmed") != int64(0) {
		t.Error("it still counts as unconfirmed")
	}
}

func TestAJobIsConfirmedAtTheEndPastAnOpenBreaker(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t, shared, answer(201)), shared.For(t)
	w.accept(w.submission("warm", ""))
	w.confirmed()
	w.cut.at("job-confirm", func() { w.cut.shut.Store(true) })
	id := w.accept(w.submission("a sword", ""))
	w.stop()
	if r.Do("HEXISTS", w.Names.Job(id), "unconfirmed") != int64(0) {
		t.Error("it is not confirmed")
	}
}

func TestAKeyThatLeadsToAnUnconfirmedJobConfirmsIt(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t, shared, answer(201)), shared.For(t)
	id := w.unconfirmed(r, "k1")
	if other := w.accept(w.submission("a sword", "k1")); other != id {
		t.Fatalf("jobs %s and %s", id, other)
	}
	h := w.newHold(w.submission("a sword", "k1"), id)
	w.withdraw("default", h) // of the submission that came first
	w.during(w.Run)
	awaitTrue(t, "that was tried", func() bool { return w.mender.size() == 0 })
	w.work()
	w.await(id, Succeeded)
}

func TestAKeyThatLeadsToAWithdrawnJobMakesNone(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t, shared, answer(201)), shared.For(t)
	id := w.unconfirmed(r, "k1")
	w.cut.at("job-confirm", func() {
		record := []string{w.Names.Job(id)}
		if there := withdrawScript.Run(t.Context(), r.Client(), record,
			60_000).Val(); there != "withdrawn" {
			t.Errorf("the record says %v", there)
		}
	})
	got := w.Submit(t.Context(), nil, w.submission("a sword", "k1"))
	if got.Outcome != Declined || got.Why != reason.EnqueueUnknown {
		t.Errorf("%+v", got)
	}
}

func TestASubmissionThatArrivesAfterItsWithdrawalMakesNoTask(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t, shared, answer(201)), shared.For(t)
	s := w.submission("a sword", "")
	record := w.newRecord(s, newID(), hold{})
	r.Do("HSET", w.Names.Job(record.ID), "status", string(withdrawn))
	part, fate := w.join(t.Context(), nil, s, hold{}, record, false)
	if fate != executed || part.what != joinedThere || part.detail != string(withdrawn) {
		t.Errorf("%v, %+v", fate, part)
	}
	if r.Do("EXISTS", w.taskKey(record.ID)) != int64(0) {
		t.Error("there is a task")
	}
}
