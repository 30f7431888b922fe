-- Keeps a new session.
--
-- KEYS[1]  the session
-- ARGV[1]  how long it lives without being seen, in milliseconds
-- ARGV[2]  how long it lives at the longest, in milliseconds, from now; or '' if it goes on for another one
-- ARGV[3]  when that was created, in milliseconds since 1970, or ''
-- ARGV[4]  when that ends, in milliseconds since 1970, or ''
-- ARGV[5]  '1' if somebody logs in now
-- ARGV[n]  its fields: each name before its value
--
-- Returns the time and when it ends, in milliseconds since 1970; or nothing if there is one already.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return false
end
local now = time()
local ends = ARGV[2] ~= '' and now + tonumber(ARGV[2]) or tonumber(ARGV[4])
local created = ARGV[3] ~= '' and ARGV[3] or text(now)
local size = 0
for n = 6, #ARGV, 2 do
  local mark = string.sub(ARGV[n], 1, 1)
  if mark == '=' or mark == '!' then
    size = size + #ARGV[n] + #ARGV[n + 1]
  end
  redis.call('HSET', KEYS[1], ARGV[n], ARGV[n + 1])
end
if ARGV[5] == '1' then
  redis.call('HSET', KEYS[1], 'a', text(now))
end
redis.call('HSET', KEYS[1], 'v', '1', 'n', '1', 'c', created, 'e', text(ends), 't', text(now), 'b', text(size))
redis.call('PEXPIREAT', KEYS[1], text(math.min(ends, now + tonumber(ARGV[1]))))
return {now, ends}
