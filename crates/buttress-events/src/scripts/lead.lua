-- Who of all processes does what one does for all.
--
-- KEYS[1]  the one
-- ARGV[1]  a word that is given back before the answer
-- ARGV[2]  who asks
-- ARGV[3]  for how long, in milliseconds
--
-- Returns the word, and 1 if it is who asks.
local leader = redis.call('GET', KEYS[1])
if leader and leader ~= ARGV[2] then
  return {ARGV[1], 0}
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return {ARGV[1], 1}
