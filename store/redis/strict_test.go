package redis_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/redis"
	"github.com/runplane/runplane/store/redis/redistest"
)

// An acknowledged strict commit survives its master: it is in the log once after a failover. A batch that names the version that
// it replaces is sent again meanwhile, and is written once.
func TestStrictCommitsSurviveAFailover(t *testing.T) {
	w := redistest.Sentinel(t)
	s := open(t, redis.Options{URL: w.URL(), Prefix: prefix(), Durability: redis.Strict})
	k := store.Key{Kind: "x", ID: "p"}
	const clients = 4
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	failed := 0
	stop := make(chan struct{})
	var group sync.WaitGroup
	for c := range clients {
		group.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				value := fmt.Sprint(c, "-", n)
				_, err := s.Commit(t.Context(), store.Batch{Appends: []store.Append{{Key: k, Value: []byte(value)}}, Sync: true})
				mu.Lock()
				if acknowledged[value] = err == nil; err != nil {
					failed++
				}
				mu.Unlock()
				time.Sleep(time.Millisecond)
			}
		})
	}
	chains := make([]chain, clients)
	for c := range chains {
		chains[c].key = store.Key{Kind: "x", ID: fmt.Sprint("chain", c)}
		group.Go(func() { chains[c].run(t, s, stop) })
	}
	count := func() (n int) {
		mu.Lock()
		defer mu.Unlock()
		for _, ok := range acknowledged {
			if ok {
				n++
			}
		}
		return n
	}
	more := func(what string) {
		t.Helper()
		for before, end := count(), time.Now().Add(30*time.Second); count() < before+20; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: nothing is acknowledged", what)
			}
		}
	}
	more("at the start")
	old := w.Master()
	old.Kill()
	w.AwaitMaster(old)
	old.Restart()
	w.AwaitReplica(old)
	more("after the failover")
	close(stop)
	group.Wait()

	entries, err := s.Log(t.Context(), k, 0, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, e := range entries {
		seen[string(e.Value)]++
	}
	lost, twice := 0, 0
	for value, ok := range acknowledged {
		if ok && seen[value] == 0 {
			lost++
		}
		if seen[value] > 1 {
			twice++
		}
	}
	t.Logf("%d acknowledged, %d failed", count(), failed)
	if lost > 0 || twice > 0 {
		t.Errorf("%d acknowledged entries are lost, %d were written twice", lost, twice)
	}
	if failed == 0 {
		t.Error("the failover was not noticed")
	}
	for c := range chains {
		chains[c].check(t, s)
	}
}

// chain is a client that repeatedly writes a record, with the version that it knows, and its log.
type chain struct {
	key          store.Key
	version      int64
	acknowledged []string
}

func (c *chain) run(t *testing.T, s *redis.Store, stop chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(time.Millisecond):
		}
		value := fmt.Sprint(n)
		done, err := s.Commit(t.Context(), store.Batch{Puts: []store.Put{{Key: c.key, Version: c.version, Value: []byte(value)}},
			Appends: []store.Append{{Key: c.key, Value: []byte(value)}}, Sync: true})
		if err == nil {
			if c.version++; done.Versions[0] != c.version || done.Seqs[0] != c.version {
				t.Errorf("%s: got %+v, want %d", c.key, done, c.version)
			}
			c.acknowledged = append(c.acknowledged, value)
			continue
		}
		if r, err := s.Get(t.Context(), c.key); err == nil {
			c.version = r.Version
		} else if errors.Is(err, store.ErrNotFound) {
			c.version = 0
		}
	}
}

// check checks that the log has every acknowledged entry in order, none twice, and as many entries as the record has versions.
func (c *chain) check(t *testing.T, s *redis.Store) {
	t.Helper()
	entries, err := s.Log(t.Context(), c.key, 0, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Get(t.Context(), c.key)
	if err != nil || r.Version != int64(len(entries)) {
		t.Errorf("%s has version %d and %d entries, %v", c.key, r.Version, len(entries), err)
	}
	left, seen := c.acknowledged, map[string]bool{}
	for _, e := range entries {
		value := string(e.Value)
		if seen[value] {
			t.Errorf("%s: %s was written twice", c.key, value)
		}
		seen[value] = true
		if len(left) > 0 && left[0] == value {
			left = left[1:]
		}
	}
	if len(left) > 0 {
		t.Errorf("%s: %d of %d acknowledged entries are lost, %s first", c.key, len(left), len(c.acknowledged), left[0])
	}
}
