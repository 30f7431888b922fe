-- Stores a record if the lease on its key is still the asker's, and ends the lease.
--
-- KEYS[1]  the record
-- KEYS[2]  the lease on it
-- ARGV[1]  the asker's token
-- ARGV[2]  the new record
-- ARGV[3]  for how many milliseconds it is kept
-- ARGV[4]  "absent" to store it only where none stands, or ""
--
-- Returns whether it was stored (1 or 0).
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[2])
if ARGV[4] == 'absent' and redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
