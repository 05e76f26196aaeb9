package runtime

import (
	"testing"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
	"github.com/runplane/runplane/store/redis"
	"github.com/runplane/runplane/store/redis/redistest"
)

// everyStore are the stores that tests by the real clock run on. open makes an empty one; the function that it returns opens it
// once more, as another replica does.
var everyStore = []struct {
	name string
	open func(t *testing.T) func() store.Store
}{
	{"bolt", func(t *testing.T) func() store.Store {
		s, err := bolt.Open(bolt.Options{Mem: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return func() store.Store { return s }
	}},
	{"redis", func(t *testing.T) func() store.Store {
		url := redistest.Standalone(t).URL()
		return func() store.Store {
			s, err := redis.Open(t.Context(), redis.Options{URL: url})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		}
	}},
}
