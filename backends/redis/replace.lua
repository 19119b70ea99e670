-- SPDX-License-Identifier: Apache-2.0
-- Sets a field of a hash if it has the value one thinks ('' if it is not there).
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
