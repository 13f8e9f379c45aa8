package coherence

import "github.com/redis/go-redis/v9"

// Every script works on pairs of keys, the token and the intents of one tag, which lie on one
// slot. On one server a call has as many pairs as there are tags; in Cluster there is a call for
// each. No other clock than that of the server is looked at.
//
// The intents are a sorted set: who writes, by the time at which the intent runs out. With the
// score inf stands the aside: the token that stood before the writes under way,
// and when it would have expired. It comes back if nothing but refused writes, none of them
// expired, has happened since; it lies under the intents' key so that it is lost with them.
const prelude = `
local clock
local function now()
  if not clock then
    local t = redis.call('TIME')
    clock = t[1] * 1000 + math.floor(t[2] / 1000)
  end
  return clock
end

local function forget_aside(w) redis.call('ZREMRANGEBYSCORE', w, 'inf', 'inf') end

-- sweep removes expired intents. The outcome of their writes is unknown, so the aside goes too. An
-- intent that stands for longer than any may has expired too: the server's clock went back.
local function sweep(w)
  local out = redis.call('ZREMRANGEBYSCORE', w, '-inf', now()) +
    redis.call('ZREMRANGEBYSCORE', w, now() + 660000, '(inf')
  if out > 0 then forget_aside(w) end
end

local function under_way(w) return redis.call('ZCOUNT', w, '-inf', '(inf') > 0 end

local function live_for(key, ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, ms) end
end

-- open gives the tag's token, made if there is none; false while a write is under way.
local function open(t, w, fresh, ttl)
  local token = redis.call('GET', t)
  if token then
    live_for(t, ttl)
    return token
  end
  if redis.call('EXISTS', w) == 1 then
    sweep(w)
    if under_way(w) then return false end
    redis.call('DEL', w)
  end
  redis.call('SET', t, fresh, 'PX', ttl)
  return fresh
end

-- begin closes the tag: no token is made until the intent is taken back or runs out.
local function begin(t, w, id, lease)
  sweep(w)
  local token = redis.call('GET', t)
  if token then
    local rest = redis.call('PTTL', t)
    redis.call('DEL', t)
    forget_aside(w)
    if rest > 0 and not under_way(w) then
      redis.call('ZADD', w, 'inf', string.format('%.0f', now() + rest) .. '=' .. token)
    end
  end
  redis.call('ZADD', w, now() + lease, id)
  live_for(w, lease)
end

-- finish deletes the token. The intent goes, or stays for settle milliseconds.
local function finish(t, w, id, settle)
  redis.call('DEL', t)
  if settle > 0 then
    forget_aside(w)
    redis.call('ZADD', w, now() + settle, id)
    live_for(w, settle)
  elseif redis.call('EXISTS', w) == 1 then
    forget_aside(w)
    redis.call('ZREM', w, id)
  end
end

-- release takes back the intent of a write that changed nothing. The token returns if all others
-- did the same.
local function release(t, w, id)
  sweep(w)
  if redis.call('ZREM', w, id) == 0 then
    forget_aside(w) -- it ran out, or was lost: somebody may have filled and written since
    return
  end
  if under_way(w) then return end
  local aside = redis.call('ZRANGEBYSCORE', w, 'inf', 'inf')[1]
  redis.call('DEL', w)
  if not aside then return end
  local split = string.find(aside, '=', 1, true)
  local rest = tonumber(string.sub(aside, 1, split - 1)) - now()
  if rest > 0 then redis.call('SET', t, string.sub(aside, split + 1), 'PX', rest, 'NX') end
end

-- announce says which rules are in force here. A set that was lost may have held other rules.
local function announce(rules, all, own)
  local n = redis.call('ZCARD', rules)
  if n == 0 or n > 100 then redis.call('DEL', all, rules) end
  redis.call('ZADD', rules, now(), own)
end
`

// openScript opens tags.
//
//	KEYS  1: rules; then token and intents of each tag, All first if there are rules
//	ARGV  1: time to live of the tokens in milliseconds
//	      2: digest of the rules in force here; empty: KEYS[1] is not looked at
//	      then for each tag the token to set if there is none
//	OUT   the tokens, nil for a tag that is closed
var openScript = redis.NewScript(prelude + `
local ttl, out = tonumber(ARGV[1]), {}
if ARGV[2] ~= '' then announce(KEYS[1], KEYS[2], ARGV[2]) end
for i = 1, #ARGV - 2 do out[i] = open(KEYS[2 * i], KEYS[2 * i + 1], ARGV[2 + i], ttl) end
return out`)

