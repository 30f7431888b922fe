-- Up to when tokens of these marks are revoked.
--
-- KEYS[1]  what is known of the stream
-- KEYS[n]  from the second on: the marks
-- ARGV     none
--
-- Returns the epoch, or "" if there is none; then the cut-off of each mark, or "".
local answer = {redis.call('HGET', KEYS[1], 'epoch') or ''}
for n = 2, #KEYS do
  answer[n] = string.match(redis.call('GET', KEYS[n]) or '', '^%d+') or ''
end
return answer
