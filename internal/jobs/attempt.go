package jobs

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/cachekeys"
	"sidecar/internal/tracing"
	"sidecar/policy"
)

// settlePatience bounds how long a worker tries to record the outcome of an attempt while Redis is
// away. After that the job runs again, when asynq's lease on it has expired.
const settlePatience = 10 * time.Minute

// maxCutOffs bounds the attempts that are cut off because their sidecar ends or dies. The job may
// be the cause: after so many it fails.
const maxCutOffs = 10

// attempt counts an attempt, makes it, drops the entries that it may have changed, and only then
// records its outcome. A client that sees the job done therefore sees no older data. ctx is that of
// asynq's task, and ends when the lease does; own is that of the attempt.
func (j *Jobs) attempt(ctx, own context.Context, r Record, req *Request) error {
	plan := j.planOf(r, req)
	if plan.Kind != policy.Job {
		return j.unknownRoute(ctx, r)
	}
	if r.Attempts-r.Failures >= maxCutOffs {
		return j.reject(ctx, r, "it was cut off too often")
	}
	slots := j.slotsOf(plan.Job, r.Type, r.caller)
	if len(slots) > 0 {
		ok, err := j.takeSlots(ctx, r.ID, slots)
		switch {
		case err != nil:
			return &again{after: time.Second, why: "the job store is away"}
		case !ok:
			return j.park(ctx, r)
		}
		j.leaveLine(ctx, r)
		j.held.give(r.ID, slots)
		defer func() { j.dropSlots(r.ID, slots); j.callNext(r.Type, r.Queue) }()
	}
	n, err := j.start(ctx, r)
	switch {
	case err != nil:
		return &again{after: time.Second, why: "the job store is away"}
	case n == scriptOver:
		return nil // over, or forgotten, since it was read
	case n == scriptOther:
		return &again{after: time.Second, why: "its record has changed"}
	}
	if n == 1 {
		j.Begun(r.Type, time.Since(r.Queued))
	}
	return j.conclude(own, r, plan, n, j.perform(own, r, plan, req, n))
}

// perform makes attempt n and drops the entries that it may have changed.
func (j *Jobs) perform(ctx context.Context, r Record, plan *policy.Plan,
	req *Request, n int) replayed {
	began := time.Now()
	span := j.beginSpan(r, req, n, began)
	ctx = tracing.With(ctx, span)
	a := j.replay(ctx, r, plan, req, n)
	defer func() { endSpan(span, a) }()
	j.Attempted(r.Type, a.result(), time.Since(began))
	if a.unsent {
		j.gate.shut(time.Now())
		return a
	}
	if !a.cutOff {
		j.gate.reached()
	}
	j.invalidate(ctx, r, tagsOf(plan.Write, req, a, j.MaxInspectBody))
	return a
}

// start counts the attempt. It returns its number, scriptOver or scriptOther.
func (j *Jobs) start(ctx context.Context, r Record) (n int, err error) {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	args := []any{
		time.Now().UnixMilli(), r.waits().Milliseconds(), r.Attempts, newID(),
		j.Names.JobNews(), newsJob + r.ID,
	}
	err = j.Redis.Do(ctx, nil, "job-start",
		func(ctx context.Context, c redis.UniversalClient) (err error) {
			n, err = startScript.Run(ctx, c, []string{j.Names.Job(r.ID)}, args...).Int()
			return err
		})
	return n, err
}

