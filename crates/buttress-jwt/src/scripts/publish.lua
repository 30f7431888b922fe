-- Revokes: tells the stream, and notes each mark with its cut-off. What this epoch was told already is not told twice. Takes some entries out
-- of the stream that have ended.
--
-- KEYS[1]  the stream
-- KEYS[2]  what is known of the stream
-- KEYS[n]  from the third on: the marks
-- ARGV[1]  the time, in milliseconds since 1970
-- ARGV[2]  '1' if the stream is to be told whatever it was told before
-- ARGV[n]  for each mark three: cut-off, when it ends, record
--
-- Returns nothing.
local epoch = redis.call('HGET', KEYS[2], 'epoch') or ''
local now = math.min(time(), tonumber(ARGV[1])) -- either clock may be wrong: what is told stays for the longer time
local last
for n = 3, #KEYS do
  local at = 3 * (n - 2)
  local cutoff, ends = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local known = redis.pcall('GET', KEYS[n])
  local old, late, told = string.match(type(known) == 'string' and known or '', '^(%d+) (%d+) (.*)$')
  old, late = tonumber(old or 0), tonumber(late or 0)
  if ARGV[2] == '1' or old < cutoff or late < ends or told ~= epoch then
    last = redis.call('XADD', KEYS[1], '*', 'r', ARGV[at + 2]) -- first: where this fails, nothing must say that it was told
    ends = math.max(ends, late)
    local note = string.format('%.0f %.0f %s', math.max(cutoff, old), ends, epoch)
    redis.call('SET', KEYS[n], note, 'PX', string.format('%.0f', math.max(ends - now, 1)))
  end
end
if last then
  redis.call('HSET', KEYS[2], 'last', last) -- where this is missing, something was lost
else
  last = redis.call('HGET', KEYS[2], 'last')
end

-- When a record of version 1 ends: eight bytes at its end. A minute later nobody's clock thinks otherwise.
local function ends(fields)
  local record = fields[2]
  if fields[1] ~= 'r' or #record ~= 34 or string.byte(record) ~= 1 then
    return math.huge
  end
  local number = 0
  for _, byte in ipairs({string.byte(record, 27, 34)}) do
    number = number * 256 + byte
  end
  return number + 60000
end
local seen = redis.call('HGET', KEYS[2], 'seen')
local most = math.max(20, 2 * (#KEYS - 2))
local entries = redis.call('XRANGE', KEYS[1], seen and '(' .. seen or '-', '+', 'COUNT', most)
for _, entry in ipairs(entries) do
  if ends(entry[2]) < now then
    redis.call('XDEL', KEYS[1], entry[1])
    if entry[1] == last then
      redis.call('HDEL', KEYS[2], 'last')
    end
  end
end
if #entries < most then
  redis.call('HDEL', KEYS[2], 'seen')
else
  redis.call('HSET', KEYS[2], 'seen', entries[most][1])
end
