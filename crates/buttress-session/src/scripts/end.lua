-- Ends a session. One that goes on elsewhere stays until its successor has ended, so that an error leaves the way to it.
--
-- KEYS[1]  the session
-- ARGV[1]  the successor that has ended, or ''
--
-- Returns 'ended'; or 'moved', its successor and how, which has to be ended first.
local found = redis.call('HMGET', KEYS[1], 'to', 'how')
if found[1] and found[1] ~= ARGV[1] then
  return {'moved', found[1], found[2]}
end
redis.call('DEL', KEYS[1])
return {'ended'}
