-- queue counts the wakes and leases of a kind.
--
-- KEYS    1 the shard
-- ARGV    1 kind
-- returns {due of priority 1 to 5, the earliest due wake in microseconds ("": none is due), leased, sleeping}
local base, kind = KEYS[1], ARGV[1]
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local due, sleeping, oldest = {0, 0, 0, 0, 0}, 0, nil
local function older(at)
  if not oldest or at < oldest then
    oldest = at
  end
end
for p = 1, 5 do
  local all = base .. ':a:' .. kind .. ':' .. p
  due[p] = redis.call('ZCOUNT', all, '-inf', now)
  sleeping = sleeping + redis.call('ZCARD', all) - due[p]
  if due[p] > 0 then
    older(tonumber(redis.call('ZRANGE', all, 0, 0, 'WITHSCORES')[2]))
  end
end
-- The wakes of expired leases are queued again by the next claim; count them already.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', base .. ':e:' .. kind, '-inf', now)) do
  local wake = redis.call('HGET', base .. ':w:' .. kind, id)
  if wake then
    local p, at = string.match(wake, '^([1-5])(-?%d+):')
    p, at = tonumber(p or 3), math.ceil(tonumber(at or 0) / 1000)
    if at <= now then
      due[p] = due[p] + 1
      older(at)
    else
      sleeping = sleeping + 1
    end
  end
end
local leased = redis.call('ZCOUNT', base .. ':e:' .. kind, '(' .. string.format('%.0f', now), '+inf')
return {due[1], due[2], due[3], due[4], due[5], oldest and string.format('%.0f', oldest) or '', leased, sleeping}
