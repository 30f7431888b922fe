-- Notes that a login has another session now. The former one stays noted beside it, so that whoever ends the login ends both.
--
-- KEYS[1]  the subject's logins
-- ARGV[1]  the login
-- ARGV[2]  the session that it has
-- ARGV[3]  when that ends, in milliseconds since 1970
-- ARGV[n]  the sessions that it may have had, the one before this first
--
-- Returns 'done'; 'ended' if it is being ended, or has ended; or 'elsewhere' if it has a session that is none of these.
local entry = redis.call('HGET', KEYS[1], ARGV[1])
local current, created, mark, label = string.match(entry or '', '^(%x+) [%x-]+ (%d+) %d+ ([+x]) (.*)$')
if mark ~= '+' then
  return 'ended'
end
local was = current == ARGV[2] -- told before, and not heard
for n = 4, #ARGV do
  was = was or ARGV[n] == current
end
if not was then
  return 'elsewhere'
end
redis.call('HSET', KEYS[1], ARGV[1], table.concat({ARGV[2], ARGV[4], created, ARGV[3], '+', label}, ' '))
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) - time() then
  redis.call('PEXPIREAT', KEYS[1], ARGV[3])
end
return 'done'
