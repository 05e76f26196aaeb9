-- What commit.lua and claim.lua share: the queue of wakes. This text precedes theirs and is not a script of its own. Creating
-- the functions takes time, so only a script that needs them calls queue().
--
-- A key with a wake and without a valid lease is in a (all wakes of its priority) and in q (those of its fairness key). The
-- fairness key is in g, the order of turns, while its first wake is due, and else in n with the time of that wake.
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
  -- parse splits a wake into its time in microseconds, the suffix of its priority's keys, and its fairness key. One that is not what was
  -- written is due at once: the replica that claims it looks.
  local function parse(kind, wake)
    local colon = string.find(wake, ':', 2, true)
    local at = colon and string.find(wake, '^[1-5]') and tonumber(string.sub(wake, 2, colon - 1))
    if not at then
      return 0, ':' .. kind .. ':3', ''
    end
    at = math.ceil(at / 1000)
    return at, ':' .. kind .. ':' .. string.sub(wake, 1, 1), string.sub(wake, colon + 1)
  end

  -- first returns the first key of a fairness key and its time; nil: it has none.
  local function first(level, fairness)
    local head = redis.call('ZRANGE', base .. ':q' .. level .. ':' .. fairness, 0, 0, 'WITHSCORES')
    return head[1], tonumber(head[2])
  end

  -- turn adds a fairness key at the end of the order of turns.
  local function turn(kind, level, fairness)
    redis.call('ZADD', base .. ':g' .. level, redis.call('HINCRBY', base .. ':v:' .. kind, 'turn', 1), fairness)
  end

  -- enqueue adds a key that is not leased to the queue.
  local function enqueue(kind, id, wake)
    local at, level, fairness = parse(kind, wake)
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

  -- remove removes a key from the queue, if it is in it.
  local function remove(kind, id, wake)
    local _, level, fairness = parse(kind, wake)
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

  -- leased reports whether the key has a lease that has not expired; it deletes an expired one, but for its owner, which tells the
  -- next lease that this one was not released.
  local function leased(kind, id)
    local expiry = redis.call('ZSCORE', base .. ':e:' .. kind, id)
    if not expiry then
      return false
    end
    if tonumber(expiry) > now() then
      return true
    end
    redis.call('ZREM', base .. ':e:' .. kind, id)
    return false
  end

  -- died reports whether the last lease of a key, as held by its owner ('token:owner'), was not released and another owner's.
  local function died(held, owner)
    return held and string.sub(held, string.find(held, ':', 1, true) + 1) ~= owner
  end

  return enqueue, remove, leased, first, turn, died
end
