-- Looks at a record of Flask-Session: plain bytes, without the proof that values of the wire open with, and perhaps something else altogether.
--
-- KEYS[n]  where it may lie; the first place with anything in it counts
-- ARGV[1]  how many bytes it may have
--
-- Returns the record; nothing if there is none; its length if that is beyond the limit; -1 if what lies there is no string.
for _, key in ipairs(KEYS) do
  local type = redis.call('TYPE', key).ok
  if type == 'string' then
    local length = redis.call('STRLEN', key)
    return length > tonumber(ARGV[1]) and length or redis.call('GET', key)
  elseif type ~= 'none' then
    return -1
  end
end
return false
