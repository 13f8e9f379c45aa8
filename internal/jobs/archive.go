package jobs

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// No job of ours ends in asynq's archive by itself: one that fails for good is a task that
// succeeded. A task may be put there with asynq's own tools. asynq would drop it in time, and its
// client would wait for ever.

// maxArchived bounds the tasks that one look at an archive reads, from the newest.
const maxArchived = 100

// revive puts archived tasks back into the queue whose jobs are not over. Tasks of other
// applications have no record, and stay.
func (j *Jobs) revive(ctx context.Context, queue string) error {
	name := j.queue.asynq(queue)
	var ids []string
	err := j.Redis.Do(ctx, nil, "job-archived",
		func(ctx context.Context, c redis.UniversalClient) (err error) {
			ids, err = c.ZRevRange(ctx, asynqKey(name, "archived"), 0, maxArchived-1).Result()
			return err
		})
	for _, id := range ids {
		if r, err := j.Job(ctx, nil, id); err != nil || r.Status.Final() {
			continue
		}
		keys := []string{
			asynqKey(name, "archived"), asynqKey(name, "pending"), asynqKey(name, "t:"+id),
		}
		err := j.Redis.Do(ctx, nil, "job-run",
			func(ctx context.Context, c redis.UniversalClient) error {
				return callScript.Run(ctx, c, keys, id, time.Now().UnixNano()).Err()
			})
		if err != nil {
			return err
		}
		j.Log.Warn("a job whose task was archived goes back to its queue: cancel jobs with "+
			"sidecar jobs cancel",
			"queue", queue)
		j.wakes.wake(name)
	}
	return err
}
