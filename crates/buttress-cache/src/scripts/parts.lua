-- Whether all parts of a body are there; lets them live for some time from now. At most 4,096 parts are asked for at once.
--
-- KEYS     the parts
-- ARGV[1]  for how many milliseconds they are kept from now; "" leaves them as they are
--
-- Returns how many there are.
local found = 0
for _, key in ipairs(KEYS) do
  if ARGV[1] == '' then
    found = found + redis.call('EXISTS', key)
  else
    found = found + redis.call('PEXPIRE', key, ARGV[1])
  end
end
return found
