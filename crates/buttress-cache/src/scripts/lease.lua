-- Answers with the record under a key, or gives one process at a time the right to fill it.
--
-- KEYS[1]  the record
-- KEYS[2]  the lease on it
-- ARGV[1]  the asker's token
-- ARGV[2]  for how many milliseconds it wants the lease
-- ARGV[3]  where in a record its sum stands
-- ARGV[4]  "=" and the sum of a record that the asker has and wants replaced, or ""
--
-- Returns the record; or 0 when the lease is the asker's now; or for how many milliseconds it is another's.
local record = redis.call('GET', KEYS[1])
if record and ARGV[4] ~= '=' .. string.sub(record, ARGV[3] + 1, ARGV[3] + 8) then
  return record
end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return 0
end
return math.max(redis.call('PTTL', KEYS[2]), 1)
