-- SPDX-License-Identifier: Apache-2.0
-- A row: a token (its length in one byte, then its bytes), then each column as four bytes of length and its bytes; a null
-- has the length 0xffffffff.  Columns that the row is older than are not there.  false is null, nil is not there.
local NULL = 4294967295

local function split(row)
    local at, out, n = string.byte(row, 1) + 2, {}, 0
    local token = string.sub(row, 2, at - 1)
    while at <= #row do
        local len = struct.unpack('>I4', row, at)
        at, n = at + 4, n + 1
        if len == NULL then
            out[n] = false
        else
            out[n] = string.sub(row, at, at + len - 1)
            at = at + len
        end
    end
    return out, token
end

local function join(token, cols)
    local out = { string.char(#token), token }
    for i = 1, #cols do
        out[#out + 1] = cols[i] and struct.pack('>I4', #cols[i]) or '\255\255\255\255'
        out[#out + 1] = cols[i] or ''
    end
    return table.concat(out)
end

-- A column's value; kinds are t(ext), y (bytes), i(nt), b(ool), capitals for those that may be null.
local function value(d, cols, i)
    local v = cols[i]
    if v ~= nil then return v end
    local kind = string.sub(d.k, i, i)
    if kind == 'i' then return '\128\0\0\0\0\0\0\0' end
    if kind == 'b' then return '\0' end
    return (kind == 't' or kind == 'y') and ''
end

-- Values as they stand in a key: in the order of octets, and none begins another.
local function part(d, cols, list)
    local out = {}
    for n, i in ipairs(list) do
        local v = value(d, cols, i)
        out[n] = string.lower(string.sub(d.k, i, i)) == 't' and v .. '\0' or v
    end
    return table.concat(out)
end

local function hex(s)
    return (string.gsub(s, '.', function(c) return string.format('%02x', string.byte(c)) end))
end
local function escape(c)
    return string.format('%%%02x', string.byte(c))
end

-- What stands between braces: the same partition values make the same text in every collection.
local function tag(d, cols, list)
    local out = {}
    for n, i in ipairs(list) do
        local v = value(d, cols, i)
        if string.lower(string.sub(d.k, i, i)) == 't' then
            out[n] = string.gsub(v, '[%z\1-\31%%,{}\127]', escape)
        else
            out[n] = hex(v)
        end
    end
    local text = table.concat(out, ',')
    return text == '' and '%' or text
end

-- A time as a number of microseconds: exact where it matters, some milliseconds off in the year 2500.
local function number(v)
    local hi, lo = struct.unpack('>I4I4', v)
    return (hi - 2147483648) * 4294967296 + lo
end

-- Where index X has the row: its key and the member.
local function entry(d, x, base, cols, field)
    local sort = part(d, cols, x.s)
    if x.r == 1 then
        return d.n .. ':' .. x.n .. ':{' .. tag(d, cols, x.p) .. '}', sort .. part(d, cols, d.p) .. field
    end
    return base .. ':' .. x.n, part(d, cols, x.p) .. sort .. field .. struct.pack('>I2', #field)
end

-- A key lives as long as the last row in it; a minute more, for clocks that differ.
local function keep(key, existed, ttl)
    if not ttl then
        redis.call('PERSIST', key)
    elseif not existed then
        redis.call('PEXPIREAT', key, math.floor(ttl / 1000) + 60000)
    elseif redis.call('PTTL', key) >= 0 then
        redis.call('PEXPIREAT', key, math.floor(ttl / 1000) + 60000, 'GT')
    end
end

-- TIMED: rows of the collection may end.
local function add(key, member, ttl, timed)
    local existed = ttl and redis.call('EXISTS', key) == 1
    redis.call('ZADD', key, 0, member)
    if timed then keep(key, existed, ttl) end
end
