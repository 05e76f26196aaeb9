-- renew extends leases that are still held, or ends them.
--
-- KEYS    1 the shard
-- ARGV    1 ttl in microseconds; 0: they are released, and their wakes count again; then for each lease kind, id, token, and with a
--         ttl of 0 whether it died, see commit.lua
-- returns the indexes, from 0, of the leases that are lost
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local expiry, lost = now + tonumber(ARGV[1]), {}
local size = ARGV[1] == '0' and 4 or 3
for i = 2, #ARGV, size do
  local leases, token = KEYS[1] .. ':e:' .. ARGV[i], ARGV[i + 2] .. ':'
  local held = redis.call('HGET', KEYS[1] .. ':o:' .. ARGV[i], ARGV[i + 1])
  local current = held and redis.call('ZSCORE', leases, ARGV[i + 1])
  if current and string.sub(held, 1, #token) == token and tonumber(current) > now then
    redis.call('ZADD', leases, expiry, ARGV[i + 1])
    if size == 4 and ARGV[i + 3] == '1' then
      redis.call('HSET', KEYS[1] .. ':o:' .. ARGV[i], ARGV[i + 1], '0:')
    elseif size == 4 then
      redis.call('HDEL', KEYS[1] .. ':o:' .. ARGV[i], ARGV[i + 1])
    end
  else
    lost[#lost + 1] = (i - 2) / size
  end
end
return lost
