-- SPDX-License-Identifier: Apache-2.0
-- One page of a partition in the order of its key or of an index in it.  KEYS: the rows, the order.  ARGV: min, max, '1'
-- for backwards, most rows, most bytes, '1' for an index, the columns wanted ('' all).  Answer: '1' if there may be more, the
-- last member seen, rows.
local min, max, index = ARGV[1], ARGV[2], ARGV[6] == '1'
local members
if ARGV[3] == '1' then
    members = redis.call('ZREVRANGEBYLEX', KEYS[2], max, min, 'LIMIT', 0, ARGV[4])
else
    members = redis.call('ZRANGEBYLEX', KEYS[2], min, max, 'LIMIT', 0, ARGV[4])
end
local wanted = {}
for i in string.gmatch(ARGV[7], '%d+') do wanted[tonumber(i)] = true end

local function thin(row)
    if ARGV[7] == '' then return row end
    local cols = split(row)
    for i = 1, #cols do
        if not wanted[i] then cols[i] = false end
    end
    return join('', cols)
end

local function field_of(member)
    if not index then return member end
    local len = struct.unpack('>I2', member, #member - 1)
    return string.sub(member, -2 - len, -3)
end

-- Some rows at a time: they may be large.
local STEP = 20
local out, left, most = { '', '' }, tonumber(ARGV[5]), tonumber(ARGV[4])
for from = 1, #members, STEP do
    local fields, to = {}, math.min(from + STEP - 1, #members)
    for i = from, to do fields[#fields + 1] = field_of(members[i]) end
    for _, row in ipairs(redis.call('HMGET', KEYS[1], unpack(fields))) do
        if row then
            row = thin(row)
            out[#out + 1] = row
            left = left - #row
        end
    end
    out[2] = members[to]
    if left <= 0 or to == most then
        out[1] = '1'
        break
    end
end
return out
