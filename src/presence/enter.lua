-- A gateway holds sessions of a user from now on.
--
-- KEYS[1]  the user's presence: a hash of gateway to incarnation
-- ARGV[1]  the gateway
-- ARGV[2]  its incarnation
-- ARGV[3]  milliseconds until the hash ends unless it is renewed: the backstop
--
-- Returns the entries as they were before: gateway, incarnation, gateway, incarnation ...
-- Which of them live is read separately: leases are in other slots (D25).

local before = redis.call('HGETALL', KEYS[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return before
