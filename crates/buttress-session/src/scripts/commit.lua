-- Writes what a request has changed, all of it or nothing.
--
-- KEYS[1]  the session
-- ARGV[1]  how long it lives without being seen, in milliseconds
-- ARGV[2]  how many bytes its fields may have together
-- ARGV[3]  the version that it must have, or ''
-- ARGV[n]  for each field four: its name; what it must be ('' anything, '-' absent, '=' and the value); what becomes of it ('s' it is set,
--          'd' deleted, 'i' added to); the value
--
-- Returns 'done' and the version; 'gone' if there is no such session; 'moved', its successor and how; 'large' and how many bytes it would
-- have; 'number' and the name of a field that cannot be added to; or 'conflict' and all fields, if something is not as it must be.
local session = head(KEYS[1])
if not session then
  return {'gone'}
end
if session.to then
  return {'moved', session.to, session.how}
end
local conflict = ARGV[3] ~= '' and session.version ~= ARGV[3]
local size, values = session.size, {}
for n = 4, #ARGV, 4 do
  local name, must, act, value = ARGV[n], ARGV[n + 1], ARGV[n + 2], ARGV[n + 3]
  local is = redis.call('HGET', KEYS[1], name)
  if must ~= '' and must ~= (is and '=' .. is or '-') then
    conflict = true
  end
  if act == 'i' then
    local sum = tonumber(value) + (tonumber(is or '0') or 0)
    if is and not string.match(is, '^%-?%d+$') or math.abs(sum) > 9007199254740991 then
      return {'number', name}
    end
    value = text(sum)
  end
  size = size - (is and #name + #is or 0) + (act ~= 'd' and #name + #value or 0)
  values[n] = value
end
if conflict then
  return {'conflict', redis.call('HGETALL', KEYS[1])}
end
if size > tonumber(ARGV[2]) and size > session.size then
  return {'large', size}
end
for n = 4, #ARGV, 4 do
  if ARGV[n + 2] == 'd' then
    redis.call('HDEL', KEYS[1], ARGV[n])
  else
    redis.call('HSET', KEYS[1], ARGV[n], values[n])
  end
end
local now = time()
redis.call('HSET', KEYS[1], 't', text(now), 'b', text(size))
redis.call('PEXPIREAT', KEYS[1], text(math.min(session.ends, now + tonumber(ARGV[1]))))
return {'done', redis.call('HINCRBY', KEYS[1], 'n', 1)}
