-- What commit.lua and claim.lua share: where a wake stands in the queue. It is put in front of them and is no script of
-- its own. Making the functions costs something, so only a script that needs them calls queue().
--
-- A key without a living lease stands in a (all wakes of its priority) and in q (those of its fairness key); the fairness
-- key stands in g, the ring of turns, while its first wake is due, and else in n by when that is.
--
-- A wake is written as one digit, its priority, then its time in nanoseconds, ":" and its fairness key.
local base = KEYS[1]

local clock
local function now()
  if not clock then
    local t = redis.call('TIME')
    clock = t[1] * 1000000 + t[2]
  end
  return clock
end

local function queue()
  -- read takes a wake apart: its time in microseconds and the suffixes of the keys of its priority and its fairness key.
  local function read(kind, wake)
    local colon = string.find(wake, ':', 2, true)
    local at = math.ceil(tonumber(string.sub(wake, 2, colon - 1)) / 1000)
    return at, ':' .. kind .. ':' .. string.sub(wake, 1, 1), string.sub(wake, colon + 1)
  end

  local function first(level, fairness)
    local head = redis.call('ZRANGE', base .. ':q' .. level .. ':' .. fairness, 0, 0, 'WITHSCORES')
    return head[1], tonumber(head[2])
  end

  local function turn(kind, level, fairness)
    redis.call('ZADD', base .. ':g' .. level, redis.call('HINCRBY', base .. ':v:' .. kind, 'turn', 1), fairness)
  end

  -- place queues a key that nobody leases.
  local function place(kind, id, wake)
    local at, level, fairness = read(kind, wake)
    redis.call('ZADD', base .. ':a' .. level, at, id)
    redis.call('ZADD', base .. ':q' .. level .. ':' .. fairness, at, id)
    if redis.call('ZSCORE', base .. ':g' .. level, fairness) then
      return
    end
    if at <= now() then
      redis.call('ZREM', base .. ':n' .. level, fairness)
      turn(kind, level, fairness)
    else
      redis.call('ZADD', base .. ':n' .. level, 'LT', at, fairness)
    end
  end

  -- remove takes a key out of the queue, where it stands there.
  local function remove(kind, id, wake)
    local _, level, fairness = read(kind, wake)
    if redis.call('ZREM', base .. ':a' .. level, id) == 0 then
      return
    end
    redis.call('ZREM', base .. ':q' .. level .. ':' .. fairness, id)
    local head, at = first(level, fairness)
    if not head then
      redis.call('ZREM', base .. ':g' .. level, fairness)
      redis.call('ZREM', base .. ':n' .. level, fairness)
    elseif at > now() and redis.call('ZREM', base .. ':g' .. level, fairness) == 1 then
      redis.call('ZADD', base .. ':n' .. level, at, fairness)
    end
  end

  -- living says whether somebody's lease of the key lasts; one that lapsed is forgotten.
  local function living(kind, id)
    local till = redis.call('ZSCORE', base .. ':e:' .. kind, id)
    if not till then
      return false
    end
    if tonumber(till) > now() then
      return true
    end
    redis.call('ZREM', base .. ':e:' .. kind, id)
    redis.call('HDEL', base .. ':o:' .. kind, id)
    return false
  end

  return place, remove, living, first, turn
end
