package storetest

import (
	"fmt"
	"sync"
	"testing"

	"github.com/runplane/runplane/store"
)

// BenchmarkCommits measures the hot path of a store: committers at once, each of which commits a record with its version
// and two log entries of 200 bytes again and again.
func BenchmarkCommits(b *testing.B, s store.Store, committers int) {
	b.Helper()
	entry, head := make([]byte, 200), make([]byte, 200)
	Concurrently(b, committers, func(n int) func() error {
		key := store.Key{Kind: "execution", ID: fmt.Sprintf("01JCZ0K9W8%016d", n)}
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
}

// Concurrently shares b.N calls among goroutines, each of which calls the function that caller makes for its number, and
// reports the calls per second as commits/s.
func Concurrently(b *testing.B, goroutines int, caller func(n int) func() error) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	var group sync.WaitGroup
	for first := range goroutines {
		call := caller(first)
		group.Go(func() {
			for n := first; n < b.N; n += goroutines {
				if err := call(); err != nil {
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
