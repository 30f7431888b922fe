-- Purges a tag: what carries it and was begun before now is outdated.
--
-- KEYS[1]  the ledger
-- KEYS[2]  the tag's stamp
-- KEYS[3]  the tags that were purged last
-- KEYS[4]  where the change is announced
-- ARGV[1]  "hard" or "soft"
-- ARGV[2]  for how many milliseconds the stamp lives at least
-- ARGV[3]  how many tags are remembered
-- ARGV[4]  a generation that the asker knows
--
-- Returns the generation of the purge, as text.
redis.call('DEL', KEYS[#KEYS]) -- takes no memory: a script that has written goes on, even in a Redis that is full
local generation = text(advance())
local hard, soft = string.match(redis.call('GET', KEYS[2]) or '', '^(%d+):(%d+)$')
if ARGV[1] == 'soft' and hard then
  soft = generation
else
  hard = generation -- also where the stamp was lost: what is older cannot be vouched for
end
local left = math.max(redis.call('PTTL', KEYS[2]), tonumber(ARGV[2]))
redis.call('SET', KEYS[2], hard .. ':' .. (soft or '0'), 'PX', text(left))
redis.call('ZADD', KEYS[3], generation, KEYS[2])
redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -1 - tonumber(ARGV[3]))
redis.call('PEXPIRE', KEYS[3], ARGV[2])
announce(KEYS[4])
return generation
