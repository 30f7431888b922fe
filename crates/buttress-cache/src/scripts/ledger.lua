-- Opens each script about purges: the ledger, and how its generation moves on.
--
-- KEYS[1]  the ledger: a hash of `generation`, `floor`, `soft`, and a field for each sweep, named by its generation
-- ARGV     none
--
-- Returns nothing; what follows it in a script does.
local function text(number)
  return string.format('%.0f', number)
end

-- Never goes back, even when the ledger was lost: it follows the clock of Redis. A ledger that is new vouches for
-- nothing older than itself.
local function advance()
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  local last = tonumber(redis.call('HGET', KEYS[1], 'generation') or '')
  if not last then
    redis.call('HSET', KEYS[1], 'floor', text(now), 'soft', '0')
    redis.call('HSET', KEYS[1], 'generation', text(now))
    return now
  end
  local next = math.max(last + 1, now)
  redis.call('HSET', KEYS[1], 'generation', text(next))
  return next
end

-- Changes that are announced are written under a prefix that every process watches, and are gone at once.
local function announce(key)
  redis.call('SET', key, '1')
  redis.call('DEL', key)
end
