-- Makes sure that each tag of an entry has a stamp for as long as the entry lives, before the entry is stored.
--
-- KEYS     the stamps
-- ARGV[1]  the generation under which the entry was begun
-- ARGV[2]  for how many milliseconds it lives
--
-- Returns 1; or 0 if one of the tags was purged since.
for _, key in ipairs(KEYS) do -- LIMIT: the tags of one entry
  local stamp = redis.call('GET', key)
  if not stamp then
    redis.call('SET', key, ARGV[1] .. ':0', 'PX', ARGV[2]) -- what is older cannot be vouched for
  elseif tonumber(string.match(stamp, '^%d+') or '0') > tonumber(ARGV[1]) then
    return 0
  elseif redis.call('PTTL', key) < tonumber(ARGV[2]) then
    redis.call('PEXPIRE', key, ARGV[2])
  end
end
return 1
