-- Up to when tokens of these marks are revoked.
--
-- KEYS[1]  what is known of the stream
-- KEYS[2]  who is telling again what it knows, and until when it is waited for
-- KEYS[n]  from the third on: the marks
-- ARGV[1]  how many milliseconds after an epoch began all know that it did
--
-- Returns the epoch, or '' if its silence says nothing: there is none, it began on another server, or it is still being told of what was
-- lost. Then the cut-off of each mark, or ''. An error if something else lies there.
local now = time()
forget(KEYS[2], now)
local about = redis.call('HMGET', KEYS[1], 'epoch', 'run', 'born')
local age = now - (tonumber(about[3] or '') or now)
local calm = about[1] and about[2] == run() and age >= tonumber(ARGV[1]) and redis.call('ZCARD', KEYS[2]) == 0
local answer = {calm and about[1] or ''}
for n = 3, #KEYS do
  local known = redis.call('GET', KEYS[n])
  answer[n - 1] = known and string.match(known, '^(%d+) %d+ ') or ''
  if known and answer[n - 1] == '' then
    return redis.error_reply('ERR no revocation lies where one should')
  end
end
return answer
