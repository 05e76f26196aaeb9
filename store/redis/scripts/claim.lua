-- claim leases due keys of one kind: by weighted fair queuing among the priorities, in turn among the fairness keys of one
-- priority, and the longest due of one fairness key. Before that it queues what has become due, up to a limit.
--
-- KEYS    1 the shard
-- ARGV    1 kind   2 owner   3 ttl in microseconds   4 most leases   5 beginning of the tokens; three digits follow
-- returns {microseconds until the next claim may find something (-1: not before a commit), expiry of the leases, id…}; the
--         nth id has the nth token; it follows a '+' if the last lease of the key died, else a '-'
local kind, most = ARGV[1], tonumber(ARGV[4])
local limit = 100
local enqueue, _, _, first, turn, died = queue()
local leases, owners, wakes, state = base .. ':e:' .. kind, base .. ':o:' .. kind, base .. ':w:' .. kind, base .. ':v:' .. kind

for _, id in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now(), 'LIMIT', 0, limit)) do
  redis.call('ZREM', leases, id)
  local wake = redis.call('HGET', wakes, id)
  if wake then
    enqueue(kind, id, wake)
  end
end

local levels, waiting = {}, {}
for p = 1, 5 do
  local level = ':' .. kind .. ':' .. p
  levels[p] = level
  for _, fairness in ipairs(redis.call('ZRANGEBYSCORE', base .. ':n' .. level, '-inf', now(), 'LIMIT', 0, limit)) do
    local head, at = first(level, fairness)
    if head and at > now() then
      redis.call('ZADD', base .. ':n' .. level, at, fairness)
    else
      redis.call('ZREM', base .. ':n' .. level, fairness)
      if head then
        turn(kind, level, fairness)
      end
    end
  end
  waiting[p] = redis.call('ZCARD', base .. ':g' .. level)
end

local saved = redis.call('HMGET', state, 'now', 'f1', 'f2', 'f3', 'f4', 'f5')
local virtual, finish = tonumber(saved[1] or 0), {}
for p = 1, 5 do
  finish[p] = tonumber(saved[1 + p] or 0)
end

local expiry = now() + tonumber(ARGV[3])
local reply = {-1, expiry}
while #reply - 2 < most do
  local best
  for p = 1, 5 do
    if waiting[p] == 0 then
      finish[p] = math.max(finish[p], virtual)
    elseif not best or finish[p] + 2 ^ (p - 1) < finish[best] + 2 ^ (best - 1) then
      best = p
    end
  end
  if not best then
    break
  end
  local level = levels[best]
  local fairness = redis.call('ZPOPMIN', base .. ':g' .. level)[1]
  local id, at = first(level, fairness)
  if id and at <= now() then
    virtual = finish[best]
    finish[best] = virtual + 2 ^ (best - 1)
    redis.call('ZREM', base .. ':a' .. level, id)
    redis.call('ZREM', base .. ':q' .. level .. ':' .. fairness, id)
    redis.call('ZADD', leases, expiry, id)
    local last = died(redis.call('HGET', owners, id), ARGV[2]) and '+' or '-'
    redis.call('HSET', owners, id, ARGV[5] .. string.format('%03d', #reply - 2) .. ':' .. ARGV[2])
    reply[#reply + 1] = last .. id
    id, at = first(level, fairness)
  end
  if id and at <= now() then
    turn(kind, level, fairness)
  else
    waiting[best] = waiting[best] - 1
    if id then
      redis.call('ZADD', base .. ':n' .. level, at, fairness)
    end
  end
end
local changed = #reply > 2
for p = 1, 5 do
  changed = changed or finish[p] ~= tonumber(saved[1 + p] or 0)
end
if changed then
  redis.call('HSET', state, 'now', virtual, 'f1', finish[1], 'f2', finish[2], 'f3', finish[3], 'f4', finish[4], 'f5', finish[5])
end

local soonest = tonumber(redis.call('ZRANGE', leases, 0, 0, 'WITHSCORES')[2])
for p = 1, 5 do
  local at = waiting[p] > 0 and 0 or tonumber(redis.call('ZRANGE', base .. ':n' .. levels[p], 0, 0, 'WITHSCORES')[2])
  if at and (not soonest or at < soonest) then
    soonest = at
  end
end
if soonest then
  reply[1] = math.max(soonest - now(), 0)
end
return reply
