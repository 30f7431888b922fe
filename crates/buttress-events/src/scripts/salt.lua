-- The salt of a day, which all processes share: the first that was brought.
--
-- KEYS[1]  the salt
-- ARGV[1]  a word that is given back before the answer
-- ARGV[2]  a new salt
-- ARGV[3]  when it is forgotten, in milliseconds since 1970
--
-- Returns the word, and the salt.
redis.call('SET', KEYS[1], ARGV[2], 'NX')
redis.call('PEXPIREAT', KEYS[1], ARGV[3])
return {ARGV[1], redis.call('GET', KEYS[1]) or ''}
