package jobs

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/internal/redisconn"
)

const (
	maxConfirms  = 1000 // confirmations that wait for the one before them
	confirmBatch = 100  // in one round trip
	// confirmPace is between two batches. Where Redis syncs each write to its disk, a batch for
	// each submission would be a second sync for each.
	confirmPace = 5 * time.Millisecond

	// A job whose submission died before it was confirmed runs when workers have looked at it so
	// often. Each time Redis was there: a submission that lives would have confirmed it, or
	// withdrawn it.
	unconfirmedLooks = 12
	unconfirmedPause = 5 * time.Second
)

// confirmScript lets workers run a job.
//
// ARGV[1] channel; ARGV[2] message.
// Returns 0 if there is no record, or it is withdrawn.
var confirmScript = redis.NewScript(tell + `
local status = redis.call('HGET', KEYS[1], 'status')
if not status or status == 'withdrawn' then
	return 0
end
if redis.call('HDEL', KEYS[1], 'unconfirmed') == 1 then
	tell(ARGV[1], ARGV[2])
end
return 1`)

// lookScript counts the looks of workers at a job that is not confirmed. Returns -1 for one that
// is.
var lookScript = redis.NewScript(`
if redis.call('HEXISTS', KEYS[1], 'unconfirmed') == 0 then
	return -1
end
return redis.call('HINCRBY', KEYS[1], 'unconfirmed', 1)`)

// withdrawScript withdraws a job, unless it is confirmed.
//
// ARGV[1] time to live.
// Returns the status that the record has then.
var withdrawScript = redis.NewScript(`
local was = redis.call('HMGET', KEYS[1], 'status', 'unconfirmed')
if was[1] and not was[2] then
	return was[1]
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'status', 'withdrawn')
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 'withdrawn'`)

// An unheard is a job that is promised, and not confirmed.
type unheard struct {
	id    string
	queue string // as in the policies
}

func (j *Jobs) confirmCall(u unheard) redisconn.Call {
	return redisconn.Call{Script: confirmScript, Keys: []string{j.Names.Job(u.id)},
		Args: []any{j.Names.JobNews(), newsQueue + j.queue.asynq(u.queue)}}
}

// confirmSoon lets workers run a job that its client is about to be promised.
func (j *Jobs) confirmSoon(id, queue string) {
	select {
	case j.unheard <- unheard{id, queue}:
	default:
		j.confirmLater([]unheard{{id, queue}})
	}
}

// confirmLater leaves it to the mender. Where that has no room the jobs wait until workers have
// looked at them often enough.
func (j *Jobs) confirmLater(batch []unheard) {
	j.mender.add(mending{try: func(ctx context.Context, via Redis) error {
		return j.confirmAll(ctx, via, batch)
	}})
}

func (j *Jobs) confirmAll(ctx context.Context, via Redis, batch []unheard) error {
	calls := make([]redisconn.Call, len(batch))
	for i, u := range batch {
		calls[i] = j.confirmCall(u)
	}
	send := func(ctx context.Context, c redis.UniversalClient) error {
		_, err := redisconn.Run(ctx, c, calls)
		return err
	}
	err := via.Do(ctx, nil, "job-confirm", send)
	for _, u := range batch {
		j.wakes.wake(j.queue.asynq(u.queue))
	}
	return err
}

// confirmEach confirms jobs until ctx is done: those that come meanwhile together.
func (j *Jobs) confirmEach(ctx context.Context) {
	for {
		var batch []unheard
		select {
		case u := <-j.unheard:
			batch = append(batch, u)
		case <-ctx.Done():
		}
		for len(batch) < confirmBatch {
			select {
			case u := <-j.unheard:
				batch = append(batch, u)
				continue
			default:
			}
			break
		}
		if len(batch) == 0 {
			return
		}
		confirming, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
		err := j.confirmAll(confirming, j.Redis, batch)
		cancel()
		if err != nil {
			j.confirmLater(batch)
		}
		select {
		case <-ctx.Done():
		case <-time.After(confirmPace):
		}
	}
}

// confirmNow confirms the job of another submission, to which a client's key has led. ok is false
// if it was withdrawn before.
func (j *Jobs) confirmNow(
	ctx context.Context, b *redisconn.Budget, id, queue string,
) (ok bool, err error) {
	call := j.confirmCall(unheard{id, queue})
	send := func(ctx context.Context, c redis.UniversalClient) (err error) {
		ok, err = call.Script.Run(ctx, c, call.Keys, call.Args...).Bool()
		return err
	}
	err = j.Redis.Do(ctx, b, "job-confirm", send)
	return ok, err
}

// outlived returns nil if the submission of an unconfirmed job is taken to be dead, and else the
// error with which its task goes back.
func (j *Jobs) outlived(ctx context.Context, r Record) error {
	var looks int
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	look := func(ctx context.Context, c redis.UniversalClient) (err error) {
		looks, err = lookScript.Run(ctx, c, []string{j.Names.Job(r.ID)}).Int()
		return err
	}
	switch err := j.Redis.Do(ctx, nil, "job-look", look); {
	case err != nil:
		return &again{after: time.Second, why: "the job store is away"}
	case looks < 0: // confirmed by now
		return &again{why: "not confirmed yet"}
	case looks < unconfirmedLooks:
		return &again{after: unconfirmedPause, why: "not confirmed yet"}
	}
	return nil
}
