-- places returns the wakes and leases of keys.
--
-- KEYS    1 the shard
-- ARGV    kind and id of each key
-- returns for each key: its wake, its lease as "token:owner", and when the lease expires in microseconds; "" for none
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local reply = {}
for i = 1, #ARGV, 2 do
  local kind, id, n = ARGV[i], ARGV[i + 1], #reply
  local expiry = redis.call('ZSCORE', KEYS[1] .. ':e:' .. kind, id)
  reply[n + 1], reply[n + 2], reply[n + 3] = redis.call('HGET', KEYS[1] .. ':w:' .. kind, id) or '', '', ''
  if expiry and tonumber(expiry) > now then
    reply[n + 2], reply[n + 3] = redis.call('HGET', KEYS[1] .. ':o:' .. kind, id) or '', string.format('%.0f', expiry)
  end
end
return reply
