-- What the scripts of events have in common; it stands before each of them, takes neither KEYS nor ARGV, and Returns nothing.

-- The time by this server, in milliseconds since 1970.
local function time()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- What a script answers where a command has failed: that something else lies there, behind the word, so that it is believed; any other failure as it is.
local function failed(word, answer)
  if type(answer) ~= 'table' or not answer.err then
    return nil
  end
  if string.find(answer.err, 'WRONGTYPE', 1, true) then
    return {word, 'other', time()}
  end
  return answer
end

local function text(number)
  return string.format('%.0f', number)
end
