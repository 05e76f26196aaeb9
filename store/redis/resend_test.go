package redis

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/redis/redistest"
)

// TestResentBatchHasTheSameAnswer sends a batch again as Commit does when the answer was lost.
func TestResentBatchHasTheSameAnswer(t *testing.T) {
	server := redistest.Standalone(t)
	s := openURL(t, server.URL())
	changes := func() string {
		_, rest, _ := strings.Cut(fmt.Sprint(server.Do("INFO", "persistence")), "rdb_changes_since_last_save:")
		n, _, _ := strings.Cut(rest, "\r")
		return n
	}
	k, other := store.Key{Kind: "x", ID: "p"}, store.Key{Kind: "x", ID: "p/other"}
	sh := s.shardOf("p")
	b := store.Batch{
		Puts:    []store.Put{{Key: other, Version: store.AnyVersion, Value: []byte("o")}, {Key: k, Value: []byte("v")}},
		Appends: []store.Append{{Key: k, Value: []byte("1")}, {Key: other, Value: []byte("2")}, {Key: k, Value: []byte("3")}},
		Claim:   &store.Claim{Key: k, Owner: "me", TTL: time.Hour},
	}
	send := func(e *encoded, again bool) (store.Committed, error) {
		c := e.call(false, again)
		if err := s.do(t.Context(), sh, &sh.commits, c); err != nil {
			t.Fatal(err)
		}
		return e.answer(sh, c.reply)
	}
	e := encodeBatch(s, sh, &b)
	if !e.resendable {
		t.Fatal("a batch with a version is not resendable")
	}
	first, err := send(e, false)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		before := changes()
		second, err := send(e, true)
		if diff := cmp.Diff(first, second); err != nil || diff != "" {
			t.Fatalf("%v (-first +second):\n%s", err, diff)
		}
		if changes() == before {
			t.Error("the second try wrote nothing that its connection could have confirmed")
		}
	}
	if es, err := s.Log(t.Context(), k, 0, 0); err != nil || len(es) != 2 {
		t.Fatalf("%d entries, %v; want 2", len(es), err)
	}
	if _, err := send(encodeBatch(s, sh, &b), true); !errors.Is(err, store.ErrConflict) {
		t.Errorf("another batch with the same contents: got %v, want a conflict", err)
	}
	if _, err := s.Commit(t.Context(), store.Batch{Puts: []store.Put{{Key: k, Version: 1}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := send(e, true); !errors.Is(err, store.ErrConflict) { // Commit returns the error of its first try instead
		t.Errorf("overwritten since: got %v, want a conflict", err)
	}

	// A batch whose request was lost is written by the second try.
	late := store.Batch{Puts: []store.Put{{Key: k, Version: 2, Value: []byte("late")}}}
	if c, err := send(encodeBatch(s, sh, &late), true); err != nil || c.Versions[0] != 3 {
		t.Errorf("got %+v, %v, want version 3", c, err)
	}
	for _, b := range []store.Batch{
		{Puts: []store.Put{{Key: k, Version: store.AnyVersion}}}, {Appends: []store.Append{{Key: k}}}, {Deletes: []store.Key{k}},
	} {
		if encodeBatch(s, sh, &b).resendable {
			t.Errorf("%+v could be written twice", b)
		}
	}
}

// TestCommitsShareTrips checks that a single commit is one trip, and that commits during a trip share the next one.
func TestCommitsShareTrips(t *testing.T) {
	server := redistest.Standalone(t)
	s := openURL(t, server.URL())
	commit := func(id string, v int64) error {
		k := store.Key{Kind: "x", ID: id}
		_, err := s.Commit(t.Context(), store.Batch{
			Puts:    []store.Put{{Key: k, Version: v, Terms: []string{"t"}}},
			Appends: []store.Append{{Key: k}},
			Wakes:   []store.Wake{{Key: k, At: time.Now()}},
		})
		return err
	}
	if err := commit("a", 0); err != nil {
		t.Fatal(err)
	}
	before := s.Trips()
	for v := range int64(50) {
		if err := commit("a", v+1); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Trips() - before; n != 50 {
		t.Errorf("50 commits one after the other took %d trips", n)
	}

	server.Pause()
	before = s.Trips()
	l := &s.shards[0].commits
	queued := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.queue)
	}
	var group sync.WaitGroup
	for i := range 64 {
		group.Go(func() {
			if err := commit("b"+string(rune('a'+i)), 0); err != nil {
				t.Error(err)
			}
		})
	}
	for end := time.Now().Add(4 * time.Second); queued() < 40 && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	server.Continue()
	group.Wait()
	if n := s.Trips() - before; n > 8 {
		t.Errorf("64 commits at once took %d trips, want a few", n)
	}
}
