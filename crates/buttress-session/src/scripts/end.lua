-- Ends a session.
--
-- KEYS[1]  the session
-- ARGV     none
--
-- Returns 1; or 0 if there was none.
return redis.call('DEL', KEYS[1])
