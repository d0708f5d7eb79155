-- Compare and extend (D21): a lease or a claim lives on only while it is still its holder's.
--
-- KEYS[1]  the lease or claim
-- ARGV[1]  what its holder has put there
-- ARGV[2]  milliseconds it shall live from now on
--
-- Returns 1 when it was extended, 0 when it is gone or another's.

if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
