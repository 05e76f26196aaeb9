-- peek returns when a claim of a kind may find something, and changes nothing. With nothing due, one more claim after the last
-- one is due too, since it raises the finish tags to the start of the last claim.
--
-- KEYS    1 the shard
-- ARGV    1 kind
-- returns microseconds until then; 0: now; -1: not before a commit
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
