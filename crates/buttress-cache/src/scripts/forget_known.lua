-- Removes a record if it is the one that should go. Tells every process.
--
-- KEYS[1]  the record
-- KEYS[2]  where the change is announced
-- ARGV[1]  bytes of what should stand there
-- ARGV[2]  from where on they do
--
-- Returns whether it was removed (1 or 0).
if redis.call('GETRANGE', KEYS[1], ARGV[2], ARGV[2] + #ARGV[1] - 1) ~= ARGV[1] then
  return 0
end
-- First what takes no memory: a script that has written goes on, even in a Redis that is full.
redis.call('UNLINK', KEYS[1])
redis.call('SET', KEYS[2], '1')
redis.call('DEL', KEYS[2])
return 1
