package jobs

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/cachekeys"
	"sidecar/policy"
)

// settlePatience bounds how long a worker tries to record the outcome of an attempt while Redis is
// away. After that the job runs again, when asynq's lease on it has expired.
const settlePatience = 10 * time.Minute

// maxCutOffs bounds the attempts that are cut off because their sidecar ends or dies. The job may
// be the cause: after so many it fails.
const maxCutOffs = 10

// attempt counts an attempt, makes it, drops the entries that it may have changed, and only then
// records its outcome. A client that sees the job done therefore sees no older data.
func (j *Jobs) attempt(ctx, attempts context.Context, r Record, req *Request) error {
	plan := j.Plan(req.view(), r.Queued)
	if plan.Kind != policy.Job {
		return j.unknownRoute(ctx, r)
	}
	if r.Attempts-r.Failures >= maxCutOffs {
		return j.reject(ctx, r, "it was cut off too often")
	}
	n, err := j.start(ctx, r)
	switch {
	case err != nil:
		return &again{after: time.Second, why: "the job store is away"}
	case n == 0:
		return nil // over, or forgotten, since it was read
	}

	a := j.replay(ctx, attempts, r, req)
	if a.unsent {
		j.gate.shut(time.Now())
		return j.giveBack(ctx, attempts, r, n, n-1)
	}
	if !a.cutOff {
		j.gate.reached()
	}
	j.invalidate(ctx, r, tagsOf(plan.Write, req, a, j.MaxInspectBody))
	if a.cutOff {
		return j.giveBack(ctx, attempts, r, n, n)
	}
	return j.conclude(ctx, attempts, r, n, a.attempt)
}

// start counts the attempt. It returns 0 if the job is over or forgotten.
func (j *Jobs) start(ctx context.Context, r Record) (n int, err error) {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	err = j.Redis.Do(ctx, nil, "job-start", func(ctx context.Context, c redis.UniversalClient) (err error) {
		n, err = startScript.Run(ctx, c, []string{j.Names.Job(r.ID)}, time.Now().UnixMilli(), r.waits().Milliseconds()).Int()
		return err
	})
	return n, err
}

// conclude records the outcome of the attempt.
func (j *Jobs) conclude(ctx, attempts context.Context, r Record, n int, a attempt) error {
	rule := retryRule{maxRetry: r.MaxRetry, base: j.RetryBase}
	v := rule.judge(a, r.Failures, time.Now(), rand.Float64())
	failures := r.Failures
	if v.status != Succeeded {
		failures++
	}
	fields := []any{"status", string(v.status), "failures", failures, "error", v.lastError}
	life := r.waits()
	if v.status.Final() {
		life = r.retention
		r.Status, r.LastError = v.status, v.lastError
		if a.response != nil {
			result := j.Sealer.seal(j.binding("result", r.ID, r.Owner), a.response.encode())
			r.HasResult, r.resultSum = true, sumOf(result)
			fields = append(fields, "answered", a.response.Status, "result", result, "result_sum", r.resultSum)
		}
		fields = append(fields, j.end(r)...)
	}
	ours, err := j.settle(ctx, attempts, r, n, life, fields...)
	switch {
	case err != nil:
		j.Log.Error("the outcome of a job could not be recorded: it runs again", "job_type", r.Type, "error", err)
		return &again{after: time.Second, why: "the job store is away"}
	case !ours:
		return nil // asynq has given the task to another worker, and takes no more notice of this one
	}
	j.Processed(r.Type, v.status)
	if v.status == Retrying {
		return &again{after: v.after, failed: true, why: v.lastError}
	}
	j.shortenHold(ctx, r)
	return nil
}

// giveBack returns the job to the queue. Attempt n did not fail: it was not made, or was cut off.
// attempted is the number of attempts that the record has afterwards.
func (j *Jobs) giveBack(ctx, attempts context.Context, r Record, n, attempted int) error {
	status := Queued
	if attempted > 0 {
		status = Retrying
	}
	if _, err := j.settle(ctx, attempts, r, n, r.waits(), "status", string(status), "attempts", attempted); err != nil {
		j.Log.Warn("a job went back to the queue without a note", "job_type", r.Type, "error", err)
	}
	if attempted < n {
		return &again{after: time.Second, why: "the backend refuses connections"}
	}
	return &again{why: "cut off"}
}

// reject ends a job without an attempt.
func (j *Jobs) reject(ctx context.Context, r Record, why string) error {
	r.Status, r.LastError, r.HasResult, r.resultSum = Failed, why, false, ""
	fields := append([]any{"status", string(Failed), "error", why}, j.end(r)...)
	ours, err := j.note(ctx, r, r.Attempts, r.retention, fields...)
	switch {
	case err != nil:
		return &again{after: time.Second, why: "the job store is away"}
	case !ours:
		return nil
	}
	j.Processed(r.Type, Failed)
	j.shortenHold(ctx, r)
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
	_ = j.Redis.Do(ctx, nil, "job-hold-end", func(ctx context.Context, c redis.UniversalClient) error {
		return c.PExpire(ctx, r.hold, r.retention).Err()
	})
}

// invalidate drops the entries that an attempt may have changed.
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

// settle is note, repeated while Redis is away: a job without a recorded outcome runs again. It
// ends when attempts does.
func (j *Jobs) settle(ctx, attempts context.Context, r Record, n int, life time.Duration, fields ...any) (ours bool, err error) {
	end := time.Now().Add(settlePatience)
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, recordTimeout) {
		ours, err = j.note(ctx, r, n, life, fields...)
		if err == nil || attempts.Err() != nil || time.Now().After(end) {
			return ours, err
		}
		select {
		case <-attempts.Done():
		case <-time.After(pause):
		}
	}
}

// note changes the record after attempt n. ours is false if another attempt has begun since, or the
// job is over.
func (j *Jobs) note(ctx context.Context, r Record, n int, life time.Duration, fields ...any) (ours bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	args := append([]any{n, life.Milliseconds()}, fields...)
	err = j.Redis.Do(ctx, nil, "job-settle", func(ctx context.Context, c redis.UniversalClient) (err error) {
		ours, err = settleScript.Run(ctx, c, []string{j.Names.Job(r.ID)}, args...).Bool()
		return err
	})
	return ours, err
}
