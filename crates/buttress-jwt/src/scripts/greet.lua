-- Whether the stream is the one that the asker has read, and whether all are done with telling it what they know. A new epoch begins after a
-- loss, and on a server on which it was not before, since that may lack what another one had.
--
-- KEYS[1]  the stream
-- KEYS[2]  what is known of the stream
-- KEYS[3]  who is telling again what it knows, and until when it is waited for
-- ARGV[1]  an epoch, in case that a new one begins
-- ARGV[2]  the epoch that the asker has read, or ''
-- ARGV[3]  the last entry that the asker has read and that still matters, or ''
-- ARGV[4]  how long that matters, in milliseconds since 1970
-- ARGV[5]  who asks
-- ARGV[6]  for how long it is waited for, in milliseconds, if the epoch is not the one that it has read
--
-- Returns the epoch; how many milliseconds ago it began; how many are waited for.
for n, kind in ipairs({'stream', 'hash', 'zset'}) do
  local found = redis.call('TYPE', KEYS[n]).ok
  if found ~= kind and found ~= 'none' then
    redis.call('DEL', KEYS[n]) -- somebody's mistake: what was there is lost as if it had been deleted
  end
end
local now = time()
forget(KEYS[3], now)

local run = run()
local about = redis.call('HMGET', KEYS[2], 'epoch', 'run', 'born', 'last')
local epoch, born = about[1], tonumber(about[3] or '')
local function has(id)
  return #redis.call('XRANGE', KEYS[1], id, id) > 0
end
local whole = not about[4] or has(about[4])
if whole and epoch == ARGV[2] and ARGV[3] ~= '' and tonumber(ARGV[4]) > now then
  whole = has(ARGV[3])
end
if not epoch or about[2] ~= run or not born or not whole then
  epoch, born = ARGV[1], now
  redis.call('HDEL', KEYS[2], 'last')
  redis.call('HSET', KEYS[2], 'epoch', epoch, 'run', run, 'born', string.format('%.0f', now))
elseif born > now then
  born = now -- the server's clock was set back: it begins to count anew
  redis.call('HSET', KEYS[2], 'born', string.format('%.0f', now))
end
if ARGV[2] ~= '' and epoch ~= ARGV[2] then
  redis.call('ZADD', KEYS[3], string.format('%.0f', now + ARGV[6]), ARGV[5])
  redis.call('PEXPIRE', KEYS[3], ARGV[6])
end
return {epoch, now - born, redis.call('ZCARD', KEYS[3])}
