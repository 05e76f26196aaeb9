-- list reads a page of the records of an index, in order of their ids.
--
-- KEYS    1 the shard   2 the index
-- ARGV    1 kind   2 from and 3 to, as ZRANGE BYLEX takes them   4 "1": in descending order   5 most ids to read
--         6 "1": without the values
-- returns {last id read, "" when there are no more; then for each record id, version, value, terms, expiry,
--         sum, with nil for what is missing}
local from, to = ARGV[2], ARGV[3]
local ids
if ARGV[4] == '1' then
  ids = redis.call('ZRANGE', KEYS[2], to, from, 'BYLEX', 'REV', 'LIMIT', 0, ARGV[5])
else
  ids = redis.call('ZRANGE', KEYS[2], from, to, 'BYLEX', 'LIMIT', 0, ARGV[5])
end
local reply = {''}
if #ids == tonumber(ARGV[5]) then
  reply[1] = ids[#ids]
end
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local value = ARGV[6] == '1' and 'none' or 'd' -- no record has a field none
for _, id in ipairs(ids) do
  local r = redis.call('HMGET', KEYS[1] .. ':r:' .. ARGV[1] .. ':' .. id, 'v', value, 't', 'x', 'c')
  local expiry = tonumber(r[4] or '')
  if (r[1] or r[2] or r[3]) and (not expiry or expiry > now) then
    local n = #reply
    reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4], reply[n + 5], reply[n + 6] = id, r[1], r[2], r[3], r[4], r[5]
  end
end
return reply