// conclude records the outcome of attempt n.
func (j *Jobs) conclude(ctx context.Context, r Record, plan *policy.Plan, n int, a replayed) error {
	switch {
	case a.unsent:
		return j.giveBack(ctx, r, n, n-1)
	case a.canceled:
		return j.finish(ctx, r, n, Canceled, j.canceled(r)...)
	case a.cutOff:
		return j.giveBack(ctx, r, n, n)
	}
	rule := retryRule{maxRetry: r.MaxRetry, base: j.RetryBase, also: plan.Job.RetryOn}
	v := rule.judge(a.attempt, r.Failures, time.Now(), rand.Float64())
	if a.response != nil && a.response.Status == http.StatusUnauthorized {
		v.lastError += expired(plan.Caller.Expires, time.Now())
	}
	failures := r.Failures
	if v.status != Succeeded {
		failures++
	}
	fields := []any{"status", string(v.status), "failures", failures, "error", v.lastError}
	if !v.status.Final() {
		return j.retryLater(ctx, r, n, v, fields)
	}
	r.Status, r.LastError = v.status, v.lastError
	if a.response != nil {
		result := j.Sealer.seal(j.binding("result", r.ID, r.Owner), a.response.encode())
		r.HasResult, r.resultSum = true, sumOf(result)
		fields = append(fields, "answered", a.response.Status, "result", result,
			"result_sum", r.resultSum)
	}
	return j.finish(ctx, r, n, v.status, append(fields, j.end(r)...)...)
}

// expired says that a token which expired at the given time is the reason for a 401; "" if it has
// none, or has not.
func expired(at, now time.Time) string {
	if at.IsZero() || now.Before(at) {
		return ""
	}
	return ": the request's token expired at " + at.UTC().Format(time.RFC3339)
}

// finish makes the job final after attempt n.
func (j *Jobs) finish(ctx context.Context, r Record, n int, status Status, fields ...any) error {
	code, err := j.settle(r, n, r.retention, fields...)
	switch {
	case err != nil:
		j.Log.Error("the outcome of a job could not be recorded: it runs again", "job_type",
			r.Type, "error", err)
		return &again{after: time.Second, why: "the job store is away"}
	case code == scriptOver:
		return nil
	case code == scriptOther:
		return lostAttempt()
	}
	r.Attempts = n
	j.ended(ctx, r, status)
	return nil
}

// ended is called once for each job that has become final. One that failed is named in the log.
func (j *Jobs) ended(ctx context.Context, r Record, status Status) {
	j.Processed(r.Type, status)
	if status == Failed {
		j.logFailure(r)
	}
	j.shortenHold(ctx, r)
	j.leave(r.Type, r.caller, r.ID)
}

func (j *Jobs) logFailure(r Record) {
	id := r.ID
	if r.Owner == "" {
		id = id[:min(len(id), 8)] + "…" // who has all of it has the job
	}
	j.Log.Warn("a job failed", "job_id", id, "job_type", r.Type, "queue", r.Queue,
		"attempts", r.Attempts, "error", r.LastError)
}

// lostAttempt gives a task back whose record says that another attempt has begun since. Where
// another worker has the task, asynq takes no more notice of this one. A task never goes while its
// record is not final.
func lostAttempt() error { return &again{after: time.Second, why: "another attempt has begun"} }

// retryLater records an attempt after which there will be another.
func (j *Jobs) retryLater(ctx context.Context, r Record, n int, v verdict, fields []any) error {
	code, err := j.settle(r, n, r.waits(), fields...)
	switch {
	case err != nil:
		j.Log.Error("the outcome of a job could not be recorded: it runs again", "job_type",
			r.Type, "error", err)
		return &again{after: v.after, why: "the job store is away"}
	case code == scriptOver:
		return nil
	case code == scriptOther:
		return lostAttempt()
	case code == settledCancel:
		return j.finish(ctx, r, n, Canceled, j.canceled(r)...)
	}
	j.Processed(r.Type, v.status)
	return &again{after: v.after, failed: true, why: v.lastError}
}

// giveBack returns the job to the queue. Attempt n did not fail: it was not made, or was cut off.
// attempted is the number of attempts that the record has afterwards.
func (j *Jobs) giveBack(ctx context.Context, r Record, n, attempted int) error {
	status := Queued
	if attempted > 0 {
		status = Retrying
	}
	code, err := j.settle(r, n, r.waits(), "status", string(status), "attempts", attempted)
	switch {
	case err != nil:
		j.Log.Warn("a job went back to the queue without a note", "job_type", r.Type, "error", err)
	case code == scriptOver:
		return nil
	case code == scriptOther:
		return lostAttempt()
	case code == settledCancel:
		return j.finish(ctx, r, attempted, Canceled, j.canceled(r)...)
	}
	if attempted < n {
		return &again{after: time.Second, why: "the backend refuses connections"}
	}
	return &again{after: j.grace(n - r.Failures), why: "cut off"}
}

