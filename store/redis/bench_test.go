package redis_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/redis"
	"github.com/runplane/runplane/store/redis/redistest"
)

var committers = []int{1, 16, 64}

// BenchmarkCommit is the hot path: one record with its version and two log entries of 200 bytes a commit.
func BenchmarkCommit(b *testing.B) {
	url := redistest.Standalone(b).URL()
	for _, n := range committers {
		b.Run(fmt.Sprintf("committers=%d", n), func(b *testing.B) {
			s := open(b, redis.Options{URL: url, Prefix: prefix()})
			entry, head := make([]byte, 200), make([]byte, 200)
			trips := s.Trips()
			commits(b, n, func(w int) func() error {
				key := store.Key{Kind: "execution", ID: fmt.Sprintf("01JCZ0K9W8%016d", w)}
				version := int64(0)
				return func() error {
					c, err := s.Commit(b.Context(), store.Batch{
						Puts:    []store.Put{{Key: key, Value: head, Version: version}},
						Appends: []store.Append{{Key: key, Value: entry}, {Key: key, Value: entry}},
					})
					if err == nil {
						version = c.Versions[0]
					}
					return err
				}
			})
			b.ReportMetric(float64(s.Trips()-trips)/float64(b.N), "trips/op")
		})
	}
}

// BenchmarkFloor is the least that the same work costs without an engine: one EVALSHA of HSET and RPUSH for each call,
// each caller on a connection of its own.
func BenchmarkFloor(b *testing.B) {
	addr := redistest.Standalone(b).Addr
	for _, n := range committers {
		b.Run(fmt.Sprintf("committers=%d", n), func(b *testing.B) {
			c := goredis.NewClient(&goredis.Options{Addr: addr, Protocol: 2, PoolSize: n})
			defer c.Close()
			entry, head := make([]byte, 200), make([]byte, 200)
			sha := must(c.ScriptLoad(b.Context(), "redis.call('HSET', KEYS[1], 'd', ARGV[1]) return redis.call('RPUSH', KEYS[2], ARGV[2], ARGV[3])").Result())
			commits(b, n, func(w int) func() error {
				keys := []string{fmt.Sprint("h", w), fmt.Sprint("l", w)}
				return func() error { return c.EvalSha(context.Background(), sha, keys, head, entry, entry).Err() }
			})
		})
	}
}

// commits shares b.N calls among workers, each of which made its own function.
func commits(b *testing.B, workers int, worker func(w int) func() error) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	var group sync.WaitGroup
	for w := range workers {
		commit := worker(w)
		group.Go(func() {
			for n := w; n < b.N; n += workers {
				if err := commit(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
