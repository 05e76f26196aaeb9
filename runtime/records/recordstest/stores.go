// Package recordstest makes stores for the tests of the rooms of the runtime: in memory, on every kind of store, and one that cannot be
// reached for a while. Each store belongs to the test that opened it and is closed with it. Only tests call it; it calls no hooks.
package recordstest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/oklog/ulid/v2"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
	"github.com/runplane/runplane/store/redis"
	"github.com/runplane/runplane/store/redis/redistest"
)

// Lease is how long a key that is due stays with the replica that claimed it.
const Lease = 15 * time.Second

// Memory opens an empty store in memory, which is closed with the test. It is swept seldom, so that a virtual year is over soon.
func Memory(t testing.TB) store.Store {
	t.Helper()
	s, err := bolt.Open(bolt.Options{Mem: true, Sweep: time.Hour})
	return opened(t, s, err)
}

// Disk opens an empty store on disk, which is closed with the test.
func Disk(t testing.TB) store.Store {
	t.Helper()
	s, err := bolt.Open(bolt.Options{Dir: t.TempDir()})
	return opened(t, s, err)
}

// Redis opens the store on a Redis, which is closed with the test.
func Redis(t testing.TB, o redis.Options) store.Store {
	t.Helper()
	s, err := redis.Open(t.Context(), o)
	return opened(t, s, err)
}

func opened(t testing.TB, s store.Store, err error) store.Store {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Replica is what one replica makes of a store.
func Replica(s store.Store) *records.Store {
	return records.New(records.Config{Store: s, Log: hclog.NewNullLogger(), Worker: ulid.Make().String(), Lease: Lease, Random: rand.Float64})
}

// Stores are the kinds of stores. Open makes an empty one; the function that it returns opens it once more, as another replica does.
var Stores = []struct {
	Name string
	Open func(t *testing.T) func() store.Store
}{
	{"bolt", func(t *testing.T) func() store.Store {
		s := Memory(t)
		return func() store.Store { return s }
	}},
	{"redis", func(t *testing.T) func() store.Store {
		url := redistest.Standalone(t).URL()
		return func() store.Store { return Redis(t, redis.Options{URL: url}) }
	}},
}
