package jobs

import (
	"context"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// asynq gives an active task a lease of 30 s and renews it while its worker lives. Its own
// recoverer gives a task whose lease has run out to another worker after 30 s to 90 s more; one
// that is active without a lease, after an eviction or a failover, it never finds. A worker whose
// lease has run out because Redis was away it no longer renews, though it lives.
//
// So each sidecar keeps the leases and slots of all jobs that it holds, and one with workers looks
// for tasks that nobody works on. A script takes such a task out of the active ones before it puts
// it anywhere else, as those of asynq do: only one of them succeeds.
const (
	leaseTerm      = 30 * time.Second // asynq's
	tendInterval   = 5 * time.Second
	leaseGrace     = 10 * time.Second // of a lease that has run out: its worker may be late
	leaseSteady    = 15 * time.Second // after an outage: until all who live have renewed
	maxRecovered   = 100              // tasks in one look at a queue
	idTextLength   = 22
	tendRetryPause = time.Second
)

// renewScript renews the leases of tasks that are active, those too that have lost theirs.
//
// KEYS asynq's active list, its leases; ARGV[1] their term in seconds; ARGV[2:] ids.
var renewScript = redis.NewScript(`
local active = {}
for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
	active[id] = true
end
local till = redis.call('TIME')[1] + ARGV[1]
for i = 2, #ARGV do
	if active[ARGV[i]] then
		redis.call('ZADD', KEYS[2], till, ARGV[i])
	end
end
return 1`)

// recoverScript puts active jobs back into the queue whose lease ran out longer than the grace
// ago, and gives those without a lease one, which their workers, if they live, will renew. Tasks
// of other applications have other ids, and stay.
//
// KEYS asynq's active list, its leases, its pending list; ARGV[1] the grace in seconds; ARGV[2] the
// term; ARGV[3] the prefix of the tasks' keys; ARGV[4] the most that are put back; ARGV[5] the
// length of our ids.
// Returns how many it put back.
var recoverScript = redis.NewScript(`
local n, now = 0, tonumber(redis.call('TIME')[1])
for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
	if #id == tonumber(ARGV[5]) and n < tonumber(ARGV[4]) then
		local till = redis.call('ZSCORE', KEYS[2], id)
		if not till then
			redis.call('ZADD', KEYS[2], now + ARGV[2], id)
		elseif tonumber(till) < now - ARGV[1] then
			redis.call('LREM', KEYS[1], 0, id)
			redis.call('ZREM', KEYS[2], id)
			if redis.call('EXISTS', ARGV[3] .. id) == 1 then
				redis.call('RPUSH', KEYS[3], id)
				redis.call('HSET', ARGV[3] .. id, 'state', 'pending', 'pending_since', now .. '000000000')
				n = n + 1
			end
		end
	end
end
return n`)

// tend keeps the leases of this process's jobs, and recovers jobs without a holder, until ctx is
// done.
func (j *Jobs) tend(ctx context.Context) {
	steady := time.Now() // since when Redis has answered
	for {
		pause := tendInterval
		if err := j.renewHeld(ctx); err != nil {
			steady, pause = time.Now(), tendRetryPause
		} else if err := j.recover(ctx, time.Since(steady)); err != nil {
			steady, pause = time.Now(), tendRetryPause
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func (j *Jobs) renewHeld(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	if err := j.keepSlots(ctx); err != nil {
		return err
	}
	for queue, ids := range j.held.byQueue() {
		if err := j.cancelWanted(ctx, ids); err != nil {
			return err
		}
		if queue == "" { // its task waits elsewhere
			continue
		}
		keys := []string{asynqKey(queue, "active"), asynqKey(queue, "lease")}
		args := []any{int(leaseTerm / time.Second)}
		for _, id := range ids {
			args = append(args, id)
		}
		err := j.Redis.Do(ctx, nil, "job-renew",
			func(ctx context.Context, c redis.UniversalClient) error {
				return renewScript.Run(ctx, c, keys, args...).Err()
			})
		if err != nil {
			return err
		}
	}
	return nil
}

// cancelWanted ends the attempts whose cancellation was published while nobody heard it.
func (j *Jobs) cancelWanted(ctx context.Context, ids []string) error {
	return j.Redis.Do(ctx, nil, "job-wanted",
		func(ctx context.Context, c redis.UniversalClient) error {
			wanted := make([]*redis.StringCmd, len(ids))
			_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
				for i, id := range ids {
					wanted[i] = p.HGet(ctx, j.Names.Job(id), "cancel")
				}
				return nil
			})
			for i, cmd := range wanted {
				if cmd.Val() != "" {
					j.held.cancel(ids[i])
				}
			}
			if err == redis.Nil {
				return nil
			}
			return err
		})
}

// recover looks once. It puts nothing back while Redis has not answered for long enough.
func (j *Jobs) recover(ctx context.Context, steady time.Duration) error {
	if j.Concurrency == 0 || steady < leaseSteady {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	for name := range j.Queues {
		queue := j.queue.asynq(name)
		keys := []string{
			asynqKey(queue, "active"), asynqKey(queue, "lease"), asynqKey(queue, "pending"),
		}
		n := 0
		err := j.Redis.Do(ctx, nil, "job-recover",
			func(ctx context.Context, c redis.UniversalClient) (err error) {
				n, err = recoverScript.Run(ctx, c, keys, int(leaseGrace/time.Second),
					int(leaseTerm/time.Second),
					asynqKey(queue, "t:"), maxRecovered, idTextLength).Int()
				return err
			})
		if err != nil {
			return err
		}
		if n > 0 {
			j.Log.Warn("jobs whose worker died go back to their queue", "queue", name, "jobs", n)
			j.wakes.wake(queue)
		}
		if err := j.revive(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// asynqKey is the key of a part of a queue, by its name in asynq.
func asynqKey(queue, part string) string { return "asynq:{" + queue + "}:" + part }

// putOff changes when a scheduled task is due. A task that is not scheduled any more stays where
// it is.
func (j *Jobs) putOff(ctx context.Context, queue, id string, due time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	return j.Redis.Do(ctx, nil, "job-put-off",
		func(ctx context.Context, c redis.UniversalClient) error {
			z := redis.Z{Score: float64(due.Unix()), Member: id}
			return c.ZAddXX(ctx, asynqKey(j.queue.asynq(queue), "scheduled"), z).Err()
		})
}

// dropTask deletes the task of a job that is over. A task that stays is dropped by the worker that
// takes it.
func (j *Jobs) dropTask(ctx context.Context, queue, id string) {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	_ = j.Redis.Do(ctx, nil, "job-drop", func(ctx context.Context, c redis.UniversalClient) error {
		// An active task cannot be deleted, and need not be.
		_ = asynq.NewInspectorFromRedisClient(within{c, ctx}).DeleteTask(j.queue.asynq(queue), id)
		return nil
	})
}
