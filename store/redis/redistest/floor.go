package redistest

import (
	"context"

	goredis "github.com/redis/go-redis/v9"
)

// floorScript is about the least that a durable step needs: replace a record and append to its log.
const floorScript = `redis.call('HSET', KEYS[1], 'd', ARGV[1]) return redis.call('RPUSH', KEYS[2], unpack(ARGV, 2))`

// Floor is a baseline for benchmarks: it returns a function that writes a record and log entries with one EVALSHA and nothing
// else. The function may be called from any goroutine; up to callers calls at once have a connection each. The connections are
// closed at the end of the test.
func (s *Server) Floor(callers int) func(id string, record []byte, entries ...[]byte) error {
	s.t.Helper()
	ctx := context.Background()
	c := goredis.NewClient(&goredis.Options{Addr: s.Addr, Password: s.password, Protocol: 2, PoolSize: callers, DisableIdentity: true})
	s.t.Cleanup(func() { _ = c.Close() }) // its error does not matter at the end of the test
	sha, err := c.ScriptLoad(ctx, floorScript).Result()
	if err != nil {
		s.t.Fatalf("load the baseline script: %v", err)
	}
	return func(id string, record []byte, entries ...[]byte) error {
		args := make([]any, 0, 1+len(entries))
		args = append(args, record)
		for _, e := range entries {
			args = append(args, e)
		}
		return c.EvalSha(ctx, sha, []string{"h:" + id, "l:" + id}, args...).Err()
	}
}
