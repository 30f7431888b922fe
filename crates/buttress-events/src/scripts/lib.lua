-- What the scripts of events have in common; it stands before each of them, takes neither KEYS nor ARGV, and Returns nothing.

-- The time by this server, in milliseconds since 1970.
local function time()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function text(number)
  return string.format('%.0f', number)
end
