package jobs

import "github.com/redis/go-redis/v9"

// The scripts of a job's record. Each works on one key, KEYS[1], and decides atomically. Numbers
// are decimal, times in milliseconds.

// createScript creates the record if there is none.
//
// ARGV[1] time to live; ARGV[2:] fields and values.
// Returns "" if it created the record, else the status of the one that is there.
var createScript = redis.NewScript(`
local status = redis.call('HGET', KEYS[1], 'status')
if status then
	return status
end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return ''`)

const isFinal = `
local function final(status)
	return status == 'succeeded' or status == 'failed' or status == 'canceled' or status == 'withdrawn'
end
`

// startScript counts an attempt before it is sent.
//
// ARGV[1] now; ARGV[2] time to live.
// Returns the number of the attempt, or 0 if there is no record or it is final.
var startScript = redis.NewScript(isFinal + `
local status = redis.call('HGET', KEYS[1], 'status')
if not status or final(status) then
	return 0
end
local n = redis.call('HINCRBY', KEYS[1], 'attempts', 1)
redis.call('HSET', KEYS[1], 'status', 'running')
redis.call('HSETNX', KEYS[1], 'started', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return n`)

// settleScript records the outcome of an attempt, unless a later one has begun: then this worker
// has lost its task to another. With a final status it erases the request.
//
// ARGV[1] the number of the attempt; ARGV[2] time to live; ARGV[3:] fields and values.
// Returns 1 if it was written down, else 0.
var settleScript = redis.NewScript(isFinal + `
local was = redis.call('HMGET', KEYS[1], 'attempts', 'status')
if was[1] ~= ARGV[1] or final(was[2]) then
	return 0
end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
if final(redis.call('HGET', KEYS[1], 'status')) then
	redis.call('HDEL', KEYS[1], 'request')
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1`)

// holdScript lets an Idempotency-Key lead to a job, unless it leads to one already.
//
// ARGV[1] time to live; ARGV[2] the job that it leads to.
// Returns the job that it leads to now.
var holdScript = redis.NewScript(`
local held = redis.call('GET', KEYS[1])
if held then
	return held
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[1])
return ARGV[2]`)

// releaseScript deletes a hold that still leads to the same job.
//
// ARGV[1] the job that it led to.
var releaseScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then
	return redis.call('DEL', KEYS[1])
end
return 0`)
