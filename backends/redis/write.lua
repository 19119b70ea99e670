-- SPDX-License-Identifier: Apache-2.0
-- Applies changes in their order.  KEYS: the fence; in a cluster, all that may be touched, so that a slot on its way to
-- another node is not worked on by halves.  ARGV: commit number, page, time in microseconds, latest time to do
-- it in milliseconds or '', '1' in a cluster, lifetime of the fence, number of collections, their descriptions as JSON,
-- then the changes.  Answer: page, results, and what is to be taken out of indexes that lie elsewhere in a cluster (key,
-- member, token, '1' if rows end).  The fence has the last answer: a commit that comes again hears it again, one that comes late nothing.
local n, page, now, cluster = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[5] == '1'
local last = redis.call('GET', KEYS[1])
if last then
    last = cmsgpack.unpack(last)
    if last[1] > n then return redis.error_reply('LATE a later commit was there first') end
    if last[1] == n and last[2] >= page then
        redis.call('PEXPIRE', KEYS[1], ARGV[6])
        return { last[2], last[3], last[4] }
    end
end
if ARGV[4] ~= '' then
    local t = redis.call('TIME')
    if t[1] * 1000 + t[2] / 1000 > tonumber(ARGV[4]) then
        return redis.error_reply('LATE this took too long, or clocks differ')
    end
end

local OK, NOTFOUND, CONFLICT, BACKEND, LIMIT, AGAIN, RANGE_ROWS = 0, -1, -2, -8, -9, 100, 200
local at, colls, gone = 7, {}, {}
local function arg()
    at = at + 1
    return ARGV[at]
end
for i = 1, tonumber(ARGV[7]) do colls[i] = cjson.decode(arg()) end

local function visible(d, cols)
    local ttl = d.t > 0 and cols[d.t]
    return not ttl or number(ttl) > now
end

-- What the changes of one group made of rows; false is deleted.
local over = {}
local function get(c)
    local row = over[c.base .. '\0' .. c.field]
    if row == nil then row = redis.pcall('HGET', c.base, c.field) end
    if not row then return false, false end
    local good, cols = pcall(split, row)
    c.bad = not good
    if c.bad then return false, false end
    return row, visible(c.d, cols) and cols
end

local function forget(d, x, key, member, token)
    if x.r == 1 and cluster then
        local n = #gone
        gone[n + 1], gone[n + 2], gone[n + 3], gone[n + 4] = key, member, token, d.t > 0 and '1' or ''
    else
        redis.call('ZREM', key, member)
        if x.r == 1 then redis.call('ZREM', key .. ':t', member) end
    end
end

-- The times of rows in an index of many partitions: nobody else would take out what has expired there.
local function sweep_index(key, member, ttl)
    if ttl then
        add(key .. ':t', member, ttl, true)
        redis.call('ZADD', key .. ':t', ttl, member)
    else
        redis.call('ZREM', key .. ':t', member)
    end
    local late = redis.call('ZRANGEBYSCORE', key .. ':t', '-inf', now - 60000000, 'LIMIT', 0, 20)
    if #late > 0 then
        redis.call('ZREM', key, unpack(late))
        redis.call('ZREM', key .. ':t', unpack(late))
    end
end

local function index(d, x, c, old, old_token, new, ttl)
    local old_key, old_member, key, member
    if old then old_key, old_member = entry(d, x, c.base, old, c.field) end
    if new then key, member = entry(d, x, c.base, new, c.field) end
    if old and (old_key ~= key or old_member ~= member) then forget(d, x, old_key, old_member, old_token) end
    if new and not (x.r == 1 and cluster) then
        add(key, member, ttl, d.t > 0)
        if x.r == 1 and d.t > 0 then sweep_index(key, member, ttl) end
    end
end

-- OLD and NEW are rows or false.
local function apply(c, old, new)
    local d, old_cols, old_token, new_cols, ttl = c.d, false, '', false, nil
    if old then old_cols, old_token = split(old) end
    if new then
        new_cols = split(new)
        ttl = d.t > 0 and new_cols[d.t] and number(new_cols[d.t])
        local existed = ttl and redis.call('EXISTS', c.base) == 1
        redis.call('HSET', c.base, c.field, new)
        if d.t > 0 then keep(c.base, existed, ttl) end
        if #d.s > 0 then add(c.base .. ':_k', c.field, ttl, d.t > 0) end
    else
        redis.call('HDEL', c.base, c.field)
        if #d.s > 0 then redis.call('ZREM', c.base .. ':_k', c.field) end
    end
    if ttl then
        add(c.base .. ':_t', c.field, ttl, true)
        redis.call('ZADD', c.base .. ':_t', ttl, c.field)
    elseif d.t > 0 then
        redis.call('ZREM', c.base .. ':_t', c.field)
    end
    for _, x in ipairs(d.x) do index(d, x, c, old_cols, old_token, new_cols, ttl) end
end

