-- Purges tags: what carries one of them and was begun before now is outdated.
--
-- KEYS[1]  the ledger
-- KEYS[2]  the tags that were purged last
-- KEYS[3], KEYS[5], …  the stamp of a tag
-- KEYS[4], KEYS[6], …  where its change is announced
-- ARGV[1]  "hard" or "soft"
-- ARGV[2]  for how many milliseconds a stamp lives at least
-- ARGV[3]  how many tags are remembered
-- ARGV[4]  a generation that the asker knows
--
-- Returns the generation of the purge, as text.
redis.call('DEL', KEYS[#KEYS]) -- takes no memory: a script that has written goes on, even in a Redis that is full
local generation = text(advance())
for at = 3, #KEYS, 2 do -- those of one URI, or one
  local hard, soft = string.match(redis.call('GET', KEYS[at]) or '', '^(%d+):(%d+)$')
  if ARGV[1] == 'soft' and hard then
    soft = generation
  else
    hard = generation -- also where the stamp was lost: what is older cannot be vouched for
  end
  local left = math.max(redis.call('PTTL', KEYS[at]), tonumber(ARGV[2]))
  redis.call('SET', KEYS[at], hard .. ':' .. (soft or '0'), 'PX', text(left))
  redis.call('ZADD', KEYS[2], generation, KEYS[at])
  announce(KEYS[at + 1])
end
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - tonumber(ARGV[3]))
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return generation
