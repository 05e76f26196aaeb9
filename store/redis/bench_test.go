package redis_test

import (
	"fmt"
	"testing"

	"github.com/runplane/runplane/store/redis"
	"github.com/runplane/runplane/store/redis/redistest"
	"github.com/runplane/runplane/store/storetest"
)

var committers = []int{1, 16, 64}

// BenchmarkCommit is the hot path, see storetest.BenchmarkCommits.
func BenchmarkCommit(b *testing.B) {
	url := redistest.Standalone(b).URL()
	for _, n := range committers {
		b.Run(fmt.Sprintf("committers=%d", n), func(b *testing.B) {
			s := open(b, redis.Options{URL: url, Prefix: prefix()})
			trips := s.Trips()
			storetest.BenchmarkCommits(b, s, n)
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
			storetest.Concurrently(b, n, func(w int) func() error {
				id := fmt.Sprint(w)
				return func() error { return write(id, head, entry, entry) }
			})
		})
	}
}
