-- Removes a record, and the lease on it: a fill that is under way will not be stored. Tells every process.
--
-- KEYS[1]  the record
-- KEYS[2]  the lease on it
-- KEYS[3]  where the change is announced
-- ARGV     none
--
-- Returns how many of record and lease there were.
-- First what takes no memory: a script that has written goes on, even in a Redis that is full.
local forgotten = redis.call('UNLINK', KEYS[1], KEYS[2])
redis.call('SET', KEYS[3], '1')
redis.call('DEL', KEYS[3])
return forgotten
