package jobs

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sidecar/policy"
)

// acceptedBefore is the id of a job that waits since d.
func (w *world) acceptedBefore(d time.Duration, s Submission) (id string) {
	w.t.Helper()
	r := w.newRecord(s, newID(), hold{})
	r.Queued = time.Now().Add(-d).Truncate(time.Millisecond)
	r.accepted, _ = w.mac("accepted", r.terms()...)
	if fate := w.enqueue(w.t.Context(), nil, s, r.ID, r.Queued, 0); fate != executed {
		w.t.Fatal("the task is not enqueued")
	}
	if there, fate := w.create(w.t.Context(), w.Redis, nil, r, r.waits()); fate != executed ||
		there != "" {
		w.t.Fatal("the record is not created")
	}
	return r.ID
}

func TestARotationOfTheSealingKeyLosesNoJob(t *testing.T) {
	t.Parallel()
	older, newer := testKey(1), testKey(2)
	w := newWorld(t, shared, answer(201), func(o *Options) { o.Sealer = mustSealer(t, older) })
	var ids []string
	for _, keys := range []string{older, older + "," + newer, newer + "," + older} {
		w.Sealer = mustSealer(t, keys)
		ids = append(ids, w.accept(w.submission("a sword", "")))
	}
	w.work()
	for _, id := range ids {
		r := w.await(id, Succeeded)
		if a, err := w.Result(t.Context(), nil, r); err != nil || a.Status != 201 {
			t.Errorf("%+v, %v", a, err)
		}
	}
	w.Sealer = mustSealer(t, newer) // their results are sealed with it
	id := w.accept(w.submission("a sword", ""))
	for _, id := range append(ids, id) {
		r := w.await(id, Succeeded)
		if a, err := w.Result(t.Context(), nil, r); err != nil || a.Status != 201 {
			t.Errorf("with the new key alone: %+v, %v", a, err)
		}
	}
}

func TestAJobWhoseKeyIsMissingWaitsForItsRetention(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201), func(o *Options) {
		o.Sealer = mustSealer(t, testKey(1))
	})
	kept, short := w.submission("a sword", ""), w.submission("a sword", "")
	kept.Job, short.Job = &policy.JobPlan{}, &policy.JobPlan{}
	*kept.Job, *short.Job = *w.submission("", "").Job, *w.submission("", "").Job
	kept.Job.Retention, short.Job.Retention = 24*time.Hour, time.Minute
	waits, fails := w.acceptedBefore(2*time.Hour, kept), w.acceptedBefore(2*time.Hour, short)
	w.Sealer = mustSealer(t, testKey(2))
	stop := w.work()
	if r := w.await(fails, Failed); r.Attempts != 0 ||
		!strings.Contains(r.LastError, "JOBS_ENCRYPTION_KEY") {
		t.Errorf("%+v", r)
	}
	awaitTrue(t, "the other one waits",
		func() bool { return !w.retryAt(shared.For(t), waits).IsZero() })
	_, _, degraded := w.Report(t.Context())
	if !strings.Contains(fmt.Sprint(degraded), "the route craft wait for their key") {
		t.Errorf("/status: %q", degraded)
	}
	stop()
	back := newWorld(t, shared, answer(201), func(o *Options) {
		o.Sealer = mustSealer(t, testKey(2)+","+testKey(1))
	})
	if r, err := back.Job(t.Context(), nil, waits); err != nil || r.Status != Queued {
		t.Fatalf("%+v, %v", r, err)
	}
	if waited, err := back.RunNow(t.Context(), Record{ID: waits, Queue: "default"}); err != nil ||
		!waited {
		t.Fatal(waited, err)
	}
	back.work()
	back.await(waits, Succeeded)
}

// A secret that was made in the job store does not tell a sidecar from somebody who writes there.
func TestJobsFromBeforeTheFirstKeyRunWhereTheSecretIsTheOperators(t *testing.T) {
	t.Parallel()
	for own, name := range map[bool]string{true: "the operator's", false: "of the store"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, shared, answer(201), func(o *Options) { o.OwnSecret = own })
			done := w.accept(w.submission("a bow", ""))
			stop := w.work()
			w.await(done, Succeeded)
			stop()
			id := w.accept(w.submission("a sword", ""))
			next := newWorld(t, shared, answer(201), func(o *Options) {
				o.OwnSecret, o.Sealer = own, mustSealer(t, testKey(1))
			})
			r, err := next.Job(t.Context(), nil, done)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := next.Result(t.Context(), nil, r); (err == nil) != own {
				t.Errorf("the result from before: %v", err)
			}
			stop = next.work()
			if own {
				next.await(id, Succeeded)
				return
			}
			awaitTrue(t, "the job waits", func() bool {
				return !w.retryAt(shared.For(t), id).IsZero()
			})
			if _, _, degraded := next.Report(t.Context()); !strings.Contains(fmt.Sprint(degraded),
				unsealedRemedy) {
				t.Errorf("/status: %q", degraded)
			}
			stop()
			without := newWorld(t, shared, answer(201))
			if waited, err := without.RunNow(t.Context(),
				Record{ID: id, Queue: "default"}); err != nil || !waited {
				t.Fatal(waited, err)
			}
			without.work()
			without.await(id, Succeeded)
		})
	}
}