// beginScript closes tags for a write, and the tags of other rules.
//
//	KEYS  1: rules, 2: token of All; then token and intents of each tag
//	ARGV  1: the writer, 2: time of the intents in milliseconds
//	      3: digest of the rules in force here; empty: KEYS 1 and 2 are not looked at
//	      4, 5: prefixes of the keys of tokens and of intents, up to the braces
//	OUT   the digests of other rules
var beginScript = redis.NewScript(prelude + others + `
local lease, found = tonumber(ARGV[2]), {}
if ARGV[3] ~= '' then
  found = others(KEYS[1], KEYS[2], ARGV[3])
  for _, d in ipairs(found) do begin(ARGV[4] .. '{' .. d .. '}', ARGV[5] .. '{' .. d .. '}', ARGV[1], lease) end
end
for i = 3, #KEYS, 2 do begin(KEYS[i], KEYS[i + 1], ARGV[1], lease) end
return found`)

// endScript ends a write, in the order of KEYS, and deletes the tags of other rules.
//
//	KEYS  1: rules, 2: token of All; then token and intents of each tag
//	ARGV  1: the writer, or empty
//	      2: how long the intents stay, in milliseconds; 0: they go
//	      3: how many of the tags are finished; the others are released
//	      4: digest of the rules in force here; empty: KEYS 1 and 2 are not looked at
//	      5, 6: prefixes of the keys of tokens and of intents, up to the braces
//	      7, 8: channel and message to publish; no message: nothing is published
//	OUT   the digests of other rules
var endScript = redis.NewScript(prelude + others + `
local found = {}
if ARGV[4] ~= '' then
  found = others(KEYS[1], KEYS[2], ARGV[4])
  for _, d in ipairs(found) do finish(ARGV[5] .. '{' .. d .. '}', ARGV[6] .. '{' .. d .. '}', ARGV[1], tonumber(ARGV[2])) end
  forget_old(KEYS[1], found)
end
local finished = 2 + 2 * tonumber(ARGV[3])
for i = 3, #KEYS, 2 do
  if i <= finished then
    finish(KEYS[i], KEYS[i + 1], ARGV[1], tonumber(ARGV[2]))
  else
    release(KEYS[i], KEYS[i + 1], ARGV[1])
  end
end
if ARGV[8] ~= '' then redis.pcall('PUBLISH', ARGV[7], ARGV[8] .. table.concat(found)) end
return found`)

// others announces the rules in force here and tells which others are in force elsewhere. On one
// server, rules that were silent for ten minutes go, once their tokens are deleted: a
// sidecar that comes back finds nothing of its own, and announces itself when it fills. In
// Cluster they stay until there are a hundred.
const others = `
local function others(rules, all, own)
  announce(rules, all, own)
  local found = {}
  for _, d in ipairs(redis.call('ZRANGE', rules, 0, -1)) do
    if d ~= own then found[#found + 1] = d end
  end
  return found
end

local function forget_old(rules, found)
  for _, d in ipairs(found) do
    local heard = redis.call('ZSCORE', rules, d)
    if heard and tonumber(heard) < now() - 600000 then redis.call('ZREM', rules, d) end
  end
end
`

// othersScript is a script of its own for Cluster, where the tags that it finds lie on other slots.
//
//	KEYS  1: rules, 2: token of All
//	ARGV  1: digest of the rules in force here
//	OUT   the digests of the others
var othersScript = redis.NewScript(prelude + others + `return others(KEYS[1], KEYS[2], ARGV[1])`)

// helloScript drops everything if the server is one that nobody has met yet.
//
//	KEYS  1: known, 2: token of All
//	ARGV  1: its replication id
//	OUT   1 if it was met for the first time
var helloScript = redis.NewScript(`
if redis.call('SADD', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('DEL', KEYS[2])
if redis.call('SCARD', KEYS[1]) > 1000 then
  redis.call('DEL', KEYS[1])
  redis.call('SADD', KEYS[1], ARGV[1])
end
return 1`)
