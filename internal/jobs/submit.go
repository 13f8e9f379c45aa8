package jobs

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"sidecar/internal/reason"
	"sidecar/internal/redisconn"
	"sidecar/policy"
)

// A Submission is a request that is to become a job.
type Submission struct {
	Request *Request
	Route   string
	Job     *policy.JobPlan
	Owner   string // the caller's ID; "" without credentials
	Key     string // the client's Idempotency-Key; "" if it sent none
	// Within is how long the client waits for the backend's own answer: the submission then makes
	// the first attempt itself. 0: a worker makes it.
	Within time.Duration
}

// owner is whose the job is: nobody's, where its id is enough to see it.
func (s Submission) owner() string {
	if s.Job.Link {
		return ""
	}
	return s.Owner
}

// KeyFor is the Idempotency-Key with which the backend gets the request of the job id.
func (s Submission) KeyFor(id string) string {
	if s.Key != "" {
		return s.Key
	}
	return id
}

// An Outcome is the result of a submission.
type Outcome int

// The outcomes. With Declined and Withdrawn the caller sends the request to the backend itself.
const (
	Accepted Outcome = iota // the job will run, or has: answer 202
	Declined                // there is no job
	// there may be a task: send the job's ID to the backend as Idempotency-Key. No worker will run
	// it
	Withdrawn
	Mismatch      // the same Idempotency-Key came with another request before
	Full          // as many jobs of the route are pending as may be
	FullForCaller // as many jobs of the caller are
	// whether the job will run is not known, and too much is waiting to be made certain already
	Uncertain
)

// A Receipt is the answer to a submission.
type Receipt struct {
	Outcome Outcome
	ID      string // Accepted, Withdrawn
	Status  Status // Accepted: Queued, or how far the job is to which the key led
	Local   *Local // Accepted: the first attempt, where the submission has begun it; else nil
	Why     reason.Reason
}

// Submit makes a job of a request, as the package comment describes. It does not depend on whether
// the client stays: ctx ends nothing, the budget does.
func (j *Jobs) Submit(ctx context.Context, b *redisconn.Budget, s Submission) Receipt {
	ctx = context.WithoutCancel(ctx)
	if !j.steps {
		return j.submitJoined(ctx, b, s)
	}
	h := j.newHold(s, newID())
	id := h.id
	if h.key == "" {
		id = newID()
	} else {
		there, fate, err := j.take(ctx, b, h)
		switch {
		case err != nil:
			if !fate.certainlyNot() {
				j.withdraw(s.Job.Queue, h)
			}
			return Receipt{Outcome: Declined, Why: reason.JobStoreAway}
		case there.print != h.print || there.id != h.id:
			return j.follow(ctx, b, s, h, there)
		}
	}
	return j.submit(ctx, b, s, id, h, false)
}

// follow answers a POST whose key leads to another job than h.
func (j *Jobs) follow(ctx context.Context, b *redisconn.Budget, s Submission,
	h, there hold) Receipt {
	if there.print != h.print {
		return Receipt{Outcome: Mismatch}
	}
	if r, done := j.earlier(ctx, b, there.id); done {
		return r
	}
	// The POST that came first has not created its record yet, or never will. Both of them can go
	// on with the same job: the second task is refused, and so is the second record.
	return j.submit(ctx, b, s, there.id, there, true)
}

// earlier is the receipt for a key that leads to the job id. done is false if there is no record.
func (j *Jobs) earlier(ctx context.Context, b *redisconn.Budget, id string) (r Receipt, done bool) {
	record, err := j.peek(ctx, b, id, public)
	switch {
	case errors.Is(err, ErrNotFound):
		return Receipt{}, false
	case err != nil:
		return Receipt{Outcome: Declined, Why: reason.JobStoreAway}, true
	case record.unconfirmed: // its own submission may be about to withdraw it
		ok, err := j.confirmNow(ctx, b, id, record.Queue)
		if err != nil {
			return Receipt{Outcome: Declined, Why: reason.JobStoreAway}, true
		}
		if !ok {
			record.Status = withdrawn
		}
	}
	// that request went to the backend with the key, and so does this one
	if record.Status == withdrawn {
		return Receipt{Outcome: Declined, Why: reason.EnqueueUnknown}, true
	}
	return Receipt{Outcome: Accepted, ID: id, Status: record.Status, Why: reason.Queued}, true
}

