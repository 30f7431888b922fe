-- Chooses logins that are to be ended. They stay noted until that is done, so that it can be tried again, and none moves on meanwhile.
--
-- KEYS[1]  the subject's logins
-- ARGV[1]  'all', 'only' or 'but'
-- ARGV[2]  the login that is meant
--
-- Returns the logins, each before its entry.
redis.call('HDEL', KEYS[1], '') -- changes nothing, and a replica refuses it: it may not know of all
local all, chosen = redis.call('HGETALL', KEYS[1]), {}
for n = 1, #all, 2 do
  local is = all[n] == ARGV[2]
  if ARGV[1] == 'all' or ARGV[1] == 'only' and is or ARGV[1] == 'but' and not is then
    local entry = string.gsub(all[n + 1], '^(%x+ [%x-]+ %d+ %d+) %+ ', '%1 x ')
    redis.pcall('HSET', KEYS[1], all[n], entry) -- a server that is full still lets people out
    chosen[#chosen + 1] = all[n]
    chosen[#chosen + 1] = entry
  end
end
return chosen
