-- Forgets logins that were ended.
--
-- KEYS[1]  the subject's logins
-- ARGV[n]  each a login
--
-- Returns how many there were.
return redis.call('HDEL', KEYS[1], unpack(ARGV))
