package redis

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/redis/redistest"
)

// sleepers commits n wakes that are due in an hour, of 1,000 fairness keys.
func sleepers(t testing.TB, s *Store, n int) {
	t.Helper()
	const chunk = 500
	for from := 0; from < n; from += chunk {
		var b store.Batch
		for i := from; i < min(from+chunk, n); i++ {
			b.Wakes = append(b.Wakes, store.Wake{Key: store.Key{Kind: "x", ID: fmt.Sprintf("p%d/%06d", from, i)},
				At: time.Now().Add(time.Hour), Priority: 1 + i%5, Fairness: fmt.Sprint(i % 1000)})
		}
		if _, err := s.Commit(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWaitingClaimsCostOneCommandASecond checks that the number of waiting claims and of sleeping wakes does not matter.
func TestWaitingClaimsCostOneCommandASecond(t *testing.T) {
	for _, shards := range []int{1, 4} {
		s, err := Open(t.Context(), Options{URL: redistest.Standalone(t).URL(), Shards: shards, Sweep: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		sleepers(t, s, 5000)
		if _, err := s.Watch(t.Context()); err != nil { // subscribing makes claims ask once more
			t.Fatal(err)
		}
		const wait = 3 * time.Second
		done := make(chan error, 20)
		before := s.Trips()
		for range cap(done) {
			go func() {
				ls, err := s.Claim(t.Context(), store.ClaimRequest{Kind: "x", Owner: "o", TTL: time.Hour, Wait: wait})
				if len(ls) != 0 {
					err = fmt.Errorf("claimed %v", ls)
				}
				done <- err
			}()
		}
		for range cap(done) {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		// Each claim asks once when it starts; then there are polls.
		if got, most := s.Trips()-before, int64(shards*(cap(done)+4)); got > most {
			t.Errorf("%d shards: %d trips in %v, want at most %d", shards, got, wait, most)
		}
	}
}

// TestClaimsDoNotLookForWhatTheWriterLeases checks that waiting claims are notified only of wakes that they may get.
func TestClaimsDoNotLookForWhatTheWriterLeases(t *testing.T) {
	url := redistest.Standalone(t).URL()
	writer, other := openURL(t, url), openURL(t, url)
	ctx, end := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for _, s := range []*Store{writer, other} {
		if _, err := s.Watch(ctx); err != nil {
			t.Fatal(err)
		}
		waiting.Go(func() {
			ls, err := s.Claim(ctx, store.ClaimRequest{Kind: "x", Owner: "o", TTL: time.Hour, Wait: time.Hour})
			if len(ls) != 0 || ctx.Err() == nil {
				t.Errorf("claimed %v, %v", ls, err)
			}
		})
	}
	defer waiting.Wait()
	defer end()
	const commits = 200
	began, before := time.Now(), writer.Trips()+other.Trips()
	for i := range commits {
		k := store.Key{Kind: "x", ID: fmt.Sprint("p", i)}
		if _, err := writer.Commit(t.Context(), store.Batch{
			Puts: []store.Put{{Key: k}}, Wakes: []store.Wake{{Key: k, At: time.Now()}}, Claim: &store.Claim{Key: k, Owner: "w", TTL: time.Hour},
		}); err != nil {
			t.Fatal(err)
		}
	}
	polls := 2 * (int64(time.Since(began)/poll) + 2)
	if got := writer.Trips() + other.Trips() - before; got > commits+polls {
		t.Errorf("%d trips for %d commits and at most %d polls", got, commits, polls)
	}
}

func TestPrefixesAreSeparate(t *testing.T) {
	server := redistest.Standalone(t)
	a, b := openURL(t, server.URL()), openURL(t, server.URL()+"?prefix=other")
	k := store.Key{Kind: "x", ID: "p"}
	fill := func(s *Store) {
		if _, err := s.Commit(t.Context(), store.Batch{
			Puts:    []store.Put{{Key: k, Terms: []string{"t"}, TTL: time.Hour}},
			Appends: []store.Append{{Key: k}},
			Wakes:   []store.Wake{{Key: k, At: time.Now()}},
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Take(t.Context(), store.Limit{Key: "k", Rate: 1, Period: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	dump := func() map[string]string {
		all := map[string]string{}
		for _, name := range server.Do("KEYS", "*").([]any) {
			all[name.(string)] = fmt.Sprint(server.Do("DUMP", name.(string)))
		}
		return all
	}
	fill(a)
	before := dump()
	fill(b)
	ls, err := b.Claim(t.Context(), store.ClaimRequest{Kind: "x", Owner: "o", TTL: time.Hour})
	if err != nil || len(ls) != 1 {
		t.Fatal(ls, err)
	}
	if _, err := b.Commit(t.Context(), store.Batch{Release: &ls[0]}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Commit(t.Context(), store.Batch{Deletes: []store.Key{k}}); err != nil {
		t.Fatal(err)
	}
	after := dump()
	for name := range before {
		if diff := cmp.Diff(before[name], after[name]); diff != "" {
			t.Errorf("%s changed (-before +after):\n%s", name, diff)
		}
	}
}

// TestDeletedAndExpiredLeaveNothing checks that only counters are left, which do not grow.
func TestDeletedAndExpiredLeaveNothing(t *testing.T) {
	server := redistest.Standalone(t)
	s, err := Open(t.Context(), Options{URL: server.URL(), Sweep: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 500 {
		k, expires := store.Key{Kind: "x", ID: fmt.Sprint("p", i)}, store.Key{Kind: "x", ID: fmt.Sprint("p", i, "/e")}
		if _, err := s.Commit(t.Context(), store.Batch{
			Puts:    []store.Put{{Key: k, Terms: []string{"t", "u"}}, {Key: expires, Terms: []string{"t"}, TTL: time.Millisecond}},
			Appends: []store.Append{{Key: k}},
			Wakes:   []store.Wake{{Key: k, At: time.Now().Add(time.Duration(i%2) * time.Hour), Fairness: fmt.Sprint(i % 7)}},
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Commit(t.Context(), store.Batch{Deletes: []store.Key{k}}); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]bool{"{rp}:about": true, "{rp:00}:v:x": true}
	eventually(t, "the sweep", func() error {
		for _, name := range server.Do("KEYS", "*").([]any) {
			if !want[name.(string)] {
				return fmt.Errorf("%q is left", name)
			}
		}
		return nil
	})
}

// BenchmarkClaim claims and releases one key while others sleep: the time must not depend on their number.
func BenchmarkClaim(b *testing.B) {
	for _, n := range []int{0, 100_000} {
		b.Run(fmt.Sprintf("sleeping=%d", n), func(b *testing.B) {
			s := openURL(b, redistest.Standalone(b).URL())
			sleepers(b, s, n)
			k := store.Key{Kind: "x", ID: "busy"}
			wake := store.Batch{Wakes: []store.Wake{{Key: k, At: time.Unix(1, 0)}}}
			if _, err := s.Commit(b.Context(), wake); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			for range b.N {
				ls, err := s.Claim(b.Context(), store.ClaimRequest{Kind: "x", Owner: "o", TTL: time.Hour})
				if err != nil || len(ls) != 1 {
					b.Fatal(ls, err)
				}
				wake.Release = &ls[0]
				if _, err := s.Commit(b.Context(), wake); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
