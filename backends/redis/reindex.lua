-- SPDX-License-Identifier: Apache-2.0
-- Enters a page of a partition's rows in indexes.  KEYS: the rows.  ARGV: the collection as JSON, '1' in a cluster, where to
-- begin, numbers of the indexes.  Answer: the last field seen ('' if there are no more), then key, member and end in
-- microseconds of what belongs elsewhere.
local d, cluster, base = cjson.decode(ARGV[1]), ARGV[2] == '1', KEYS[1]
local fields = { '' }
if #d.s > 0 then fields = redis.call('ZRANGEBYLEX', base .. ':_k', ARGV[3], '+', 'LIMIT', 0, 200) end
local out = { #fields == 200 and fields[200] or '' }
for _, field in ipairs(fields) do
    local row = redis.call('HGET', base, field)
    for i = 4, row and #ARGV or 0 do
        local cols, x = split(row), d.x[tonumber(ARGV[i])]
        local key, member = entry(d, x, base, cols, field)
        local ttl = d.t > 0 and cols[d.t] and number(cols[d.t])
        if x.r == 1 and cluster then
            out[#out + 1], out[#out + 2], out[#out + 3] = key, member, ttl and string.format('%.0f', ttl) or ''
        else
            add(key, member, ttl or nil, d.t > 0)
            if x.r == 1 and ttl then
                add(key .. ':t', member, ttl, true)
                redis.call('ZADD', key .. ':t', ttl, member)
            end
        end
    end
end
return out
