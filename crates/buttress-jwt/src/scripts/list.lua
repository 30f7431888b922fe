-- Puts a token onto the list that an old service reads: as plain text, without the proof that values of the wire open with, which is none.
--
-- KEYS[1]  the key with the token's jti
-- ARGV[1]  how long it matters, in milliseconds
--
-- Returns 1.
redis.call('SET', KEYS[1], 'true', 'PX', ARGV[1])
return 1
