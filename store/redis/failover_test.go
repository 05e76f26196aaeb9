package redis_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/redis"
	"github.com/runplane/runplane/store/redis/redistest"
	"github.com/runplane/runplane/store/storetest"
)

func TestConformanceSentinel(t *testing.T) {
	url := redistest.Sentinel(t).URL()
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, redis.Options{URL: url, Prefix: prefix()}) })
}

func put(ctx context.Context, s *redis.Store, id string) error {
	_, err := s.Commit(ctx, store.Batch{Puts: []store.Put{{Key: store.Key{Kind: "x", ID: id}, Version: store.AnyVersion}}, Sync: true})
	return err
}

// eventually retries until do succeeds.
func eventually(t *testing.T, what string, do func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if err = do(); err == nil {
			return
		}
	}
	t.Fatalf("%s: still %v", what, err)
}

// TestFailover kills the master: with durability=strict the new one has what was acknowledged, and every call works again
// without action.
func TestFailover(t *testing.T) {
	w := redistest.Sentinel(t)
	s, other := open(t, redis.Options{URL: w.URL(), Durability: redis.Strict}), open(t, redis.Options{URL: w.URL()})
	keys := must(s.Watch(t.Context()))
	for i := range 50 {
		if err := put(t.Context(), s, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	old := w.Master()
	old.Kill()
	err := put(t.Context(), s, "lost")
	if _, ok := errors.AsType[*redis.Fault](err); !ok {
		t.Fatalf("got %v, want a fault", err)
	}
	w.AwaitMaster(old)
	eventually(t, "commit", func() error { return put(t.Context(), other, "after") })
	for i := range 50 {
		k := store.Key{Kind: "x", ID: fmt.Sprint(i)}
		eventually(t, "get", func() error { _, err := s.Get(t.Context(), k); return err })
	}
	eventually(t, "the watch", func() error {
		if err := put(t.Context(), other, "seen"); err != nil {
			return err
		}
		for {
			select {
			case k := <-keys:
				if k.ID == "seen" {
					return nil
				}
			case <-time.After(50 * time.Millisecond):
				return errors.New("nothing received")
			}
		}
	})
	// Without a replica, a strict commit is not acknowledged.
	err = put(t.Context(), s, "alone")
	if f, ok := errors.AsType[*redis.Fault](err); !ok || f.Kind != redis.Undurable {
		t.Errorf("strict without a replica: got %v, want %s", err, redis.Undurable)
	}
}

// TestClusterNodeThatDiesAndComesBack checks that the shards of other nodes keep working.
func TestClusterNodeThatDiesAndComesBack(t *testing.T) {
	c := redistest.Cluster(t, "cluster-require-full-coverage no", "appendfsync always")
	s := open(t, redis.Options{URL: c.URL(), Durability: redis.Strict})
	for i := range 100 {
		if err := put(t.Context(), s, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		must(s.Commit(t.Context(), store.Batch{Wakes: []store.Wake{{Key: store.Key{Kind: "w", ID: fmt.Sprint(i)}, At: time.Now()}}}))
	}
	request := store.ClaimRequest{Kind: "w", Owner: "o", Max: 70, TTL: time.Hour, Wait: 10 * time.Second}
	leases := must(s.Claim(t.Context(), request))
	c.Masters[1].Kill()
	if more, err := s.Claim(t.Context(), request); err != nil || len(more) == 0 {
		t.Errorf("with one of three nodes dead %d leases were claimed, %v", len(more), err)
	}
	lost, err := s.Renew(t.Context(), leases, time.Hour)
	if some, ok := errors.AsType[*store.Unrenewed](err); !ok || len(some.Leases) == 0 || len(some.Leases) == len(leases) || len(lost) > 0 {
		t.Errorf("with one of three nodes dead the renewal of %d leases returned %v, and %d are lost", len(leases), err, len(lost))
	}
	worked, failed := 0, 0
	for i := range 100 {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if put(ctx, s, fmt.Sprint(i)) == nil {
			worked++
		} else {
			failed++
		}
		cancel()
	}
	if worked == 0 || failed == 0 {
		t.Errorf("with one of three nodes dead %d commits worked and %d failed, want some of each", worked, failed)
	}
	c.Masters[1].Restart()
	c.Await()
	for i := range 100 {
		k := store.Key{Kind: "x", ID: fmt.Sprint(i)}
		eventually(t, "get", func() error { _, err := s.Get(t.Context(), k); return err })
		eventually(t, "commit", func() error { return put(t.Context(), s, fmt.Sprint(i)) })
	}
	if lost, err := s.Renew(t.Context(), leases, time.Hour); err != nil || len(lost) > 0 {
		t.Errorf("when the node is back %d leases are lost, %v", len(lost), err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
