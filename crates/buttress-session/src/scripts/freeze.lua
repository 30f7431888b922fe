-- Ends a session in favour of its successor. It can be read for a little while, by requests that are on their way.
--
-- KEYS[1]  the session
-- ARGV[1]  the version that it must have: what was written since then is not in the successor
-- ARGV[2]  the successor
-- ARGV[3]  how it came to it
-- ARGV[4]  for how many milliseconds it can be read
--
-- Returns 'done'; 'gone' if there is no such session; 'moved', its successor and how, if it has one; or 'conflict' and all fields.
local session = head(KEYS[1])
if not session then
  return {'gone'}
end
if session.to then
  return {'moved', session.to, session.how}
end
if session.version ~= ARGV[1] then
  return {'conflict', redis.call('HGETALL', KEYS[1])}
end
if ARGV[4] == '0' then
  redis.call('DEL', KEYS[1])
  return {'done'}
end
redis.call('HSET', KEYS[1], 'to', ARGV[2], 'how', ARGV[3])
if redis.call('PTTL', KEYS[1]) > tonumber(ARGV[4]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return {'done'}
