package lease

import "github.com/redis/go-redis/v9"

// The key of a lease holds the holder, which is holderSize bytes, and the digest of its note. It
// expires with the lease.

// takeScript takes a lease that nobody holds.
//
//	KEYS  1: the lease; then the counter of fencing numbers, if there is one; then witnesses
//	ARGV  1: the taker, 2: the digest of its note; with witnesses that of their values replaces it
//	      3: the term in milliseconds
//	      4: 1 if KEYS[2] is the counter, else 0
//	      5: how long the counter lives, in milliseconds
//	OUT   'held' and the fencing number, 0 without a counter; 'same' or 'other': somebody holds it
//	      with the same or with another note; 'none': a witness is absent, nothing was taken
//
// The number is also no smaller than the server's clock in milliseconds, so that it grows though
// the counter was lost.
var takeScript = redis.NewScript(`
local note, witness = ARGV[2], 2 + ARGV[4]
if #KEYS >= witness then
  local values = redis.call('MGET', unpack(KEYS, witness))
  for i = 1, #KEYS - witness + 1 do
    if not values[i] then return {'none'} end
  end
  note = redis.sha1hex(table.concat(values))
end
local held = redis.call('GET', KEYS[1])
if held then
  if string.sub(held, #ARGV[1] + 1) == note then return {'same'} end
  return {'other'}
end
redis.call('SET', KEYS[1], ARGV[1] .. note, 'PX', ARGV[3])
if ARGV[4] == '0' then return {'held', '0'} end
local time = redis.call('TIME')
local clock = time[1] * 1000 + math.floor(time[2] / 1000)
local last = tonumber(redis.call('GET', KEYS[2]) or '0') or 0
local fence = string.format('%.0f', math.max(last + 1, clock))
redis.call('SET', KEYS[2], fence, 'PX', ARGV[5])
return {'held', fence}`)

// renewScript lengthens a lease for its holder, or ends it.
//
//	KEYS  1: the lease
//	ARGV  1: the holder, 2: the term in milliseconds; 0: the lease ends
//	OUT   1 if it was the holder's
var renewScript = redis.NewScript(`
local held = redis.call('GET', KEYS[1])
if not held or string.sub(held, 1, #ARGV[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then return redis.call('DEL', KEYS[1]) end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`)
