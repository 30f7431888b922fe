-- Prolongs a lease, if it is still the asker's.
--
-- KEYS[1]  the lease
-- ARGV[1]  the asker's token
-- ARGV[2]  for how many milliseconds from now
--
-- Returns whether it is the asker's (1 or 0).
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
