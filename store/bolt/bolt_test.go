package bolt_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
	"github.com/runplane/runplane/store/storetest"
)

func goleakMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ctx() context.Context { return context.Background() }

func open(t testing.TB, o bolt.Options) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// must returns the result; an error panics.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestConformanceMem(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, bolt.Options{Mem: true}) })
}

func TestConformanceFile(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, bolt.Options{Dir: t.TempDir()}) })
}

func TestConformanceOfACrasher(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		return closing{storetest.Crash(open(t, bolt.Options{Mem: true}), 0, storetest.CrashBefore)}
	})
}

// TestHoursPassInABubble checks that the store works with the clock of testing/synctest, to the nanosecond.
func TestHoursPassInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := must(bolt.Open(bolt.Options{Mem: true}))
		defer s.Close()
		k := store.Key{Kind: "execution", ID: "e"}
		claim := func(owner string, ttl, want time.Duration) store.Lease {
			t.Helper()
			start := time.Now()
			ls := must(s.Claim(ctx(), store.ClaimRequest{Kind: "execution", Owner: owner, TTL: ttl, Wait: 100 * time.Hour}))
			if got := time.Since(start); len(ls) != 1 || got != want {
				t.Fatalf("%s claimed %v after %v, want %v", owner, ls, got, want)
			}
			return ls[0]
		}
		must(s.Commit(ctx(), store.Batch{
			Puts:  []store.Put{{Key: k, TTL: 24 * time.Hour}},
			Wakes: []store.Wake{{Key: k, At: time.Now().Add(5 * time.Hour)}},
		}))
		claim("one", 15*time.Second, 5*time.Hour)
		l := claim("two", 15*time.Second, 15*time.Second)
		for range 100 {
			time.Sleep(5 * time.Second)
			if lost := must(s.Renew(ctx(), []store.Lease{l}, 15*time.Second)); len(lost) > 0 {
				t.Fatal("a renewed lease was lost")
			}
		}
		l = claim("three", time.Minute, 15*time.Second)
		must(s.Commit(ctx(), store.Batch{Release: &l, Wakes: []store.Wake{{Key: k, At: time.Now().Add(72 * time.Hour)}}}))
		if r, err := s.Get(ctx(), k); err != nil {
			t.Fatal(r, err)
		}
		claim("four", time.Minute, 72*time.Hour)
		if r, err := s.Get(ctx(), k); err == nil {
			t.Fatalf("%+v outlived its TTL", r)
		}
	})
}

// closing is a Crasher that returns ErrClosed after Close, as the suite requires, instead of ErrCrashed.
type closing struct{ *storetest.Crasher }

func (c closing) Close() error { return c.Unwrap().Close() }
