-- Adds to members of a ranking, once, and keeps those that are highest.
--
-- KEYS[1]  the members with their scores
-- KEYS[2]  what was added from where last
-- ARGV[1]  a word that is given back before the answer
-- ARGV[2]  the field that says what was added from there last, and
-- ARGV[3]  the number of this
-- ARGV[4]  when the step begins, and
-- ARGV[5]  when it is forgotten, in milliseconds since 1970
-- ARGV[6]  how many members are kept
-- ARGV[n]  for each member two: what is added, and its name
--
-- Returns the word, 'done', 'again' if this was added before, 'future' if the step has not begun, or 'other' if something else lies there; and the
-- time.
local now, ends = time(), tonumber(ARGV[5])
local last = redis.pcall('HGET', KEYS[2], ARGV[2])
local failure = failed(ARGV[1], last)
if failure then
  return failure
end
if last and tonumber(last) and tonumber(last) >= tonumber(ARGV[3]) then
  return {ARGV[1], 'again', now} -- also if the clock was put back since, and the step has not begun any more
end
if tonumber(ARGV[4]) > now + 1000 then
  return {ARGV[1], 'future', now}
end
if ends <= now then
  return {ARGV[1], 'done', now}
end
for n = 7, #ARGV, 2 do
  failure = failed(ARGV[1], redis.pcall('ZINCRBY', KEYS[1], ARGV[n], ARGV[n + 1]))
  if failure then
    return failure -- the first one: nothing was added
  end
end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -tonumber(ARGV[6]) - 1)
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('PEXPIREAT', KEYS[1], text(ends))
redis.call('PEXPIREAT', KEYS[2], text(ends))
return {ARGV[1], 'done', now}
