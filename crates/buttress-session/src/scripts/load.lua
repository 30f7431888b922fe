-- Reads a session, and notes that it was seen if that is worth a write.
--
-- KEYS[1]  the session
-- ARGV[1]  how long it lives without being seen, in milliseconds
-- ARGV[2]  after how many milliseconds it is noted again
--
-- Returns its fields, each name before its value; none if there is no such session.
local found = redis.call('HGETALL', KEYS[1])
local record = {}
for n = 1, #found, 2 do
  local name = found[n]
  if #name <= 3 then
    record[name] = found[n + 1]
  end
end
local now, ends, seen = time(), tonumber(record.e or ''), tonumber(record.t or '')
if record.v == '1' and ends and ends <= now then
  return {}
end
if record.v == '1' and ends and seen and not record.to and now - seen >= tonumber(ARGV[2]) then
  local noted = redis.pcall('HSET', KEYS[1], 't', text(now)) -- a server that is full still reads, and may let it live on
  if type(noted) == 'table' and string.find(noted.err, 'READONLY', 1, true) then
    return noted -- a replica, on which what has ended may still lie: the way to the master is another connection
  end
  redis.pcall('PEXPIREAT', KEYS[1], text(math.min(ends, now + tonumber(ARGV[1]))))
end
return found
