-- About how many visitors a day had.
--
-- KEYS[1]  the visitors (a HyperLogLog)
-- ARGV[1]  a word that is given back before the answer
--
-- Returns the word, and how many; or 'other' and the time, if something else lies there.
local count = redis.pcall('PFCOUNT', KEYS[1])
return failed(ARGV[1], count) or {ARGV[1], count}
