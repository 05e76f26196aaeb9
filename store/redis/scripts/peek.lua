-- peek says when a claim of a kind is worth the trip, and changes nothing. With nothing due that is once after the last claim
-- too: tags have to rise to where that started.
--
-- KEYS    1 the shard
-- ARGV    1 kind
-- returns microseconds until then; 0: now; -1: not before something is written
local soonest = tonumber(redis.call('ZRANGE', KEYS[1] .. ':e:' .. ARGV[1], 0, 0, 'WITHSCORES')[2])
for p = 1, 5 do
  local level = ':' .. ARGV[1] .. ':' .. p
  if redis.call('EXISTS', KEYS[1] .. ':g' .. level) == 1 then
    return 0
  end
  local at = tonumber(redis.call('ZRANGE', KEYS[1] .. ':n' .. level, 0, 0, 'WITHSCORES')[2])
  if at and (not soonest or at < soonest) then
    soonest = at
  end
end
local state = redis.call('HMGET', KEYS[1] .. ':v:' .. ARGV[1], 'now', 'f1', 'f2', 'f3', 'f4', 'f5')
for p = 1, 5 do
  if state[1] and tonumber(state[1 + p]) < tonumber(state[1]) then
    return 0
  end
end
if not soonest then
  return -1
end
local t = redis.call('TIME')
return math.max(soonest - (t[1] * 1000000 + t[2]), 0)
