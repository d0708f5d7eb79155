-- A gateway holds no session of a user any more: said by itself, or by the heir of its dead incarnation.
--
-- KEYS[1]  the user's presence: a hash of gateway to incarnation
-- ARGV[1]  the gateway
-- ARGV[2]  the incarnation whose entry it is; an entry of another incarnation stays (D21)
--
-- Returns whether there was an entry, 1 or 0, and the entries that remain: gateway, incarnation, gateway, incarnation ...

local removed = '0'
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
  redis.call('HDEL', KEYS[1], ARGV[1])
  removed = '1'
end
local answer = redis.call('HGETALL', KEYS[1])
table.insert(answer, 1, removed)
return answer
