-- Exchanges a refresh token for its successor. The same exchange may be repeated for a while; any other token ends the login.
--
-- KEYS[1]  the login
-- ARGV[1]  the digest of the token that is presented
-- ARGV[2]  the digest of its successor
-- ARGV[3]  for how many milliseconds an exchange may be repeated
-- ARGV[4]  how long the login lives without a refresh, in milliseconds
--
-- Returns 'done' or 'again' with the time of the exchange and the end of the login, in milliseconds since 1970; or 'reused', or 'gone'.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local login = redis.call('HMGET', KEYS[1], 'v', 'current', 'previous', 'at', 'end')
local ends = tonumber(login[5] or 0)
if login[1] ~= '1' or ends <= now then
  return {'gone'}
end
if login[2] == ARGV[1] then
  redis.call('HSET', KEYS[1], 'current', ARGV[2], 'previous', ARGV[1], 'at', string.format('%.0f', now))
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', math.min(ends, now + tonumber(ARGV[4]))))
  return {'done', now, ends}
end
if login[3] == ARGV[1] and login[2] == ARGV[2] and now <= tonumber(login[4]) + tonumber(ARGV[3]) then
  return {'again', tonumber(login[4]), ends}
end
redis.call('DEL', KEYS[1])
return {'reused'}
