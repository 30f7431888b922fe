-- Puts other fields in the place of all fields of the application.
--
-- KEYS[1]  the session
-- ARGV[1]  when it ends, in milliseconds since 1970
-- ARGV[2]  how many bytes its fields may have together
-- ARGV[n]  its fields: each name before its value
--
-- Returns 'done' and the version; 'gone' if there is no such session; 'moved', its successor and how; 'large' and how many bytes it would have.
local session = head(KEYS[1])
if not session then
  return {'gone'}
end
if session.to then
  return {'moved', session.to, session.how}
end
local size = 0
for n = 3, #ARGV, 2 do
  size = size + #ARGV[n] + #ARGV[n + 1]
end
if size > tonumber(ARGV[2]) and size > session.size then
  return {'large', size}
end
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(name, 1, 1) == '=' then
    redis.call('HDEL', KEYS[1], name)
  end
end
for n = 3, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[n], ARGV[n + 1])
end
redis.call('HSET', KEYS[1], 'e', ARGV[1], 't', text(time()), 'b', text(size))
local version = redis.call('HINCRBY', KEYS[1], 'n', 1)
redis.call('PEXPIREAT', KEYS[1], ARGV[1])
return {'done', version}
