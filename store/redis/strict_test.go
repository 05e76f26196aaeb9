package redis_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/redis"
	"github.com/runplane/runplane/store/redis/redistest"
)

// A strict commit that was acknowledged outlives its master: it is there, once, when the sentinels have made another.
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
				t.Fatalf("%s nothing is acknowledged", what)
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
		t.Errorf("%d acknowledged entries are lost, %d are there twice", lost, twice)
	}
	if failed == 0 {
		t.Error("the failover was not noticed")
	}
}
