-- rights runs every command of the scripts on a key of its own, which it removes, and returns those that the user may not run, each with
-- the answer.
--
-- KEYS    1 the key
-- returns {name, answer, …}
local key, list, set, channel = KEYS[1] .. ':h', KEYS[1] .. ':l', KEYS[1] .. ':z', KEYS[1] .. ':c'
local refused = {}
local function try(name, ...)
  local reply = redis.pcall(name, ...)
  if type(reply) == 'table' and reply.err then
    refused[#refused + 1] = name
    refused[#refused + 1] = reply.err
  end
end
try('TIME')
try('EXISTS', key)
try('HSET', key, 'a', '1')
try('HSETNX', key, 'a', '1')
try('HINCRBY', key, 'a', '1')
try('HGET', key, 'a')
try('HMGET', key, 'a')
try('HDEL', key, 'a')
try('RPUSH', list, 'a')
try('LLEN', list)
try('LRANGE', list, '0', '0')
try('ZADD', set, '1', 'a')
try('ZSCORE', set, 'a')
try('ZCARD', set)
try('ZCOUNT', set, '0', '1')
try('ZRANGE', set, '0', '0')
try('ZRANGEBYSCORE', set, '0', '1')
try('ZREM', set, 'a')
try('ZPOPMIN', set)
try('PUBSUB', 'SHARDNUMSUB', channel)
try('SPUBLISH', channel, '')
try('UNLINK', key, list, set)
return refused
