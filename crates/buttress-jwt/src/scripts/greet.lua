-- Whether the stream is the one that the asker has read, and has not lost its end.
--
-- KEYS[1]  the stream
-- KEYS[2]  what is known of the stream
-- ARGV[1]  an epoch, in case that the stream has none
-- ARGV[2]  the last entry that the asker has read and that still matters, or ''
--
-- Returns the epoch; whether that entry is there (1 or 0); whether there was no epoch (1 or 0).
local created = redis.call('HSETNX', KEYS[2], 'epoch', ARGV[1])
local whole = 1
if ARGV[2] ~= '' and #redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2]) == 0 then
  whole = 0
end
return {redis.call('HGET', KEYS[2], 'epoch'), whole, created}
