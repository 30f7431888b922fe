-- Notes that a login has another session now. The former one stays noted beside it, so that whoever ends the login ends both.
--
-- KEYS[1]  the subject's logins
-- ARGV[1]  the login
-- ARGV[2]  the session that it had
-- ARGV[3]  the session that it has
-- ARGV[4]  when that ends, in milliseconds since 1970
--
-- Returns 1; or 0 if it is being ended, has ended, or has another session.
local entry = redis.call('HGET', KEYS[1], ARGV[1])
local current, created, label = string.match(entry or '', '^(%x+) [%x-]+ (%d+) %d+ %+ (.*)$')
if current ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], table.concat({ARGV[3], ARGV[2], created, ARGV[4], '+', label}, ' '))
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) - time() then
  redis.call('PEXPIREAT', KEYS[1], ARGV[4])
end
return 1
