-- What the scripts of the stream ask of the server that they run on; it stands before each of them, takes neither
-- KEYS nor ARGV, and Returns nothing.

-- The time by this server, in milliseconds since 1970.
local function time()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The name of this run of this server. Another server, or this one started anew, may lack what was acknowledged last.
local function run()
  local info = redis.pcall('INFO', 'server')
  return type(info) == 'string' and string.match(info, 'run_id:(%w+)') or 'unknown'
end

-- Takes those off a list of names with times whose time is over. It is a write on purpose: those are refused by a replica, and by a master that
-- has fewer replicas than it must (min-replicas-to-write), as one has that was replaced and does not know it. A server that is full takes it.
local function forget(key, now)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now))
end
