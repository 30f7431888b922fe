-- Begins a new epoch after a loss, if nobody else has: then all that is known is told again.
--
-- KEYS[1]  what is known of the stream
-- ARGV[1]  the epoch that lost something
-- ARGV[2]  the new one
--
-- Returns the epoch that holds now.
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch or epoch == ARGV[1] then
  redis.call('HSET', KEYS[1], 'epoch', ARGV[2])
  return ARGV[2]
end
return epoch
