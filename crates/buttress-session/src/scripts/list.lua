-- Reads the logins of a subject.
--
-- KEYS[1]  the subject's logins
-- ARGV     none
--
-- Returns the logins, each before its entry.
return redis.call('HGETALL', KEYS[1])
