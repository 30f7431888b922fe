-- Purges everything, or all that lies within a scope.
--
-- KEYS[1]  the ledger
-- KEYS[2]  where the change is announced
-- ARGV[1]  "floor" or "soft" for everything; "" for a scope
-- ARGV[2]  the scope
-- ARGV[3]  how many sweeps the ledger keeps; of more, the oldest becomes a purge of everything before it
-- ARGV[4]  a generation that the asker knows
--
-- Returns the generation of the purge, as text.
redis.call('DEL', KEYS[#KEYS]) -- takes no memory: a script that has written goes on, even in a Redis that is full
local generation = text(advance())
if ARGV[1] ~= '' then
  redis.call('HSET', KEYS[1], ARGV[1], generation)
else
  redis.call('HSET', KEYS[1], generation, ARGV[2])
end
local fields = redis.call('HKEYS', KEYS[1])
local oldest, sweeps = nil, 0
-- LIMIT: one more than the ledger keeps, and its three other fields.
for _, field in ipairs(fields) do
  local number = tonumber(field)
  if number then
    sweeps = sweeps + 1
    oldest = math.min(oldest or number, number)
  end
end
if sweeps > tonumber(ARGV[3]) then
  local field = text(oldest)
  local kind = string.sub(redis.call('HGET', KEYS[1], field), 1, 1) == 's' and 'soft' or 'floor'
  local before = tonumber(redis.call('HGET', KEYS[1], kind) or '0')
  redis.call('HSET', KEYS[1], kind, text(math.max(before, oldest)))
  redis.call('HDEL', KEYS[1], field)
end
announce(KEYS[2])
return generation
