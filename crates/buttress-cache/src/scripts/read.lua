-- Reads the ledger and some stamps.
--
-- KEYS[1]  the ledger
-- KEYS[2…] stamps
-- ARGV[1]  a generation that the asker knows
--
-- Returns the ledger's fields and values in turn, and the stamps, each `hard:soft` or nil.
if redis.call('EXISTS', KEYS[1]) == 0 then
  advance()
end
local stamps = {}
for place = 2, #KEYS do
  stamps[place - 1] = redis.call('GET', KEYS[place])
end
return { redis.call('HGETALL', KEYS[1]), stamps }
