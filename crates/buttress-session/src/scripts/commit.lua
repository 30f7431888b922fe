-- Writes what a request has changed, all of it or nothing.
--
-- KEYS[1]  the session
-- ARGV[1]  a word that is given back before the answer
-- ARGV[2]  how long it lives without being seen, in milliseconds
-- ARGV[3]  how many bytes its fields may have together
-- ARGV[4]  the version that it must have, or ''
-- ARGV[n]  for each field four: its name; what it must be ('' anything, '-' absent, '=' and the value); what becomes of it ('s' it is set,
--          'd' deleted, 'i' added to); the value
--
-- Returns the word, and 'done' and the version; 'gone' if there is no such session; 'moved', its successor and how; 'large' and how many bytes
-- it would have; 'number' and the name of a field that cannot be added to; or 'conflict' and all fields, if something is not as it must be.
local names = {'v', 'n', 'e', 'to', 'how', 'b'}
for n = 5, #ARGV, 4 do
  names[#names + 1] = ARGV[n]
end
local found = redis.call('HMGET', KEYS[1], unpack(names)) -- all at once: each call costs
local now, ends = time(), tonumber(found[3] or '')
if found[1] ~= '1' or not ends or ends <= now then
  return {ARGV[1], 'gone'}
end
if found[4] then
  return {ARGV[1], 'moved', found[4], found[5]}
end
local conflict = ARGV[4] ~= '' and found[2] ~= ARGV[4]
local before, version = tonumber(found[6] or '') or 0, (tonumber(found[2]) or 0) + 1
local size, set, gone = before, {}, {}
for n = 5, #ARGV, 4 do
  local name, must, act, value = ARGV[n], ARGV[n + 1], ARGV[n + 2], ARGV[n + 3]
  local is = found[7 + (n - 5) / 4]
  if must ~= '' and must ~= (is and '=' .. is or '-') then
    conflict = true
  end
  if act == 'i' then
    local sum = tonumber(value) + (tonumber(is or '0') or 0)
    if is and not string.match(is, '^%-?%d+$') or math.abs(sum) > 9007199254740991 then
      return {ARGV[1], 'number', name}
    end
    value = text(sum)
  end
  size = size - (is and #name + #is or 0)
  if act == 'd' then
    gone[#gone + 1] = name
  else
    size = size + #name + #value
    set[#set + 1] = name
    set[#set + 1] = value
  end
end
if conflict then
  return {ARGV[1], 'conflict', redis.call('HGETALL', KEYS[1])}
end
if size > tonumber(ARGV[3]) and size > before then
  return {ARGV[1], 'large', size}
end
redis.call('HSET', KEYS[1], 'n', text(version), 't', text(now), 'b', text(size), unpack(set))
if #gone > 0 then
  redis.call('HDEL', KEYS[1], unpack(gone))
end
redis.call('PEXPIREAT', KEYS[1], text(math.min(ends, now + tonumber(ARGV[2]))))
return {ARGV[1], 'done', version}
