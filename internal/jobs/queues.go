package jobs

import (
	"context"
	"slices"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// defaultPrefix is the prefix whose queues have no prefix.
const defaultPrefix = "sidecar"

// queueNames gives queues their names in asynq: several APIs share a Redis, and their queues keep
// apart.
type queueNames struct{ prefix string }

func (n queueNames) asynq(queue string) string {
	if n.prefix == defaultPrefix {
		return queue
	}
	return n.prefix + "." + queue
}

// A QueueState is one queue in /status.
type QueueState struct {
	Size      int     `json:"size"`    // the next five together
	Pending   int     `json:"pending"` // waiting for a worker
	Active    int     `json:"active"`
	Scheduled int     `json:"scheduled"` // begun by their submission
	Retry     int     `json:"retry"`     // waiting for their next attempt, or for a slot
	Archived  int     `json:"archived"`
	Paused    bool    `json:"paused"`
	Latency   float64 `json:"latency_seconds"` // age of the oldest pending job
}

// States returns the state of each queue in Options.Queues, by its name in the policies, or an
// error if Redis does not answer while ctx lasts.
func (j *Jobs) States(ctx context.Context) (map[string]QueueState, error) {
	out := make(map[string]QueueState, len(j.Queues))
	err := j.Redis.Do(ctx, nil, "queues", func(ctx context.Context, c redis.UniversalClient) error {
		inspector := asynq.NewInspectorFromRedisClient(within{c, ctx})
		known, err := inspector.Queues()
		if err != nil {
			return err
		}
		for queue := range j.Queues {
			if name := j.queue.asynq(queue); !slices.Contains(known, name) {
				// asynq enters the name once in the life of a process, and the store may have come
				// back without it.
				if err := c.SAdd(ctx, "asynq:queues", name).Err(); err != nil {
					return err
				}
			}
			info, err := inspector.GetQueueInfo(j.queue.asynq(queue))
			if err != nil {
				return err
			}
			out[queue] = QueueState{
				Size: info.Size, Pending: info.Pending, Active: info.Active,
				Scheduled: info.Scheduled,
				Retry:     info.Retry, Archived: info.Archived, Paused: info.Paused,
				Latency: info.Latency.Seconds(),
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Report is this package's part of /status.
func (j *Jobs) Report(ctx context.Context) (name string, value any, degraded []string) {
	states, err := j.States(ctx)
	if err != nil {
		return "queues", nil, []string{"the queues are not known: the job store is away"}
	}
	for _, route := range j.unknown.names(time.Now()) {
		degraded = append(degraded, "jobs of the route "+route+
			" wait for a sidecar whose policies have it")
	}
	for _, route := range j.keyless.names(time.Now()) {
		degraded = append(degraded, "jobs of the route "+route+" wait for their key: "+keyRemedy)
	}
	for _, route := range j.unsealed.names(time.Now()) {
		degraded = append(degraded, "jobs of the route "+route+
			" are from before the first JOBS_ENCRYPTION_KEY: "+unsealedRemedy)
	}
	if len(j.foreign.names(time.Now())) > 0 {
		degraded = append(degraded,
			"another application's tasks are in the queues, and are left to it: set REDIS_KEY_PREFIX")
	}
	return "queues", states, degraded
}

// within gives the commands of asynq's Inspector a context; they have none of their own.
type within struct {
	redis.UniversalClient
	ctx context.Context
}

// EvalSha implements redis.Scripter.
func (c within) EvalSha(_ context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	return c.UniversalClient.EvalSha(c.ctx, sha, keys, args...)
}

// Eval implements redis.Scripter.
func (c within) Eval(_ context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return c.UniversalClient.Eval(c.ctx, script, keys, args...)
}

// SIsMember implements redis.Cmdable.
func (c within) SIsMember(_ context.Context, key string, member any) *redis.BoolCmd {
	return c.UniversalClient.SIsMember(c.ctx, key, member)
}

// SMembers implements redis.Cmdable.
func (c within) SMembers(_ context.Context, key string) *redis.StringSliceCmd {
	return c.UniversalClient.SMembers(c.ctx, key)
}
