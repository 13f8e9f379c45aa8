package jobs

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/cachekeys"
	"sidecar/internal/redisconn"
)

// A job that waits or runs is pending: its request stands in Redis. Each route bounds how many are,
// and those of one caller, in number and in bytes. A place is taken before the job's first step and
// given back when it is final. One whose sidecar died in between is found when there is no room.

// Bounds in bytes. Four of the largest requests always fit.
const (
	maxPendingBytes       = 256 << 20 // of a route
	maxPendingCallerBytes = 32 << 20  // of a caller's, in a route
)

const (
	auditedPlaces = 20          // places that are looked at when there is no room
	placeDoubt    = time.Minute // how old the place of a job without a record is at least
)

// room says whether a scope has room for a job, or the job is in it, and takes the place. The keys
// of a scope are its members with the time when they end, and their sizes, with the sum of these
// under "sum". A most of 0 members is no bound.
const room = `
local function room(members, sizes, now, job, size, most, bytes)
	for _, id in ipairs(redis.call('ZRANGEBYSCORE', members, '-inf', now, 'LIMIT', 0, 100)) do
		redis.call('ZREM', members, id)
		redis.call('HINCRBY', sizes, 'sum', -(redis.call('HGET', sizes, id) or 0))
		redis.call('HDEL', sizes, id)
	end
	local sum = tonumber(redis.call('HGET', sizes, 'sum') or 0)
	most = tonumber(most)
	return redis.call('ZSCORE', members, job) or
		(most == 0 or redis.call('ZCARD', members) < most) and sum + size <= tonumber(bytes)
end
local function take(members, sizes, job, size, till)
	if redis.call('ZSCORE', members, job) then
		return
	end
	redis.call('ZADD', members, till, job)
	redis.call('HSET', sizes, job, size)
	redis.call('HINCRBY', sizes, 'sum', size)
	redis.call('PEXPIREAT', members, till)
	redis.call('PEXPIREAT', sizes, till)
end
`

// placeScript takes a place.
//
// KEYS of the scope; ARGV[1] now; ARGV[2] when the place ends by itself; ARGV[3] the job; ARGV[4]
// its size; ARGV[5] the most members; ARGV[6] the most bytes.
// Returns 1 if the job has a place now, else 0.
var placeScript = redis.NewScript(room + `
if not room(KEYS[1], KEYS[2], ARGV[1], ARGV[3], ARGV[4], ARGV[5], ARGV[6]) then
	return 0
end
take(KEYS[1], KEYS[2], ARGV[3], ARGV[4], ARGV[2])
return 1`)

// leaveScript gives a place back. KEYS as above; ARGV[1] the job.
var leaveScript = redis.NewScript(`
if redis.call('ZREM', KEYS[1], ARGV[1]) == 1 then
	redis.call('HINCRBY', KEYS[2], 'sum', -(redis.call('HGET', KEYS[2], ARGV[1]) or 0))
	redis.call('HDEL', KEYS[2], ARGV[1])
end
return 1`)

// scopesOf are the scopes in which a job of the route has a place: all jobs of the route, and those
// of the caller.
func scopesOf(route, caller string) [2]cachekeys.Digest {
	return [2]cachekeys.Digest{scope("route", route), scope("caller", route, caller)}
}

func scope(parts ...string) (d cachekeys.Digest) {
	sum := sha256.New()
	addParts(sum, parts...)
	copy(d[:], sum.Sum(nil))
	return d
}

// admit takes the places of a job. full is the scope that has no room, from 0; -1 if both have.
func (j *Jobs) admit(ctx context.Context, b *redisconn.Budget, s Submission, id string,
	size int) (full int, err error) {
	full, err = j.place(ctx, b, s, id, size)
	if err == nil && full >= 0 && j.audit(ctx, b, scopesOf(s.Route, s.Owner)[full]) > 0 {
		full, err = j.place(ctx, b, s, id, size)
	}
	return full, err
}

