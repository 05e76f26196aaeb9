-- about says which layout and how many shards lie under the prefix, and writes it down on first use.
--
-- KEYS    1 the description
-- ARGV    1 format   2 shards
-- returns {format, shards} as they stand there
redis.call('HSETNX', KEYS[1], 'format', ARGV[1])
redis.call('HSETNX', KEYS[1], 'shards', ARGV[2])
return redis.call('HMGET', KEYS[1], 'format', 'shards')
