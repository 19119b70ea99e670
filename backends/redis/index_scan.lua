-- SPDX-License-Identifier: Apache-2.0
-- One page of an index whose rows lie in many partitions.  KEYS: the index.  ARGV: min, max, '1' for backwards, most
-- entries.  Answer: member and token of each.
local members
if ARGV[3] == '1' then
    members = redis.call('ZREVRANGEBYLEX', KEYS[1], ARGV[2], ARGV[1], 'LIMIT', 0, ARGV[4])
else
    members = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[4])
end
local out = {}
for _, member in ipairs(members) do
    out[#out + 1] = member
    out[#out + 1] = redis.call('HGET', KEYS[1] .. ':v', member) or ''
end
return out
