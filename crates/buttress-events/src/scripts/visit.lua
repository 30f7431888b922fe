-- Notes visitors of a day. To note one twice changes nothing.
--
-- KEYS[1]  the visitors (a HyperLogLog)
-- ARGV[1]  a word that is given back before the answer
-- ARGV[2]  when the day begins, and
-- ARGV[3]  when it is forgotten, in milliseconds since 1970
-- ARGV[n]  digests of visitors
--
-- Returns the word, 'done', 'future' if the day has not begun, or 'other' if something else lies there; and the time.
local now, ends = time(), tonumber(ARGV[3])
if tonumber(ARGV[2]) > now + 1000 then
  return {ARGV[1], 'future', now}
end
if ends <= now then
  return {ARGV[1], 'done', now}
end
local failure = failed(ARGV[1], redis.pcall('PFADD', KEYS[1], unpack(ARGV, 4)))
if failure then
  return failure
end
redis.call('PEXPIREAT', KEYS[1], text(ends))
return {ARGV[1], 'done', now}
