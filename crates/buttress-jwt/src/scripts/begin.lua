-- Keeps a new login.
--
-- KEYS[1]  the login
-- ARGV[1]  the digest of its refresh token
-- ARGV[2]  how long it lives without a refresh, in milliseconds
-- ARGV[3]  how long it lives altogether, in milliseconds
--
-- Returns when it ends at the latest, in milliseconds since 1970.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = now + tonumber(ARGV[3])
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'v', '1', 'current', ARGV[1], 'end', string.format('%.0f', ends))
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', math.min(ends, now + tonumber(ARGV[2]))))
return ends