// submit takes the steps one by one. Only the POST that came first withdraws a job that it cannot
// finish: an adopted job may have been promised to another client.
func (j *Jobs) submit(ctx context.Context, b *redisconn.Budget, s Submission, id string, h hold,
	adopted bool) Receipt {
	if _, ok := j.mac("task"); !ok {
		return Receipt{Outcome: Declined, Why: reason.KeySecretUnknown}
	}
	record := j.newRecord(s, id, h)
	giveUp := func() {
		if h.id = id; !adopted {
			j.leaveLater(s.Route, s.Owner, id)
			j.withdraw(s.Job.Queue, h)
		}
	}
	if r, ok := j.admitted(ctx, b, s, id, h, len(record.request), adopted); !ok {
		return r
	}
	slots, here := j.begins(ctx, s, id)
	if here {
		record.beginHere()
	}
	switch fate := j.enqueue(ctx, b, s, id, record.Queued, s.due(here)); {
	case fate.certainlyNot():
		j.dropSlots(id, slots)
		if h.key != "" {
			giveUp()
		} else {
			j.leaveLater(s.Route, s.Owner, id)
		}
		return Receipt{Outcome: Declined, Why: reason.JobStoreAway}
	case fate == unknown:
		j.dropSlots(id, slots)
		giveUp()
		return Receipt{Outcome: Withdrawn, ID: id, Why: reason.EnqueueUnknown}
	}
	there, fate := j.create(ctx, j.Redis, b, record, record.waits())
	if here && (fate == executed && there == "" || fate == unknown) {
		j.Queued(s.Route, s.Job.Queue)
		local := j.runHere(record, s, slots, fate == executed)
		return Receipt{Outcome: Accepted, ID: id, Status: Running, Local: local, Why: reason.Queued}
	}
	j.dropSlots(id, slots)
	switch {
	case fate == executed && there == withdrawn:
		return Receipt{Outcome: Declined, Why: reason.EnqueueUnknown}
	case fate == executed && there != "":
		return Receipt{Outcome: Accepted, ID: id, Status: there, Why: reason.Queued}
	case fate.certainlyNot():
		giveUp()
		return Receipt{Outcome: Withdrawn, ID: id, Why: reason.JobStoreAway}
	case fate == unknown && !j.confirm(record):
		return Receipt{Outcome: Uncertain, Why: reason.EnqueueUnknown}
	}
	j.wakes.wake(j.queue.asynq(s.Job.Queue))
	j.Queued(s.Route, s.Job.Queue)
	return Receipt{Outcome: Accepted, ID: id, Status: Queued, Why: reason.Queued}
}

// newRecord is the record of a job that has not begun.
func (j *Jobs) newRecord(s Submission, id string, h hold) Record {
	r := Record{
		ID: id, Type: s.Route, Queue: s.Job.Queue, Owner: s.owner(), Status: Queued,
		MaxRetry: s.Job.MaxRetry,
		Queued:   time.Now().Truncate(time.Millisecond), retention: s.Job.Retention,
		timeout: s.Job.Timeout,
		caller:  s.Owner, kept: h.key != "",
		request: j.Sealer.seal(j.binding("request", id, s.owner()), s.Request.encode()),
	}
	if h.life == 0 { // it ends with the job
		r.hold = h.key
	}
	r.requestSum = sumOf(r.request)
	r.accepted, _ = j.mac("accepted", r.terms()...)
	return r
}

// admitted takes the places of the job. ok is false if it does not become one.
func (j *Jobs) admitted(
	ctx context.Context, b *redisconn.Budget, s Submission, id string, h hold,
	size int, adopted bool,
) (r Receipt, ok bool) {
	full, err := j.admit(ctx, b, s, id, size)
	if err == nil && full < 0 {
		return Receipt{}, true
	}
	if h.id = id; !adopted && h.key != "" {
		j.soon(func(ctx context.Context, via Redis) error { return j.release(ctx, via, h) })
	}
	if err != nil {
		return Receipt{Outcome: Declined, Why: reason.JobStoreAway}, false
	}
	return fullReceipt(full), false
}

// fullReceipt is the receipt where a scope has no room.
func fullReceipt(scope int) Receipt {
	if scope == 0 {
		return Receipt{Outcome: Full, Why: reason.JobsPending}
	}
	return Receipt{Outcome: FullForCaller, Why: reason.JobsPending}
}

// enqueue is the first step. The task is due after some time. One that is there already has been
// enqueued.
func (j *Jobs) enqueue(
	ctx context.Context, b *redisconn.Budget, s Submission, id string, now time.Time,
	after time.Duration,
) fate {
	task := asynq.NewTask(s.Route, j.newStub(id, now))
	fate, _ := once(ctx, j.Redis, b, "enqueue",
		func(ctx context.Context, _ redis.UniversalClient) error {
			_, err := j.client.EnqueueContext(ctx, task,
				asynq.TaskID(id), asynq.Queue(j.queue.asynq(s.Job.Queue)),
				asynq.MaxRetry(math.MaxInt32), asynq.Timeout(s.Job.Timeout+forever),
				asynq.ProcessIn(after))
			if errors.Is(err, asynq.ErrTaskIDConflict) {
				return nil
			}
			return err
		})
	return fate
}

// create is the second step, or the withdrawal. It returns the status of the record that was there
// before, "" if none was.
func (j *Jobs) create(ctx context.Context, via Redis, b *redisconn.Budget, r Record,
	life time.Duration) (Status, fate) {
	args := append([]any{
		life.Milliseconds(), j.Names.JobNews(), newsQueue + j.queue.asynq(r.Queue),
	}, r.fields()...)
	var there string
	fate, err := once(ctx, via, b, "job-create",
		func(ctx context.Context, c redis.UniversalClient) (err error) {
			there, err = createScript.Run(ctx, c, []string{j.Names.Job(r.ID)}, args...).Text()
			return err
		})
	if err != nil && fate == executed { // an answer that is no text: not ours to understand
		fate = unknown
	}
	return Status(there), fate
}
