-- get reads one record.
--
-- KEYS    1 the record
-- returns {version, value, terms, expiry in microseconds or ""}; nil: there is none, or it has expired
local r = redis.call('HMGET', KEYS[1], 'v', 'd', 't', 'x')
if not r[1] then
  return false
end
if r[4] and r[4] ~= '' then
  local t = redis.call('TIME')
  if tonumber(r[4]) <= t[1] * 1000000 + t[2] then
    return false
  end
end
return r
