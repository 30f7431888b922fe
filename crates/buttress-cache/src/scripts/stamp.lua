-- Makes sure that each tag of an entry has a stamp for as long as the entry lives, before the entry is stored.
--
-- KEYS[1]  the ledger
-- KEYS[2]  the tags that were purged last
-- KEYS[3…] the stamps
-- ARGV[1]  the generation under which the entry was begun
-- ARGV[2]  for how many milliseconds it lives
-- ARGV[3…] for each stamp the generation under which what carries it was begun, or "" for ARGV[1]
--
-- Returns 1; or 0 if one of the tags was purged since, or may have been.
local last = tonumber(redis.call('HGET', KEYS[1], 'generation') or '')
local oldest = tonumber(redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2] or '')

-- Of a tag without a stamp: never there, or lost. Nothing was purged since what carries it was begun; or all that was is
-- remembered, and it is not among that.
local function is_ruled_out(stamp, begun)
  if not last or last <= begun then
    return last ~= nil
  end
  return oldest and oldest <= begun and tonumber(redis.call('ZSCORE', KEYS[2], stamp) or '0') <= begun
end

for place = 3, #KEYS do -- LIMIT: the tags of one entry
  local begun = tonumber(ARGV[place]) or tonumber(ARGV[1])
  local stamp = redis.call('GET', KEYS[place])
  if not stamp then
    if not is_ruled_out(KEYS[place], begun) then
      return 0
    end
    redis.call('SET', KEYS[place], string.format('%.0f', begun) .. ':0', 'PX', ARGV[2])
  elseif tonumber(string.match(stamp, '^%d+') or '0') > begun then
    return 0
  elseif redis.call('PTTL', KEYS[place]) < tonumber(ARGV[2]) then
    redis.call('PEXPIRE', KEYS[place], ARGV[2])
  end
end
return 1
