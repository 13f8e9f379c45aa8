package jobs

import "github.com/redis/go-redis/v9"

// The scripts of a job's record. Each works on one key, KEYS[1], and decides atomically. Numbers
// are decimal, times in milliseconds. Changes are published, see news.go; an ACL may forbid that,
// and then only time is lost.

const tell = `
local function tell(channel, message)
	redis.pcall('PUBLISH', channel, message)
end
`

const isFinal = `
local function final(status)
	return status == 'succeeded' or status == 'failed' or status == 'canceled' or status == 'withdrawn'
end
`

// createScript creates the record if there is none. One that is there counts as confirmed.
//
// ARGV[1] time to live; ARGV[2] channel; ARGV[3] message; ARGV[4:] fields and values.
// Returns "" if it created the record, else the status of the one that is there.
var createScript = redis.NewScript(tell + `
local status = redis.call('HGET', KEYS[1], 'status')
if status then
	redis.call('HDEL', KEYS[1], 'unconfirmed')
	return status
end
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
tell(ARGV[2], ARGV[3])
return ''`)

// voidScript withdraws a job whose first attempt this process made, and whose answer its client
// got at once. The record outlives the task.
//
// ARGV[1] time to live.
// Returns the status that the record has then.
var voidScript = redis.NewScript(`
local was = redis.call('HMGET', KEYS[1], 'status', 'attempts')
if was[1] and (was[1] ~= 'running' or was[2] ~= '1') then
	return was[1]
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'status', 'withdrawn')
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 'withdrawn'`)

// The answers of startScript and settleScript that are no number of an attempt.
const (
	scriptOver    = 0  // there is no record, or it is final
	scriptOther   = -1 // another attempt than the one that is meant was the last to begin
	settled       = 1
	settledCancel = 2 // settled, and somebody wants the job canceled
)

// startScript counts an attempt before it is sent. It says which attempt it begins, so that one
// that reaches Redis late, when its worker has begun anew, changes nothing; and it can be repeated.
//
// ARGV[1] now; ARGV[2] time to live; ARGV[3] attempts before this one; ARGV[4] who begins it, a
// random text for each; ARGV[5] channel; ARGV[6] message.
// Returns the number of the attempt, scriptOver or scriptOther.
var startScript = redis.NewScript(isFinal + tell + `
local was = redis.call('HMGET', KEYS[1], 'status', 'attempts', 'runner')
if not was[1] or final(was[1]) then
	return 0
end
local n, before = tonumber(was[2]), tonumber(ARGV[3])
if n == before + 1 and was[3] == ARGV[4] then
	return n
end
if n ~= before then
	return -1
end
redis.call('HSET', KEYS[1], 'attempts', n + 1, 'status', 'running', 'runner', ARGV[4])
redis.call('HSETNX', KEYS[1], 'started', ARGV[1])
redis.call('HDEL', KEYS[1], 'unconfirmed')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
tell(ARGV[5], ARGV[6])
return n + 1`)

// settleScript records the outcome of an attempt, unless a later one has begun: then this worker
// has lost its task to another. With a final status it erases the request.
//
// ARGV[1] the number of the attempt; ARGV[2] time to live; ARGV[3] channel; ARGV[4] message;
// ARGV[5:] fields and values.
// Returns settled, settledCancel, scriptOver or scriptOther.
var settleScript = redis.NewScript(isFinal + tell + `
local was = redis.call('HMGET', KEYS[1], 'attempts', 'status', 'cancel')
if not was[2] or final(was[2]) then
	return 0
end
if was[1] ~= ARGV[1] then
	return -1
end
redis.call('HSET', KEYS[1], unpack(ARGV, 5))
local over = final(redis.call('HGET', KEYS[1], 'status'))
if over then
	redis.call('HDEL', KEYS[1], 'request')
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
tell(ARGV[3], ARGV[4])
if was[3] and not over then
	return 2
end
return 1`)

// cancelScript cancels a job that no worker runs. For one that runs it notes that it is to be
// canceled, and tells its worker.
//
// ARGV[1] time to live; ARGV[2] channel; ARGV[3] message of the change; ARGV[4] message to the
// worker; ARGV[5:] fields and values of a canceled job.
// Returns the status: "" without a record, "running" for one that its worker is to end.
var cancelScript = redis.NewScript(isFinal + tell + `
local status = redis.call('HGET', KEYS[1], 'status')
if not status then
	return ''
end
if final(status) then
	return status
end
if status == 'running' then
	redis.call('HSET', KEYS[1], 'cancel', 1)
	tell(ARGV[2], ARGV[4])
	return status
end
redis.call('HSET', KEYS[1], unpack(ARGV, 5))
redis.call('HDEL', KEYS[1], 'request')
redis.call('PEXPIRE', KEYS[1], ARGV[1])
tell(ARGV[2], ARGV[3])
return 'canceled'`)

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
