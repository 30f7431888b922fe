-- Ends a session of Flask-Session, wherever it stands.
--
-- KEYS[1]  the record
-- KEYS[2]  its copy, if it was taken a moment ago
-- ARGV     none
--
-- Returns how many of them there were.
return redis.call('DEL', KEYS[1], KEYS[2])
