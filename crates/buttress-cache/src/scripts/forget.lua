-- Removes a record, and the lease on it: a fill that is under way will not be stored. Tells every process.
--
-- KEYS[1]  the record
-- KEYS[2]  the lease on it
-- KEYS[3]  where the change is announced
-- ARGV     none
--
-- Returns how many of record and lease there were.
redis.call('SET', KEYS[3], '1')
redis.call('DEL', KEYS[3])
return redis.call('UNLINK', KEYS[1], KEYS[2])