func (j *Jobs) place(ctx context.Context, b *redisconn.Budget, s Submission, id string,
	size int) (full int, err error) {
	now := time.Now()
	end := now.Add(pendingLife).UnixMilli()
	limits := s.limits()
	scopes := scopesOf(s.Route, s.Owner)
	var calls []redisconn.Call
	for i, d := range scopes {
		calls = append(calls, redisconn.Call{Script: placeScript, Keys: j.placeKeys(d),
			Args: []any{now.UnixMilli(), end, id, size, limits[i][0], limits[i][1]}})
	}
	full = -1
	err = j.Redis.Do(ctx, b, "job-admit", func(ctx context.Context, c redis.UniversalClient) error {
		answers, err := redisconn.Run(ctx, c, calls)
		for i, a := range answers {
			if err == nil && a != int64(1) && full < 0 {
				full = i
			}
		}
		return err
	})
	if err != nil || full >= 0 {
		j.leaveLater(s.Route, s.Owner, id)
	}
	return full, err
}

// limits are the most members and bytes in each scope.
func (s Submission) limits() [2][2]int64 {
	four := 4 * s.Job.MaxBody
	return [2][2]int64{
		{int64(s.Job.MaxPending), max(maxPendingBytes, four)},
		{int64(s.Job.MaxPendingPerCaller), max(maxPendingCallerBytes, four)},
	}
}

func (j *Jobs) placeKeys(d cachekeys.Digest) []string {
	return []string{j.Names.Places(d), j.Names.Places(d) + ":bytes"}
}

// leave gives the places of a job back, now or when Redis answers again.
func (j *Jobs) leave(route, caller, id string) { j.soon(j.leaving(route, caller, id)) }

// leaveLater is leave for a client that waits: Redis may not answer.
func (j *Jobs) leaveLater(route, caller, id string) {
	j.mender.add(mending{try: j.leaving(route, caller, id)})
}

func (j *Jobs) leaving(route, caller, id string) func(context.Context, Redis) error {
	var calls []redisconn.Call
	for _, d := range scopesOf(route, caller) {
		calls = append(calls,
			redisconn.Call{Script: leaveScript, Keys: j.placeKeys(d), Args: []any{id}})
	}
	return func(ctx context.Context, via Redis) error {
		return via.Do(ctx, nil, "job-leave",
			func(ctx context.Context, c redis.UniversalClient) error {
				_, err := redisconn.Run(ctx, c, calls)
				return err
			})
	}
}

// soon tries once, and leaves the rest to the mender. Where that has no room it is not done.
func (j *Jobs) soon(try func(ctx context.Context, via Redis) error) {
	ctx, cancel := context.WithTimeout(context.Background(), recordTimeout)
	defer cancel()
	if try(ctx, j.Redis) != nil {
		j.mender.add(mending{try: try})
	}
}

// audit looks at the oldest places of a scope, and gives those back whose jobs are over, or never
// came to be. It returns how many.
func (j *Jobs) audit(ctx context.Context, b *redisconn.Budget, d cachekeys.Digest) (freed int) {
	_ = j.Redis.Do(ctx, b, "job-audit", func(ctx context.Context, c redis.UniversalClient) error {
		keys := j.placeKeys(d)
		oldest, err := c.ZRangeWithScores(ctx, keys[0], 0, auditedPlaces-1).Result()
		if err != nil {
			return err
		}
		states := make([]*redis.StringCmd, len(oldest))
		_, _ = c.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, z := range oldest {
				states[i] = p.HGet(ctx, j.Names.Job(z.Member.(string)), "status")
			}
			return nil
		})
		var calls []redisconn.Call
		for i, cmd := range states {
			taken := time.UnixMilli(int64(oldest[i].Score)).Add(-pendingLife)
			gone := cmd.Err() == redis.Nil && time.Since(taken) > placeDoubt
			if gone || cmd.Err() == nil && Status(cmd.Val()).Final() {
				calls = append(calls,
					redisconn.Call{Script: leaveScript, Keys: keys, Args: []any{oldest[i].Member}})
			}
		}
		if len(calls) == 0 {
			return nil
		}
		_, err = redisconn.Run(ctx, c, calls)
		freed = len(calls)
		return err
	})
	return freed
}
