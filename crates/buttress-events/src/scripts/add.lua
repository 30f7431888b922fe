-- Adds counts to a step, once.
--
-- KEYS[1]  the step
-- ARGV[1]  a word that is given back before the answer
-- ARGV[2]  the mark of the step
-- ARGV[3]  the field that says what was added from there last, and
-- ARGV[4]  the number of this
-- ARGV[5]  when the step begins, and
-- ARGV[6]  when it is forgotten, in milliseconds since 1970
-- ARGV[n]  for each series two: its id, and its counts, as an array of MessagePack: the count, the sum, and buckets with their counts, sorted
--
-- Returns the word, 'done', 'again' if this was added before, 'future' if the step has not begun, or 'other' if something else lies there; the time; and how many records could not be
-- read, and were written anew.

-- Both sorted by bucket; what comes of it is, too.
local function merged(one, other)
  local sum = {one[1] + other[1]}
  if not one[2] and not other[2] then
    return sum
  end
  sum[2] = (one[2] or 0) + (other[2] or 0)
  local i, j = 3, 3
  while one[i] or other[j] do
    local a, b = one[i], other[j]
    if b == nil or (a and a < b) then
      sum[#sum + 1], sum[#sum + 2] = a, one[i + 1]
      i = i + 2
    elseif a == nil or b < a then
      sum[#sum + 1], sum[#sum + 2] = b, other[j + 1]
      j = j + 2
    else
      sum[#sum + 1], sum[#sum + 2] = a, one[i + 1] + other[j + 1]
      i, j = i + 2, j + 2
    end
  end
  return sum
end

local now, ends = time(), tonumber(ARGV[6])
local names = {'k', ARGV[3]}
for n = 7, #ARGV, 2 do
  names[#names + 1] = ARGV[n]
end
local found = redis.pcall('HMGET', KEYS[1], unpack(names)) -- all at once: each call costs
if found.err then
  return failed(ARGV[1], found)
end
if found[2] and tonumber(found[2]) and tonumber(found[2]) >= tonumber(ARGV[4]) then
  return {ARGV[1], 'again', now, 0} -- also if the clock was put back since, and the step has not begun any more
end
if tonumber(ARGV[5]) > now + 1000 then
  return {ARGV[1], 'future', now, 0}
end
if ends <= now then
  return {ARGV[1], 'done', now, 0}
end
local unreadable = 0
local set = {'k', ARGV[2], ARGV[3], ARGV[4]}
for n = 7, #ARGV, 2 do
  local old, new = found[3 + (n - 7) / 2], ARGV[n + 1]
  if old then
    local ok, sum = pcall(function()
      return cmsgpack.pack(merged(cmsgpack.unpack(old), cmsgpack.unpack(new)))
    end)
    if ok then
      new = sum
    else
      unreadable = unreadable + 1
    end
  end
  set[#set + 1] = ARGV[n]
  set[#set + 1] = new
end
redis.call('HSET', KEYS[1], unpack(set))
if found[1] ~= ARGV[2] then
  redis.call('PEXPIREAT', KEYS[1], text(ends))
end
return {ARGV[1], 'done', now, unreadable}
