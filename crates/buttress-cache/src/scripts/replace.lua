-- Stores a record if the one that stands there is the one that it should be.
--
-- KEYS[1]  the record
-- ARGV[1]  bytes of what should stand there
-- ARGV[2]  from where on they do
-- ARGV[3]  the new record
-- ARGV[4]  for how many milliseconds it is kept
--
-- Returns whether it was stored (1 or 0).
if redis.call('GETRANGE', KEYS[1], ARGV[2], ARGV[2] + #ARGV[1] - 1) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return 1
