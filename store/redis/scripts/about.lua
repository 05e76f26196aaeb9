-- about returns the format and the number of shards of the prefix, and stores them on first use.
--
-- KEYS    1 the key of the prefix
-- ARGV    1 format   2 shards
-- returns {format, shards} as they are stored
redis.call('HSETNX', KEYS[1], 'format', ARGV[1])
redis.call('HSETNX', KEYS[1], 'shards', ARGV[2])
return redis.call('HMGET', KEYS[1], 'format', 'shards')
