-- sweep removes expired records, which reads already leave out, with their index entries. Their logs stay.
--
-- KEYS    1 the shard
-- ARGV    1 most records to remove
-- returns the number of removed records
local base = KEYS[1]
local t = redis.call('TIME')
local gone = redis.call('ZRANGEBYSCORE', base .. ':x', '-inf', t[1] * 1000000 + t[2], 'LIMIT', 0, ARGV[1])
for _, name in ipairs(gone) do
  local colon = string.find(name, ':', 1, true)
  local kind, id = string.sub(name, 1, colon - 1), string.sub(name, colon + 1)
  local key = base .. ':r:' .. name
  local block, at = redis.call('HGET', key, 't') or '', 1
  while at < #block do
    local high, low = string.byte(block, at, at + 1)
    if not low then
      break -- it is not what was written
    end
    local size = high * 256 + low
    redis.call('ZREM', base .. ':t:' .. kind .. ':' .. string.sub(block, at + 2, at + 1 + size), id)
    at = at + 2 + size
  end
  redis.call('ZREM', base .. ':i:' .. kind, id)
  redis.call('ZREM', base .. ':x', name)
  redis.call('UNLINK', key)
end
return #gone
