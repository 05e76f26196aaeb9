-- commit writes one batch, all or nothing.
--
-- KEYS    1 the shard; then the record of each put; the log of each append group; the record and log of each delete
-- ARGV    1 token of the batch   2 "1": it was sent before   3 message for watchers, "": none
--         4 number of subscribers of the shard's channel that need no message   5 number of puts   6 of append groups
--         7 of deletes   8 of wakes   9 of claims (0 or 1)   10 of releases (0 or 1); then
--         put      kind, id, version that was read (-1: any), ttl in microseconds (0: never expires), terms, value, sum
--         appends  number, the values
--         delete   kind, id
--         wake     kind, id, wake ("" removes it)
--         claim    kind, id, owner, ttl in microseconds, token of the lease
--         release  kind, id, token of the lease, "1": the lease before it died, and the next lease of the key is to know that
-- returns {0, expiry of the lease ("0" without a claim; negative: the last lease of the key died), length of each log, version of each
--         put}: written
--         {1, index of the put, version found}: a version does not match
--         {2, owner}: the key to claim is leased
--         {3, "expiry length … version …"}: the batch was sent before and had been written
--         {4, index of the put}: what is stored there is no record
local puts, groups, deletes, wakes = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local claims, releases = ARGV[9] == '1', ARGV[10] == '1'
local enqueue, remove, leased, died, _
if claims or releases or deletes + wakes > 0 then
  enqueue, remove, leased, _, _, died = queue()
end

-- reindex replaces the index entries of a record's old terms with those of its new ones. A block holds terms, each preceded
-- by its length in two bytes.
local function reindex(kind, id, old, fresh)
  local function terms(block)
    local set, at = {}, 1
    while at < #block do
      local high, low = string.byte(block, at, at + 1)
      if not low then
        break -- it is not what was written
      end
      local size = high * 256 + low
      set[string.sub(block, at + 2, at + 1 + size)] = true
      at = at + 2 + size
    end
    return set
  end
  local before, after = terms(old), terms(fresh)
  for term in pairs(before) do
    if not after[term] then
      redis.call('ZREM', base .. ':t:' .. kind .. ':' .. term, id)
    end
  end
  for term in pairs(after) do
    if not before[term] then
      redis.call('ZADD', base .. ':t:' .. kind .. ':' .. term, 0, id)
    end
  end
end

