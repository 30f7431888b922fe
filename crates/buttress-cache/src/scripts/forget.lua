-- Removes a record, and the lease on it: a fill that is under way will not be stored.
--
-- KEYS[1]  the record
-- KEYS[2]  the lease on it
-- ARGV     none
--
-- Returns how many of both there were.
return redis.call('UNLINK', KEYS[1], KEYS[2])
