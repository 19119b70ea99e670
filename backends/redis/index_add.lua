-- SPDX-License-Identifier: Apache-2.0
-- In a cluster, before a row is written elsewhere: what will lead to it.  KEYS: the index.  ARGV: time in microseconds,
-- then member, token with time, end in microseconds or ''.  An entry that was there is not made to end earlier: the row
-- may not be written after all.
local key, now = KEYS[1], tonumber(ARGV[1])
for i = 2, #ARGV, 3 do
    local member, ttl = ARGV[i], tonumber(ARGV[i + 2])
    if redis.call('ZSCORE', key, member) and not redis.call('ZSCORE', key .. ':t', member) then ttl = nil end
    add(key, member, ttl, true)
    local existed = ttl and redis.call('EXISTS', key .. ':v') == 1
    redis.call('HSET', key .. ':v', member, ARGV[i + 1])
    keep(key .. ':v', existed, ttl)
    if ttl then
        existed = redis.call('EXISTS', key .. ':t') == 1
        redis.call('ZADD', key .. ':t', 'GT', ttl, member)
        keep(key .. ':t', existed, ttl)
    else
        redis.call('ZREM', key .. ':t', member)
    end
end
local late = redis.call('ZRANGEBYSCORE', key .. ':t', '-inf', now - 60000000, 'LIMIT', 0, 20)
if #late > 0 then
    redis.call('ZREM', key, unpack(late))
    redis.call('ZREM', key .. ':t', unpack(late))
    redis.call('HDEL', key .. ':v', unpack(late))
end
return 1
