-- Revokes: notes each mark with its cut-off, and tells the stream. What is known already is not told twice. Takes some entries out of the
-- stream that have ended.
--
-- KEYS[1]  the stream
-- KEYS[2]  what is known of the stream
-- KEYS[n]  from the third on: the marks
-- ARGV[1]  an epoch, in case that the stream has none
-- ARGV[n]  for each mark three: cut-off, for how many milliseconds it matters, record
--
-- Returns the epoch.
redis.call('HSETNX', KEYS[2], 'epoch', ARGV[1])
local epoch = redis.call('HGET', KEYS[2], 'epoch')
for n = 3, #KEYS do
  local at = 3 * (n - 3) + 2
  local cutoff, ttl = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local known = redis.call('GET', KEYS[n])
  local old, told = string.match(known or '', '^(%d+) (.*)$')
  local left = redis.call('PTTL', KEYS[n])
  -- Told again if it lives longer now than the stream knows; ends are rounded up to a second.
  if not (old and tonumber(old) >= cutoff and told == epoch and ttl <= left + 2000) then
    ttl = math.max(ttl, left, 1)
    cutoff = math.max(cutoff, tonumber(old or 0))
    redis.call('SET', KEYS[n], string.format('%.0f %s', cutoff, epoch), 'PX', string.format('%.0f', ttl))
    redis.call('XADD', KEYS[1], '*', 'r', ARGV[at + 2])
  end
end

-- When a record of version 1 ends: eight bytes at its end. A minute later nobody's clock thinks otherwise.
local function ends(record)
  if #record ~= 34 or string.byte(record) ~= 1 then
    return math.huge
  end
  local number = 0
  for n = 27, 34 do
    number = number * 256 + string.byte(record, n)
  end
  return number + 60000
end
local now = redis.call('TIME')[1] * 1000
local seen = redis.call('HGET', KEYS[2], 'seen')
local most = math.max(20, 2 * (#KEYS - 2))
local entries = redis.call('XRANGE', KEYS[1], seen and '(' .. seen or '-', '+', 'COUNT', most)
for _, entry in ipairs(entries) do
  if ends(entry[2][2]) < now then
    redis.call('XDEL', KEYS[1], entry[1])
  end
end
if #entries < most then
  redis.call('HDEL', KEYS[2], 'seen')
else
  redis.call('HSET', KEYS[2], 'seen', entries[most][1])
end
return epoch
