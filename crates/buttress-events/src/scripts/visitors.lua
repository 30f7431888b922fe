-- About how many visitors a day had.
--
-- KEYS[1]  the visitors (a HyperLogLog)
-- ARGV[1]  a word that is given back before the answer
--
-- Returns the word, and how many.
return {ARGV[1], redis.call('PFCOUNT', KEYS[1])}