-- Check.
local arg, olds, carrier = 11, {}, nil
for i = 1, puts do
  local want = tonumber(ARGV[arg + 2])
  if want >= 0 and not carrier then
    carrier = i
    if ARGV[2] == '1' then
      local trace = redis.call('HGET', KEYS[1 + i], 'b')
      if trace and string.sub(trace, 1, #ARGV[1]) == ARGV[1] then
        redis.call('HSET', KEYS[1 + i], 'b', trace) -- WAIT and WAITAOF confirm only writes of their own connection
        return {3, string.sub(trace, #ARGV[1] + 1)}
      end
    end
  end
  local old = redis.call('HMGET', KEYS[1 + i], 'v', 'x', 't')
  local have, expires = tonumber(old[1] or 0), tonumber(old[2] or '')
  if not have or have < 0 or old[2] and old[2] ~= '' and not expires then
    return {4, i - 1}
  end
  if expires and expires <= now() then
    have = 0
  end
  if want >= 0 and want ~= have then
    return {1, i - 1, have}
  end
  olds[i] = {have, old[1], old[2] or '', old[3] or ''}
  arg = arg + 7
end
local firstGroup, firstDelete = arg, arg
for i = 1, groups do
  redis.call('LLEN', KEYS[1 + puts + i])
  firstDelete = firstDelete + 1 + tonumber(ARGV[firstDelete])
end
local firstWake = firstDelete + 2 * deletes
local claim = firstWake + 3 * wakes
local release = claim + (claims and 5 or 0)
if claims then
  local held = redis.call('HGET', base .. ':o:' .. ARGV[claim], ARGV[claim + 1])
  if held and leased(ARGV[claim], ARGV[claim + 1]) then
    local owner = string.sub(held, string.find(held, ':', 1, true) + 1)
    if owner ~= ARGV[claim + 2] then
      return {2, owner}
    end
  end
end

-- A script stops at a key of the wrong type and keeps what it has written. So what a second try can repeat without harm comes
-- first, and logs and records last: their types were checked above, so writing them cannot fail.

-- Indexes.
local expiries = {}
arg = 11
for i = 1, puts do
  local kind, id, ttl, block = ARGV[arg], ARGV[arg + 1], ARGV[arg + 3], ARGV[arg + 4]
  local _, exists, expires, indexed = unpack(olds[i])
  expiries[i] = ''
  if ttl ~= '0' then
    expiries[i] = string.format('%.0f', now() + tonumber(ttl))
    redis.call('ZADD', base .. ':x', expiries[i], kind .. ':' .. id)
  elseif expires ~= '' then
    redis.call('ZREM', base .. ':x', kind .. ':' .. id)
  end
  if not exists then
    redis.call('ZADD', base .. ':i:' .. kind, 0, id)
  end
  if indexed ~= block then
    reindex(kind, id, indexed, block)
  end
  arg = arg + 7
end

-- Leases.
local reply = {0, '0'}
if claims then
  local kind, id = ARGV[claim], ARGV[claim + 1]
  local wake = redis.call('HGET', base .. ':w:' .. kind, id)
  if wake then
    remove(kind, id, wake)
  end
  local expiry = now() + tonumber(ARGV[claim + 3])
  redis.call('ZADD', base .. ':e:' .. kind, expiry, id)
  local sign = died(redis.call('HGET', base .. ':o:' .. kind, id), ARGV[claim + 2]) and '-' or ''
  redis.call('HSET', base .. ':o:' .. kind, id, ARGV[claim + 4] .. ':' .. ARGV[claim + 2])
  reply[2] = sign .. string.format('%.0f', expiry)
end
if releases then
  local kind, id, token = ARGV[release], ARGV[release + 1], ARGV[release + 2] .. ':'
  local held = redis.call('HGET', base .. ':o:' .. kind, id)
  local current = held and string.sub(held, 1, #token) == token
  local valid = leased(kind, id)
  if current and ARGV[release + 3] == '1' then
    redis.call('HSET', base .. ':o:' .. kind, id, '0:')
  elseif current then
    redis.call('HDEL', base .. ':o:' .. kind, id)
  end
  if current and valid then
    redis.call('ZREM', base .. ':e:' .. kind, id)
    local replaced = false
    for i = firstWake, claim - 1, 3 do
      replaced = replaced or (ARGV[i] == kind and ARGV[i + 1] == id)
    end
    if not replaced then
      redis.call('HDEL', base .. ':w:' .. kind, id)
    end
  elseif held then
    local wake = not valid and redis.call('HGET', base .. ':w:' .. kind, id)
    if wake then
      enqueue(kind, id, wake)
    end
  end
end

-- Deletes and wakes.
arg = firstDelete
for i = 1, deletes do
  local kind, id, key = ARGV[arg], ARGV[arg + 1], KEYS[puts + groups + 2 * i]
  local old = redis.call('HMGET', key, 'v', 'x', 't')
  if old[1] then
    reindex(kind, id, old[3] or '', '')
    redis.call('ZREM', base .. ':i:' .. kind, id)
    if old[2] and old[2] ~= '' then
      redis.call('ZREM', base .. ':x', kind .. ':' .. id)
    end
  end
  redis.call('UNLINK', key, KEYS[1 + puts + groups + 2 * i])
  local wake = redis.call('HGET', base .. ':w:' .. kind, id)
  if wake then
    redis.call('HDEL', base .. ':w:' .. kind, id)
    remove(kind, id, wake)
  end
  if not leased(kind, id) then
    redis.call('HDEL', base .. ':o:' .. kind, id)
  end
  arg = arg + 2
end
for i = firstWake, claim - 1, 3 do
  local kind, id, wake = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local old = redis.call('HGET', base .. ':w:' .. kind, id)
  local held = leased(kind, id)
  if old then
    remove(kind, id, old)
  end
  if wake == '' then
    redis.call('HDEL', base .. ':w:' .. kind, id)
  else
    redis.call('HSET', base .. ':w:' .. kind, id, wake)
    if not held then
      enqueue(kind, id, wake)
    end
  end
end

-- Logs and records.
arg = firstGroup
for i = 1, groups do
  local n, key, from = tonumber(ARGV[arg]), KEYS[1 + puts + i], arg + 1
  local stop = from + n
  while from < stop do
    local to = math.min(from + 999, stop - 1)
    reply[2 + i] = redis.call('RPUSH', key, unpack(ARGV, from, to))
    from = to + 1
  end
  arg = stop
end
for i = 1, puts do
  reply[2 + groups + i] = olds[i][1] + 1
end
arg = 11
for i = 1, puts do
  local version, block = olds[i][1] + 1, ARGV[arg + 4]
  if i == carrier then
    redis.call('HSET', KEYS[1 + i], 'v', version, 'd', ARGV[arg + 5], 't', block, 'x', expiries[i], 'c', version .. '.' .. expiries[i] .. ':' .. ARGV[arg + 6], 'b', ARGV[1] .. table.concat(reply, ' ', 2))
  else
    redis.call('HSET', KEYS[1 + i], 'v', version, 'd', ARGV[arg + 5], 't', block, 'x', expiries[i], 'c', version .. '.' .. expiries[i] .. ':' .. ARGV[arg + 6])
  end
  arg = arg + 7
end

if ARGV[3] ~= '' and redis.call('PUBSUB', 'SHARDNUMSUB', base .. ':c')[2] > tonumber(ARGV[4]) then
  redis.call('SPUBLISH', base .. ':c', ARGV[3])
end
return reply
