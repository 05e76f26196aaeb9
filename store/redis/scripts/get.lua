-- get reads one record.
--
-- KEYS    1 the record
-- returns {version, value, terms, expiry in microseconds or "", sum}, with nil for what is missing; nil: there is no record, or it has
--         expired
local r = redis.call('HMGET', KEYS[1], 'v', 'd', 't', 'x', 'c')
if not (r[1] or r[2] or r[3]) then
  return false
end
local expiry = tonumber(r[4] or '')
if expiry then
  local t = redis.call('TIME')
  if expiry <= t[1] * 1000000 + t[2] then
    return false
  end
end
return r
