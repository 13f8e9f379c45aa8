package jobs

import (
	"context"

	"github.com/redis/go-redis/v9"

	"sidecar/internal/redisconn"
)

// Cancel ends a job. One that waits is canceled when it returns. For one that runs the worker is
// told, which cancels its request to the backend and drops the entries that it may have changed;
// the status is then still Running. A job that is over stays as it is. It returns the status, or
// ErrNotFound, or the error of Redis.
func (j *Jobs) Cancel(ctx context.Context, b *redisconn.Budget, r Record) (Status, error) {
	fields := j.canceled(r)
	args := []any{r.retention.Milliseconds(), j.Names.JobNews(), newsJob + r.ID, newsCancel + r.ID}
	var status Status
	err := j.Redis.Do(ctx, b, "job-cancel",
		func(ctx context.Context, c redis.UniversalClient) error {
			text, err := cancelScript.Run(ctx, c, []string{j.Names.Job(r.ID)},
				append(args, fields...)...).Text()
			status = Status(text)
			return err
		})
	switch {
	case err != nil:
		return "", err
	case status == "" || status == withdrawn:
		return "", ErrNotFound
	case status == Running:
		j.held.cancel(r.ID)
	case status == Canceled:
		j.dropTask(ctx, r.Queue, r.ID)
		j.leaveLine(ctx, r)
		j.ended(ctx, r, Canceled)
	}
	return status, nil
}

// canceled are the fields of a record that becomes final as canceled.
func (j *Jobs) canceled(r Record) []any {
	r.Status, r.LastError, r.HasResult, r.resultSum = Canceled, "", false, ""
	return append([]any{"status", string(Canceled), "error", ""}, j.end(r)...)
}
