-- SPDX-License-Identifier: Apache-2.0
-- Takes an entry out of an index unless somebody put it there anew.  KEYS: the index.  ARGV: member, what its token
-- begins with.
local token = redis.call('HGET', KEYS[1] .. ':v', ARGV[1])
local same
if token then
    same = ARGV[2] ~= '' and string.sub(token, 1, #ARGV[2]) == ARGV[2]
else
    same = ARGV[2] == ''
end
if same then
    redis.call('ZREM', KEYS[1], ARGV[1])
    redis.call('ZREM', KEYS[1] .. ':t', ARGV[1])
    redis.call('HDEL', KEYS[1] .. ':v', ARGV[1])
end
return same and 1 or 0
