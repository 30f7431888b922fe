-- Ends a lease without a record, if it is still the asker's.
--
-- KEYS[1]  the lease
-- ARGV[1]  the asker's token
--
-- Returns whether it was the asker's (1 or 0).
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
