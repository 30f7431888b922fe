-- What time it is.
--
-- KEYS[1]  any of the keys that are written
-- ARGV[1]  a word that is given back before the answer
--
-- Returns the word, and the time by this server.
return {ARGV[1], time()}
