-- The highest members of a ranking.
--
-- KEYS[1]  the members with their scores
-- ARGV[1]  a word that is given back before the answer
-- ARGV[2]  how many
--
-- Returns the word, and each member with its score; or 'other' and the time as a number, if something else lies there.
local found = redis.pcall('ZREVRANGE', KEYS[1], 0, tonumber(ARGV[2]) - 1, 'WITHSCORES')
if found.err then
  return failed(ARGV[1], found)
end
table.insert(found, 1, ARGV[1])
return found
