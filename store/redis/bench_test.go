package redis_test

import (
	"fmt"
	"sync"
	"testing"

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
	server := redistest.Standalone(b)
	for _, n := range committers {
		b.Run(fmt.Sprintf("committers=%d", n), func(b *testing.B) {
			write := server.Floor(n)
			entry, head := make([]byte, 200), make([]byte, 200)
			commits(b, n, func(w int) func() error {
				id := fmt.Sprint(w)
				return func() error { return write(id, head, entry, entry) }
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
