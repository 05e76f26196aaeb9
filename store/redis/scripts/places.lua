-- places tells how keys stand in the queue.
--
-- KEYS    1 the shard
-- ARGV    kind and id of each key
-- returns for each key: its wake, its lease as "token:owner", and until when that lasts in microseconds; "" for none
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local reply = {}
for i = 1, #ARGV, 2 do
  local kind, id, n = ARGV[i], ARGV[i + 1], #reply
  local till = redis.call('ZSCORE', KEYS[1] .. ':e:' .. kind, id)
  reply[n + 1], reply[n + 2], reply[n + 3] = redis.call('HGET', KEYS[1] .. ':w:' .. kind, id) or '', '', ''
  if till and tonumber(till) > now then
    reply[n + 2], reply[n + 3] = redis.call('HGET', KEYS[1] .. ':o:' .. kind, id) or '', string.format('%.0f', till)
  end
end
return reply
