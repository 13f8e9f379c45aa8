package coherence

import "github.com/redis/go-redis/v9"

// openScript returns the token of each tag, creating those that are absent.
//
//	KEYS  token keys
//	ARGV  1: time to live in milliseconds; then for each key the token to set if it is absent
//	OUT   the tokens, in the order of KEYS
//
// An existing token lives on for at least the time to live: it has to outlast the entry that is going to carry it.
var openScript = redis.NewScript(`
local ttl = tonumber(ARGV[1])
local out = {}
for i, key in ipairs(KEYS) do
  local token = redis.call('GET', key)
  if token then
    if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, ttl) end
  else
    token = ARGV[i + 1]
    redis.call('SET', key, token, 'PX', ttl)
  end
  out[i] = token
end
return out`)
