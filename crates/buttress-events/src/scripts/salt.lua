-- The salt of a day, which all processes share: the first that was brought.
--
-- KEYS[1]  the salt
-- ARGV[1]  a word that is given back before the answer
-- ARGV[2]  a new salt
-- ARGV[3]  when it is forgotten, in milliseconds since 1970
--
-- Returns the word, and the salt; or 'other' and the time, if something else lies there.
redis.call('SET', KEYS[1], ARGV[2], 'NX')
local salt = redis.pcall('GET', KEYS[1])
local failure = failed(ARGV[1], salt)
if failure then
  return failure
end
redis.call('PEXPIREAT', KEYS[1], ARGV[3])
return {ARGV[1], salt or ''}
