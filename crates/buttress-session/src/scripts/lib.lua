-- What the scripts of sessions ask of a record; it stands before each of them, takes neither KEYS nor ARGV, and Returns nothing.

-- The time by this server, in milliseconds since 1970.
local function time()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function text(number)
  return string.format('%.0f', number)
end

-- The version, the end and the successor of a record that can be written to, and how it came by the successor. False if there is none: it
-- has ended, or was written by another format, which is left alone.
local function head(key)
  local found = redis.call('HMGET', key, 'v', 'n', 'e', 'to', 'how', 'b')
  local ends = tonumber(found[3] or '')
  if found[1] ~= '1' or not ends or ends <= time() then
    return false
  end
  return {version = found[2], ends = ends, to = found[4], how = found[5], size = tonumber(found[6] or '') or 0}
end