// grace is how long a job waits after its nth attempt that was cut off. The backend may still be at
// work on it, though its connection is closed: a job that is cut off again and again would run many
// times at once.
func (j *Jobs) grace(cutOffs int) time.Duration {
	return min(j.CutOffGrace<<min(max(cutOffs-1, 0), 10), maxBackoff)
}

// reject ends a job without an attempt.
func (j *Jobs) reject(ctx context.Context, r Record, why string) error {
	r.Status, r.LastError, r.HasResult, r.resultSum = Failed, why, false, ""
	fields := append([]any{"status", string(Failed), "error", why}, j.end(r)...)
	return j.withoutAttempt(ctx, r, Failed, fields)
}

// withoutAttempt makes a job final that is not under way.
func (j *Jobs) withoutAttempt(ctx context.Context, r Record, status Status, fields []any) error {
	code, err := j.note(ctx, j.Redis, r, r.Attempts, r.retention, fields...)
	switch {
	case err != nil:
		return &again{after: time.Second, why: "the job store is away"}
	case code == scriptOver:
		return nil
	case code == scriptOther:
		return lostAttempt()
	}
	j.ended(ctx, r, status)
	return nil
}

// end are the last fields of a record that becomes final as r is.
func (j *Jobs) end(r Record) []any {
	mac, _ := j.mac("ended", r.outcome()...)
	return []any{"finished", time.Now().UnixMilli(), "ended", mac}
}

// shortenHold makes the Idempotency-Key expire with the job. On an error the key is kept longer,
// which does no harm.
func (j *Jobs) shortenHold(ctx context.Context, r Record) {
	if r.hold == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	_ = j.Redis.Do(ctx, nil, "job-hold-end",
		func(ctx context.Context, c redis.UniversalClient) error {
			return c.PExpire(ctx, r.hold, r.retention).Err()
		})
}

// invalidate drops the entries that an attempt may have changed, also when ctx is done.
func (j *Jobs) invalidate(ctx context.Context, r Record, tags []cachekeys.Tag) {
	if len(tags) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if err := j.Invalidator.Changed(ctx, tags); err != nil {
		j.Log.Warn("what a job changed is not invalidated yet", "job_type", r.Type, "error", err)
	}
}

// settle is note, repeated while Redis is away: a job without a recorded outcome runs again.
func (j *Jobs) settle(r Record, n int, life time.Duration, fields ...any) (code int, err error) {
	err = j.insist(func(ctx context.Context, via Redis) (err error) {
		code, err = j.note(ctx, via, r, n, life, fields...)
		return err
	})
	return code, err
}

// insist repeats try while it fails, for settlePatience. When the process ends it goes past the
// breaker, which may be open though Redis is back, for as long as there is time.
func (j *Jobs) insist(try func(ctx context.Context, via Redis) error) error {
	end := time.Now().Add(settlePatience)
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, recordTimeout) {
		via, wait := j.Redis, j.attempts.Done()
		if j.attempts.Err() != nil {
			via, wait, pause = direct{j.Redis}, j.last.Done(), min(pause, mendPause)
		}
		ctx, cancel := context.WithTimeout(j.last, recordTimeout)
		err := try(ctx, via)
		cancel()
		if err == nil || j.last.Err() != nil || time.Now().After(end) {
			return err
		}
		select {
		case <-wait:
		case <-time.After(pause):
		}
	}
}

// note changes the record after attempt n, and returns settleScript's answer.
func (j *Jobs) note(ctx context.Context, via Redis, r Record, n int, life time.Duration,
	fields ...any) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	args := append([]any{n, life.Milliseconds(), j.Names.JobNews(), newsJob + r.ID}, fields...)
	err = via.Do(ctx, nil, "job-settle",
		func(ctx context.Context, c redis.UniversalClient) (err error) {
			code, err = settleScript.Run(ctx, c, []string{j.Names.Job(r.ID)}, args...).Int()
			return err
		})
	return code, err
}
