-- Asks when a session was seen last.
--
-- KEYS[1]  the session
-- ARGV     none
--
-- Returns the time in milliseconds since 1970; or nothing if there is no such session.
local session = head(KEYS[1])
return session and tonumber(redis.call('HGET', KEYS[1], 't') or '') or false
