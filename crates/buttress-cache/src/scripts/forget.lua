-- Removes a record, and the lease on it: a fill that is under way will not be stored. Tells every process.
--
-- KEYS[1]  the record
-- KEYS[2]  the lease on it
-- KEYS[3]  where the change is announced
-- ARGV[1]  where the kind of a record stands
-- ARGV[2]  the kind of those whose body lies in parts
--
-- Returns the record if its body lies in parts, or "".
local large = ''
if redis.call('GETRANGE', KEYS[1], ARGV[1], ARGV[1]) == ARGV[2] then
  large = redis.call('GET', KEYS[1])
end
-- First what takes no memory: a script that has written goes on, even in a Redis that is full.
redis.call('UNLINK', KEYS[1], KEYS[2])
redis.call('SET', KEYS[3], '1')
redis.call('DEL', KEYS[3])
return large
