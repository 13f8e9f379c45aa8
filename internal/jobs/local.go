package jobs

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/policy"
)

const (
	// localMargin is how long after the end of the attempt that its submission begins the task of a
	// job is due. It runs again then if this process has died, and else was taken back before.
	localMargin = 30 * time.Second
	// maxLocal bounds the attempts that submissions have begun. Beyond it a worker begins them.
	maxLocal = 1000
)

// A Local is the first attempt of a job, begun by its submission: the client may get the backend's
// own answer. It is safe for concurrent use.
type Local struct {
	done chan struct{}

	mu       sync.Mutex
	promised bool
	over     bool
	answer   *Response
	fault    string
}

// Done is closed when the attempt is over, or has become a job: Promise tells which.
func (l *Local) Done() <-chan struct{} { return l.done }

// Answer is the backend's answer once Done is closed, or else the reason that there is none.
func (l *Local) Answer() (answer *Response, fault string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answer, l.fault
}

// Promise makes a job of the attempt: its outcome is recorded, and it may be tried again. It
// reports false if the attempt is over, and Answer is for the client.
func (l *Local) Promise() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		l.promised = true
	}
	return l.promised
}

// finish ends the attempt. It reports false if the client was promised a job.
func (l *Local) finish(a attempt) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.promised {
		return false
	}
	l.over, l.answer, l.fault = true, a.response, a.fault
	close(l.done)
	return true
}

// release lets go of those who wait for an attempt that has become a job.
func (l *Local) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		close(l.done)
	}
}

// begins reports whether the submission is to begin the job by itself. It then has the slots.
func (j *Jobs) begins(ctx context.Context, s Submission, id string) (slots []slot, here bool) {
	if s.Within <= 0 || j.Backend == nil || j.attempts.Err() != nil || j.held.count() >= maxLocal {
		return nil, false
	}
	slots = j.slotsOf(s.Job, s.Route, s.Owner)
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	if ok, err := j.takeSlots(ctx, id, slots); err != nil || !ok {
		return nil, false
	}
	return slots, true
}

// beginHere makes r the record of a job whose first attempt has begun.
func (r *Record) beginHere() {
	r.Status, r.Attempts, r.Started, r.runner = Running, 1, r.Queued, newID()
}

// runHere makes the first attempt of r, whose record is created, or may be. It returns at once;
// the Local tells how it comes out.
func (j *Jobs) runHere(r Record, s Submission, slots []slot, known bool) *Local {
	l := &Local{done: make(chan struct{})}
	ctx, ok := j.held.begin(j.attempts, r.ID, "")
	if !ok { // the process ends: another one takes the job when its task is due
		j.dropSlots(r.ID, slots)
		l.Promise()
		return l
	}
	j.held.give(r.ID, slots)
	plan := *j.Plan(s.Request.view(), r.Queued)
	plan.Job = s.Job // the policies may have changed since
	go func() {
		defer j.let(r, slots)
		defer func() {
			if p := recover(); p != nil { // a fault of our own ends this job alone
				j.Log.Error("an attempt panicked", "job_type", r.Type, "panic", p)
				l.Promise()
				l.release()
			}
		}()
		a := j.perform(ctx, r, &plan, s.Request, 1)
		answered := !a.unsent && !a.cutOff && !a.canceled && l.finish(a.attempt)
		if !answered {
			l.Promise()
			l.release()
		}
		if known || j.createLate(r) {
			j.afterLocal(ctx, r, &plan, a, answered)
		}
	}()
	return l
}

// let lets go of a job, and calls those in who wait for its slots.
func (j *Jobs) let(r Record, slots []slot) {
	j.held.end(r.ID)
	if len(slots) > 0 {
		j.dropSlots(r.ID, slots)
		j.callNext(r.Type, r.Queue)
	}
}

// afterLocal records the outcome of an attempt that a submission began, and takes its task back.
func (j *Jobs) afterLocal(ctx context.Context, r Record, plan *policy.Plan,
	a replayed, answered bool) {
	if answered && !r.kept { // its client has the answer, and nobody else can ask for it
		j.leave(r.Type, r.caller, r.ID)
		j.void(r)
		return
	}
	if answered {
		r.MaxRetry = 0 // the client has seen the failure
	}
	err := j.conclude(ctx, r, plan, 1, a)
	background, cancel := context.WithTimeout(context.Background(), recordTimeout)
	defer cancel()
	if again, ok := errors.AsType[*again](err); ok {
		// On an error the task is due later.
		_ = j.putOff(background, r.Queue, r.ID, time.Now().Add(again.after))
		return
	}
	if err == nil {
		j.dropTask(background, r.Queue, r.ID)
	}
}

// createLate creates a record whose creation is unknown, before anything is recorded in it.
func (j *Jobs) createLate(r Record) bool {
	return j.insist(func(ctx context.Context, via Redis) error {
		there, fate := j.create(ctx, via, nil, r, r.waits())
		if fate != executed || there != "" && there != Running {
			return errNotYet
		}
		return nil
	}) == nil
}

// void withdraws a job whose client has the backend's own answer.
func (j *Jobs) void(r Record) {
	life := r.timeout + localMargin + withdrawnLife
	try := func(ctx context.Context, via Redis) error {
		err := via.Do(ctx, nil, "job-void",
			func(ctx context.Context, c redis.UniversalClient) error {
				return voidScript.Run(ctx, c, []string{j.Names.Job(r.ID)},
					life.Milliseconds()).Err()
			})
		if err == nil {
			j.dropTask(ctx, r.Queue, r.ID)
		}
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), recordTimeout)
	defer cancel()
	if try(ctx, j.Redis) != nil && !j.mender.add(mending{try: try}) {
		j.Log.Warn("a request that is answered may be sent once more", "job_type", r.Type)
	}
}

// due is when the task of a submission is to run: at once, or after the attempt that the
// submission itself makes.
func (s Submission) due(here bool) time.Duration {
	if !here {
		return 0
	}
	return min(s.Job.Timeout, math.MaxInt64-localMargin) + localMargin
}
