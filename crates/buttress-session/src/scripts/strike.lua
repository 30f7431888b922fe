-- Forgets logins that were ended; one that goes on in another session by now stays.
--
-- KEYS[1]  the subject's logins
-- ARGV[n]  each a login, and the session that it was ended in
--
-- Returns how many there were.
local count = 0
for n = 1, #ARGV, 2 do
  local entry = redis.call('HGET', KEYS[1], ARGV[n])
  if string.match(entry or '', '^%x+') == ARGV[n + 1] then
    count = count + redis.call('HDEL', KEYS[1], ARGV[n])
  end
end
return count
