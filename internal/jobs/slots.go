package jobs

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/policy"
)

// A route may bound how many of its jobs run at once, and those of one caller, across all sidecars.
// A job takes its slots before its attempt, and renews them while it runs; those of a sidecar that
// died come back when they run out. A job without a slot goes back to the queue, so that it holds
// no worker, and waits in line. Who gives a slot back calls the first ones in; a job that nobody
// calls looks by itself.
const (
	slotTerm   = 30 * time.Second
	slotLook   = 2 * time.Second       // between two looks of a job that waits, and longer
	slotEach   = 20 * time.Millisecond // by so much for each that waits with it,
	maxSlot    = 30 * time.Second      // up to this
	calledIn   = 3                     // jobs that one slot calls: the first may lack its other one
	parkedLife = 7 * 24 * time.Hour    // of the line, since the last one came
)

// slotScript takes a slot.
//
// KEYS[1] members with the time when they end; ARGV[1] the most; ARGV[2] the term in seconds;
// ARGV[3] the job.
// Returns 1 if the job has it, else 0.
var slotScript = redis.NewScript(`
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if not redis.call('ZSCORE', KEYS[1], ARGV[3]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then
	return 0
end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1`)

// keepScript renews a slot that the job has. KEYS and ARGV as above, without the most.
var keepScript = redis.NewScript(`
if redis.call('ZSCORE', KEYS[1], ARGV[2]) then
	redis.call('ZADD', KEYS[1], redis.call('TIME')[1] + ARGV[1], ARGV[2])
	redis.call('EXPIRE', KEYS[1], ARGV[1])
end
return 1`)

// callScript moves a task whose time has not come to the queue.
//
// KEYS asynq's retry set, its pending list, the task; ARGV[1] the job; ARGV[2] now in nanoseconds.
// Returns 1 if it moved it, 0 if it does not wait, -1 if there is none.
var callScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[3]) == 0 then
	return -1
end
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then
	return 0
end
redis.call('LPUSH', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[3], 'state', 'pending', 'pending_since', ARGV[2])
return 1`)

// A slot is one bound on the jobs that run at once.
type slot struct {
	key  string
	most int
}

// slotsOf are the slots that a job of the route needs.
func (j *Jobs) slotsOf(job *policy.JobPlan, route, caller string) (slots []slot) {
	scopes := scopesOf(route, caller)
	for i, most := range []int{job.MaxRunning, job.MaxRunningPerCaller} {
		if most > 0 {
			slots = append(slots, slot{j.Names.Slots(scopes[i]), most})
		}
	}
	return slots
}

// takeSlots takes all slots of the job, or none.
func (j *Jobs) takeSlots(ctx context.Context, id string, slots []slot) (ok bool, err error) {
	for i, s := range slots {
		err = j.Redis.Do(ctx, nil, "job-slot",
			func(ctx context.Context, c redis.UniversalClient) (err error) {
				ok, err = slotScript.Run(ctx, c, []string{s.key}, s.most,
					int(slotTerm/time.Second), id).Bool()
				return err
			})
		if err != nil || !ok {
			j.dropSlots(id, slots[:i])
			return false, err
		}
	}
	return true, nil
}

// dropSlots gives slots back. Without Redis they run out.
func (j *Jobs) dropSlots(id string, slots []slot) {
	ctx, cancel := context.WithTimeout(context.Background(), recordTimeout)
	defer cancel()
	for _, s := range slots {
		_ = j.Redis.Do(ctx, nil, "job-slot-end",
			func(ctx context.Context, c redis.UniversalClient) error {
				return c.ZRem(ctx, s.key, id).Err()
			})
	}
}

// keepSlots renews the slots of all jobs that this process holds.
func (j *Jobs) keepSlots(ctx context.Context) error {
	for id, slots := range j.held.slots() {
		for _, s := range slots {
			err := j.Redis.Do(ctx, nil, "job-slot",
				func(ctx context.Context, c redis.UniversalClient) error {
					return keepScript.Run(ctx, c, []string{s.key},
						int(slotTerm/time.Second), id).Err()
				})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// park puts a job in the line of its route, and gives it back.
func (j *Jobs) park(ctx context.Context, r Record) error {
	line := j.Names.Line(scope("route", r.Type))
	var waiting *redis.IntCmd
	err := j.Redis.Do(ctx, nil, "job-park",
		func(ctx context.Context, c redis.UniversalClient) error {
			_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
				p.ZAddNX(ctx, line, redis.Z{Score: float64(r.Queued.UnixMilli()), Member: r.ID})
				waiting = p.ZCard(ctx, line)
				p.PExpire(ctx, line, parkedLife)
				return nil
			})
			return err
		})
	after := slotLook
	if err == nil {
		after = min(slotLook+time.Duration(waiting.Val())*slotEach, maxSlot)
	}
	return &again{
		after: after + time.Duration(rand.Int64N(int64(after/2))),
		why:   "its route runs as many as it may",
	}
}

// callNext calls the first jobs of the line in.
func (j *Jobs) callNext(route, queue string) {
	ctx, cancel := context.WithTimeout(context.Background(), recordTimeout)
	defer cancel()
	line, asynq := j.Names.Line(scope("route", route)), j.queue.asynq(queue)
	called := 0
	_ = j.Redis.Do(ctx, nil, "job-call", func(ctx context.Context, c redis.UniversalClient) error {
		ids, err := c.ZRange(ctx, line, 0, calledIn-1).Result()
		for _, id := range ids {
			n, err := callScript.Run(ctx, c,
				[]string{asynqKey(asynq, "retry"), asynqKey(asynq, "pending"),
					asynqKey(asynq, "t:"+id)},
				id, time.Now().UnixNano()).Int()
			switch {
			case err != nil:
				return err
			case n < 0: // canceled, or forgotten, while it waited
				_ = c.ZRem(ctx, line, id).Err()
			default:
				called += n
			}
		}
		if called > 0 {
			_ = c.Publish(ctx, j.Names.JobNews(), newsQueue+asynq).Err()
		}
		return err
	})
	if called > 0 {
		j.wakes.wake(asynq)
	}
}

// Waiting is how many jobs of each route wait for a slot, for routes that bound the jobs that run.
func (j *Jobs) Waiting(ctx context.Context) (map[string]int, error) {
	routes := j.Limited()
	lines := make([]*redis.IntCmd, len(routes))
	err := j.Redis.Do(ctx, nil, "job-waiting",
		func(ctx context.Context, c redis.UniversalClient) error {
			p := c.Pipeline()
			for i, route := range routes {
				lines[i] = p.ZCard(ctx, j.Names.Line(scope("route", route)))
			}
			_, err := p.Exec(ctx)
			return err
		})
	if err != nil {
		return nil, err
	}
	out := make(map[string]int, len(routes))
	for i, route := range routes {
		out[route] = int(lines[i].Val())
	}
	return out, nil
}

// leaveLine takes a job out of the line when it has its slots, or is over.
func (j *Jobs) leaveLine(ctx context.Context, r Record) {
	_ = j.Redis.Do(ctx, nil, "job-unpark",
		func(ctx context.Context, c redis.UniversalClient) error {
			return c.ZRem(ctx, j.Names.Line(scope("route", r.Type)), r.ID).Err()
		})
}
