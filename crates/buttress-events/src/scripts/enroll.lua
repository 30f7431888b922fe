-- Notes what the ids of a day stand for.
--
-- KEYS[1]  the names of the day
-- ARGV[1]  a word that is given back before the answer
-- ARGV[2]  the mark of the names
-- ARGV[3]  when they are forgotten, in milliseconds since 1970
-- ARGV[4]  how many there may be, and
-- ARGV[5]  how many with those that are reserved
-- ARGV[n]  for each series three: its id, its name, and '1' if it is reserved
--
-- Returns the word, and the ids that are too many; or 'other' and the time, if something else lies there.
local ids = {'k'}
for n = 6, #ARGV, 3 do
  ids[#ids + 1] = ARGV[n]
end
local found = redis.pcall('HMGET', KEYS[1], unpack(ids))
if found.err then
  return failed(ARGV[1], found)
end
local count = redis.call('HLEN', KEYS[1]) - (found[1] and 1 or 0)
local answer, set = {ARGV[1]}, {'k', ARGV[2]}
for n = 6, #ARGV, 3 do
  if not found[2 + (n - 6) / 3] then
    local most = ARGV[n + 2] == '1' and ARGV[5] or ARGV[4]
    if count < tonumber(most) then
      count = count + 1
      set[#set + 1] = ARGV[n]
      set[#set + 1] = ARGV[n + 1]
    else
      answer[#answer + 1] = ARGV[n]
    end
  end
end
if #set > 2 then
  redis.call('HSET', KEYS[1], unpack(set))
  redis.call('PEXPIREAT', KEYS[1], ARGV[3])
end
return answer