local function sum(c, cols)
    local v = value(c.d, cols, c.col) or '\128\0\0\0\0\0\0\0'
    if c.expected ~= '' and v ~= c.expected then return AGAIN end
    local hi, lo = struct.unpack('>I4I4', v)
    lo = lo + c.lo
    local carry = math.floor(lo / 4294967296)
    hi, lo = hi + c.hi + carry, lo - carry * 4294967296
    if hi < 0 or hi > 4294967295 then return LIMIT end
    return OK, struct.pack('>I4I4', hi, lo)
end

local function changed(c, row)
    local cols, token = split(row)
    for i = #cols + 1, c.col do cols[i] = value(c.d, cols, i) end
    cols[c.col] = c.number
    return join(c.token ~= '' and c.token or token, cols)
end

-- Result and, if that is OK, the row to be: false for none, nil to leave all as it is.
local function judge(c, row, cols)
    if c.bad then return BACKEND end -- somebody else wrote there
    if c.op == 'U' then return OK, c.row end
    if c.op == 'N' then
        if cols then return CONFLICT end
        return OK, c.row
    end
    if not cols then
        if c.op == 'D' and c.group ~= '0' then return OK end
        return NOTFOUND
    end
    if c.op == 'D' then return OK, false end
    if c.op == 'I' then
        local v = value(c.d, cols, c.col)
        if (v and '+' .. v or '-') ~= c.old then return CONFLICT end
        return OK, c.row
    end
    local rc
    rc, c.number = sum(c, cols)
    if rc ~= OK then return rc end
    return OK, changed(c, row)
end

-- A change that failed had its entries put into indexes elsewhere before.
local function take_back(c, row)
    if not c.row or not cluster then return end
    local new, token = split(c.row)
    local cols = row and split(row)
    for _, x in ipairs(c.d.x) do
        if x.r == 1 then
            local key, member = entry(c.d, x, c.base, new, c.field)
            local key_now, member_now
            if cols then key_now, member_now = entry(c.d, x, c.base, cols, c.field) end
            if key ~= key_now or member ~= member_now then forget(c.d, x, key, member, token) end
        end
    end
end

local function range(c)
    local fields = { '' }
    if #c.d.s > 0 then
        fields = redis.call('ZRANGEBYLEX', c.base .. ':_k', c.min, c.max, 'LIMIT', 0, RANGE_ROWS)
    end
    for _, field in ipairs(fields) do
        local one = { d = c.d, base = c.base, field = field }
        local row = redis.call('HGET', c.base, field)
        if row then
            apply(one, row, false)
        elseif field ~= '' then
            redis.call('ZREM', c.base .. ':_k', field)
        end
    end
    return #fields == RANGE_ROWS and AGAIN or OK
end

local function read_change()
    local c = { op = arg(), d = colls[tonumber(arg())], base = arg(), field = arg(), group = arg() }
    if c.op == 'U' or c.op == 'N' then
        c.row = arg()
    elseif c.op == 'I' then
        c.col, c.old, c.row = tonumber(arg()), arg(), arg()
    elseif c.op == 'A' then
        c.col, c.hi, c.lo, c.expected, c.token = tonumber(arg()), tonumber(arg()), tonumber(arg()), arg(), arg()
    elseif c.op == 'R' then
        c.min, c.max = arg(), arg()
    end
    return c
end

local function run_group(group, results)
    local writes, first = {}, #results
    local rc = OK
    over = {}
    for i, c in ipairs(group) do
        local row, cols = get(c)
        local new
        rc, new = judge(c, row, cols)
        results[first + i] = rc == OK and c.number or rc
        if rc ~= OK then
            take_back(c, row)
            break
        end
        if new ~= nil then
            writes[#writes + 1] = { c, row, new }
            over[c.base .. '\0' .. c.field] = new
        end
    end
    for i = #results - first + 1, #group do results[first + i] = OK end
    over = {}
    for _, w in ipairs(writes) do
        if rc == OK then
            apply(w[1], w[2], w[3])
        else
            take_back(w[1], redis.call('HGET', w[1].base, w[1].field))
        end
    end
    return rc
end

-- Rows that ended go by and by, with the writes of their partition.
local function tidy(c)
    local late = redis.call('ZRANGEBYSCORE', c.base .. ':_t', '-inf', now, 'LIMIT', 0, 20)
    for _, field in ipairs(late) do
        local row = redis.call('HGET', c.base, field)
        if not row then
            redis.call('ZREM', c.base .. ':_t', field)
        elseif not visible(c.d, (split(row))) then
            apply({ d = c.d, base = c.base, field = field }, row, false)
        end
    end
end

local results, touched = {}, {}
local c = at < #ARGV and read_change()
while c do
    touched[c.base] = c
    if c.op == 'R' then
        results[#results + 1] = range(c)
        c = at < #ARGV and read_change()
    else
        local group, number_of_group = { c }, c.group
        c = at < #ARGV and read_change()
        while c and number_of_group ~= '0' and c.group == number_of_group do
            group[#group + 1] = c
            c = at < #ARGV and read_change()
        end
        if run_group(group, results) == AGAIN then return { page, { AGAIN }, gone } end
    end
end
for _, t in pairs(touched) do
    if t.d.t > 0 then tidy(t) end
end
redis.call('SET', KEYS[1], cmsgpack.pack({ n, page, results, gone }), 'PX', ARGV[6])
return { page, results, gone }
