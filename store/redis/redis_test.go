package redis_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/redis"
	"github.com/runplane/runplane/store/redis/redistest"
	"github.com/runplane/runplane/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, o redis.Options) *redis.Store {
	t.Helper()
	s, err := redis.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

var prefixes atomic.Int64

// prefix returns a prefix that no other test of this process uses.
func prefix() string { return fmt.Sprint("t", prefixes.Add(1)) }

func TestConformanceStandalone(t *testing.T) {
	url := redistest.Standalone(t).URL()
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, redis.Options{URL: url, Prefix: prefix()}) })
}

func TestConformanceCluster(t *testing.T) {
	url := redistest.Cluster(t).URL()
	for _, shards := range []int{1, 16} {
		t.Run(fmt.Sprint(shards), func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) store.Store {
				return open(t, redis.Options{URL: url, Prefix: prefix(), Shards: shards})
			})
		})
	}
}
