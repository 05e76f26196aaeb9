package bolt

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runplane/runplane/store"
)

func TestQueueCountsWakesAndLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ctx, now := openMem(t), context.Background(), time.Now()
		wake := func(kind, id string, in time.Duration, priority int) {
			mustCommit(t, s, store.Batch{Wakes: []store.Wake{{Key: store.Key{Kind: kind, ID: id}, At: now.Add(in), Priority: priority}}})
		}
		want := func(want store.Queue) {
			t.Helper()
			got, err := s.Queue(ctx, "x")
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("queue (-want +got):\n%s%v", diff, err)
			}
		}
		want(store.Queue{})
		for i, p := range []int{1, 0, 3, 5} {
			wake("x", fmt.Sprint(i), -time.Duration(i)*time.Minute, p)
		}
		wake("x", "soon", time.Minute, 2)
		wake("x", "late", time.Hour, 0)
		wake("xy", "other", 0, 1)
		want(store.Queue{Due: [5]int{1, 0, 2, 0, 1}, Oldest: now.Add(-3 * time.Minute), Sleeping: 2})

		ls, err := s.Claim(ctx, store.ClaimRequest{Kind: "x", Owner: "w", Max: 2, TTL: time.Hour})
		if err != nil || len(ls) != 2 {
			t.Fatal(ls, err)
		}
		want(store.Queue{Due: [5]int{0, 0, 1, 0, 1}, Oldest: now.Add(-3 * time.Minute), Sleeping: 2, Leased: 2})
		wake("x", ls[0].Key.ID, time.Hour, 1) // its owner sets its next wake; it is still leased
		want(store.Queue{Due: [5]int{0, 0, 1, 0, 1}, Oldest: now.Add(-3 * time.Minute), Sleeping: 2, Leased: 2})
		time.Sleep(2 * time.Hour)
		want(store.Queue{Due: [5]int{1, 1, 3, 0, 1}, Oldest: now.Add(-3 * time.Minute)})
	})
}

func TestPlacesOfKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ctx, now := openMem(t), context.Background(), time.Now()
		x := func(id string) store.Key { return store.Key{Kind: "x", ID: id} }
		sleeps := store.Wake{Key: x("sleeps"), At: now.Add(time.Hour), Priority: 3, Fairness: "f"}
		held := store.Wake{Key: x("held"), At: now, Priority: 1}
		mustCommit(t, s, store.Batch{Wakes: []store.Wake{sleeps}})
		mustCommit(t, s, store.Batch{Wakes: []store.Wake{held}})
		ls, err := s.Claim(ctx, store.ClaimRequest{Kind: "x", Owner: "w", TTL: time.Minute})
		if err != nil || len(ls) != 1 {
			t.Fatal(ls, err)
		}
		want := []store.Place{{Wake: &sleeps}, {}, {Wake: &held, Lease: &ls[0]}}
		got, err := s.Places(ctx, []store.Key{x("sleeps"), x("missing"), x("held")})
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("places (-want +got):\n%s%v", diff, err)
		}
		time.Sleep(2 * time.Minute)
		got, err = s.Places(ctx, []store.Key{x("held")})
		if diff := cmp.Diff([]store.Place{{Wake: &held}}, got); err != nil || diff != "" {
			t.Errorf("places after the lease expired (-want +got):\n%s%v", diff, err)
		}
	})
}

func TestTenThousandOfOneSessionDoNotDelayAnother(t *testing.T) {
	s, ctx, now := openMem(t), context.Background(), time.Now()
	wakes := func(session string, n int, at time.Time) {
		for i := range n {
			r := store.Wake{Key: store.Key{Kind: "x", ID: fmt.Sprint(session, i)}, At: at, Fairness: session}
			mustCommit(t, s, store.Batch{Wakes: []store.Wake{r}})
		}
	}
	wakes("busy", 10_000, now.Add(-time.Hour))
	wakes("calm", 3, now)
	ls, err := s.Claim(ctx, store.ClaimRequest{Kind: "x", Owner: "w", TTL: time.Hour, Max: 6})
	if err != nil {
		t.Fatal(err)
	}
	calm := slices.DeleteFunc(ls, func(l store.Lease) bool { return l.Key.ID[:4] != "calm" })
	if len(calm) != 3 {
		t.Errorf("of 6 claims %d went to the calm session, want 3", len(calm))
	}
}
