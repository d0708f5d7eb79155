-- Grants one try when every step does (generic cell rate algorithm, as a virtual scheduler): a step is the moment at which
-- all that it has granted will be paid for.
--
-- KEYS[1]  a hash of step to that moment, in microseconds since 1970 by this server's clock
-- ARGV     for each step: microseconds between two tries, and how many there may be at once
--
-- Returns 0 when it is granted, else the microseconds until it will be; then nothing has changed.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local paid, last, wait = {}, now, 0
for step = 1, #ARGV / 2 do
  local interval, burst = tonumber(ARGV[2 * step - 1]), tonumber(ARGV[2 * step])
  local before = tonumber(redis.call('HGET', KEYS[1], step) or now)
  paid[step] = math.max(before, now) + interval
  last = math.max(last, paid[step])
  wait = math.max(wait, paid[step] - now - burst * interval)
end
if wait > 0 then
  return wait
end
for step, moment in ipairs(paid) do
  -- As a whole number: Lua's own text of so large a one is rounded.
  redis.call('HSET', KEYS[1], step, string.format('%.0f', moment))
end
redis.call('PEXPIRE', KEYS[1], math.ceil((last - now) / 1000))
return 0
