-- Takes a record of Flask-Session away, so that the old cookie opens nothing there any more. For a moment a copy is kept aside, for requests
-- that were on their way with the same cookie.
--
-- KEYS[1]  the record
-- KEYS[2]  its copy
-- ARGV[1]  how many bytes it may have
-- ARGV[2]  how long the copy is kept, in milliseconds
--
-- Returns the record, or its copy if it was taken before; nothing if there is neither; its length if that is beyond the limit; -1 if what
-- lies there is no string. In the last two cases it stays.
local key = redis.call('EXISTS', KEYS[1]) == 1 and KEYS[1] or KEYS[2]
local type = redis.call('TYPE', key).ok
if type ~= 'string' then
  return type ~= 'none' and -1
end
local length = redis.call('STRLEN', key)
if length > tonumber(ARGV[1]) then
  return length
end
local record = redis.call('GET', key)
if key == KEYS[1] then
  local left, moment = redis.call('PTTL', key), tonumber(ARGV[2])
  redis.call('RENAME', KEYS[1], KEYS[2])
  if left < 0 or left > moment then
    redis.call('PEXPIRE', KEYS[2], moment)
  end
end
return record
