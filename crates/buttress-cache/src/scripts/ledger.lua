-- Opens each script about purges: the ledger, and how its generation moves on.
--
-- KEYS[1]  the ledger: a hash of `generation`, `floor`, `soft`, and a field for each sweep, named by its generation
-- ARGV     the last: a generation that the asker knows; a replica that took over may have missed it
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
  local known = tonumber(ARGV[#ARGV]) or 0
  local last = tonumber(redis.call('HGET', KEYS[1], 'generation') or '')
  local next = math.max((last or 0) + 1, known + 1, now)
  if not last then
    redis.call('HSET', KEYS[1], 'floor', text(next), 'soft', '0')
  end
  redis.call('HSET', KEYS[1], 'generation', text(next))
  return next
end

-- Changes that are announced are written under a prefix that every process watches, and are gone at once.
local function announce(key)
  redis.call('SET', key, '1')
  redis.call('DEL', key)
end
