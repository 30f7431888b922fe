-- Says that one who tells again what it knows is still at it, or that it is done.
--
-- KEYS[1]  who is telling again what it knows, and until when it is waited for
-- ARGV[1]  who
-- ARGV[2]  for how long it is to be waited for, in milliseconds; 0: it is done
--
-- Returns nothing.
if ARGV[2] == '0' then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], string.format('%.0f', time() + ARGV[2]), ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
