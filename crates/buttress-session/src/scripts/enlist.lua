-- Notes a login among those of its subject. What has ended is forgotten; if there are too many, the oldest are to be ended, and those that
-- somebody was about to end before.
--
-- KEYS[1]  the subject's logins
-- ARGV[1]  the login
-- ARGV[2]  its entry: session, former session or '-', created, ends, '+' or 'x' if it is being ended, label
-- ARGV[3]  how many there may be
--
-- Returns the logins that are to be ended, each before its entry; they are marked.
local now = time()
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
local all, last, there, over = redis.call('HGETALL', KEYS[1]), 0, {}, {}
for n = 1, #all, 2 do
  local created, ends, mark = string.match(all[n + 1], '^%x+ [%x-]+ (%d+) (%d+) ([+x]) ')
  if not ends or tonumber(ends) <= now then
    redis.call('HDEL', KEYS[1], all[n])
  else
    last = math.max(last, tonumber(ends))
    if mark == '+' then
      there[#there + 1] = {login = all[n], entry = all[n + 1], created = tonumber(created)}
    else
      over[#over + 1] = all[n] -- somebody was about to end it, and perhaps could not
      over[#over + 1] = all[n + 1]
    end
  end
end
redis.call('PEXPIREAT', KEYS[1], text(math.max(last, now + 1)))
table.sort(there, function(a, b)
  if a.login == ARGV[1] or b.login == ARGV[1] then
    return b.login == ARGV[1] and a.login ~= b.login -- the new one is the last that goes
  end
  return a.created < b.created or a.created == b.created and a.login < b.login
end)
for n = 1, #there - tonumber(ARGV[3]) do
  local entry = string.gsub(there[n].entry, '^(%x+ [%x-]+ %d+ %d+) %+ ', '%1 x ')
  redis.call('HSET', KEYS[1], there[n].login, entry)
  over[#over + 1] = there[n].login
  over[#over + 1] = entry
end
return over
