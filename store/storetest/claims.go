package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/runplane/runplane/store"
)

var claimTests = []test{
	{"nothing due is not an error", func(f *fixture) {
		f.wantClaim("x", 1)
		f.commit(store.Batch{Wakes: []store.Wake{{Key: key("x", "a"), At: time.Now().Add(time.Hour)}}})
		f.wantClaim("x", 1)
	}},
	{"a due key is claimed once", func(f *fixture) {
		f.due(key("x", "a"), time.Second)
		f.wantClaim("x", 10, "a")
		f.wantClaim("x", 10)
	}},
	{"a claim is of one kind, and of one key by default", func(f *fixture) {
		f.due(key("x", "p/a"), 2*time.Second)
		f.due(key("x", "p/b"), time.Second)
		f.due(key("y", "p/c"), time.Second)
		f.wantClaim("x", 0, "p/a")
		f.wantClaim("z", 10)
		f.wantClaim("y", 10, "p/c")
		f.wantClaim("x", 10, "p/b")
	}},
	{"a wake needs no record", func(f *fixture) {
		f.due(key("x", "\x00{odd}/*\n"), 0)
		f.wantClaim("x", 1, "\x00{odd}/*\n")
	}},
	{"the longest due comes first", func(f *fixture) {
		for i, s := range []int{3, 1, 4, 2, 5} {
			f.due(key("x", fmt.Sprint("p/k", i)), time.Duration(s)*time.Second)
		}
		f.wantClaim("x", 2, "p/k4", "p/k2")
		f.wantClaim("x", 10, "p/k0", "p/k3", "p/k1")
	}},
	{"a wake replaces the previous one, a zero time removes it", func(f *fixture) {
		k := key("x", "a")
		f.due(k, time.Second)
		f.commit(store.Batch{Wakes: []store.Wake{{Key: k, At: time.Now().Add(time.Hour)}}})
		f.wantClaim("x", 1)
		f.due(k, time.Second)
		f.commit(store.Batch{Wakes: []store.Wake{{Key: k}}})
		f.wantClaim("x", 1)
		f.commit(store.Batch{Wakes: []store.Wake{{Key: k, At: time.Now().Add(time.Hour)}}})
		f.due(k, time.Second)
		f.wantClaim("x", 1, "a")
	}},
	{"a due key leaves the queue when its wake or the key is deleted", func(f *fixture) {
		for i, id := range []string{"p/first", "p/removed", "p/deleted", "p/last"} {
			f.due(key("x", id), time.Duration(10-i)*time.Second)
		}
		f.wantClaim("x", 1, "p/first")
		f.commit(store.Batch{Wakes: []store.Wake{{Key: key("x", "p/removed")}}})
		f.commit(store.Batch{Deletes: []store.Key{key("x", "p/deleted")}})
		f.wantClaim("x", 10, "p/last")
	}},
	{"a due wake can be moved", func(f *fixture) {
		for i, id := range []string{"p/a", "p/b", "p/c"} {
			f.due(key("x", id), time.Duration(10-i)*time.Second)
		}
		f.wantClaim("x", 1, "p/a")
		f.commit(store.Batch{Wakes: []store.Wake{{Key: key("x", "p/c"), At: time.Now(), Priority: 1}}})
		f.wantClaim("x", 2, "p/c", "p/b")
	}},
	{"very early and very late wakes are kept in order", func(f *fixture) {
		f.commit(store.Batch{Wakes: []store.Wake{{Key: key("x", "p/late"), At: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}}})
		f.commit(store.Batch{Wakes: []store.Wake{{Key: key("x", "p/early"), At: time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC)}}})
		f.commit(store.Batch{Wakes: []store.Wake{{Key: key("x", "p/epoch"), At: time.Unix(0, 0)}}})
		f.commit(store.Batch{Wakes: []store.Wake{{Key: key("x", "p/before"), At: time.Unix(-1, 0)}}})
		f.wantClaim("x", 10, "p/early", "p/before", "p/epoch")
	}},
	{"a claim waits no longer than its Wait", func(f *fixture) {
		start := time.Now()
		if ls := f.claim("x", "w", 1, time.Hour, 150*time.Millisecond); len(ls) != 0 {
			f.Fatalf("got %v", ls)
		}
		if took := time.Since(start); took < 140*time.Millisecond || took > deadline {
			f.Fatalf("waited %v, want 150ms", took)
		}
	}},
	{"a commit wakes a waiting claim", func(f *fixture) {
		claimed := f.claimLater("x", 1)
		f.due(key("x", "a"), 0)
		claimed("a")
	}},
	{"a key that becomes due wakes a waiting claim", func(f *fixture) {
		at := time.Now().Add(250 * time.Millisecond)
		f.commit(store.Batch{Wakes: []store.Wake{{Key: key("x", "later"), At: time.Now().Add(time.Hour)}}})
		f.commit(store.Batch{Wakes: []store.Wake{{Key: key("x", "a"), At: at}}})
		ls := f.claim("x", "w", 10, time.Hour, deadline)
		if len(ls) != 1 || ls[0].Key.ID != "a" {
			f.Fatalf("got %v, want a", ls)
		}
		if early := time.Until(at); early > 10*time.Millisecond {
			f.Fatalf("claimed %v before its time", early)
		}
	}},
	{"a claim that waits for a wake gets an earlier one", func(f *fixture) {
		f.commit(store.Batch{Wakes: []store.Wake{{Key: key("x", "hour"), At: time.Now().Add(time.Hour)}}})
		claimed := f.claimLater("x", 1)
		f.commit(store.Batch{Wakes: []store.Wake{{Key: key("x", "soon"), At: time.Now().Add(100 * time.Millisecond)}}})
		claimed("soon")
	}},
	{"a release wakes a waiting claim", func(f *fixture) {
		k := key("x", "a")
		f.due(k, time.Second)
		l := f.wantClaim("x", 1, "a")[0]
		claimed := f.claimLater("x", 1)
		f.commit(store.Batch{Release: &l, Wakes: []store.Wake{{Key: k, At: time.Now()}}})
		claimed("a")
	}},
	{"an expiring lease wakes a waiting claim", func(f *fixture) {
		f.due(key("x", "a"), time.Second)
		f.claim("x", "crashed", 1, shortTTL, 0)
		f.claimLater("x", 1)("a")
	}},
	{"a cancelled claim takes nothing", func(f *fixture) {
		ctx, cancel := context.WithCancelCause(f.ctx)
		gone := errors.New("cancelled by the test")
		done := make(chan error, 1)
		go func() {
			_, err := f.s.Claim(ctx, store.ClaimRequest{Kind: "x", Owner: "cancelled", TTL: time.Hour, Wait: time.Hour})
			done <- err
		}()
		cancel(gone)
		if err := <-done; !errors.Is(err, gone) {
			f.Fatalf("got %v, want the context's cause", err)
		}
		f.due(key("x", "a"), 0)
		f.wantClaim("x", 1, "a")
	}},
	{"a claim that timed out takes nothing later", func(f *fixture) {
		for range 3 {
			if ls := f.claim("x", "impatient", 1, time.Hour, 30*time.Millisecond); len(ls) != 0 {
				f.Fatalf("got %v", ls)
			}
		}
		f.due(key("x", "a"), 0)
		f.wantClaim("x", 1, "a")
	}},
	{"concurrent claimers never share a lease", testNoSharedLease},
	{"many waiting claims are all served", func(f *fixture) {
		const n = 50
		var served []func(...string)
		for range n {
			served = append(served, f.claimLater("x", 1))
		}
		for i := range n {
			f.due(key("x", fmt.Sprint(i)), 0)
		}
		for _, s := range served {
			s()
		}
	}},
}

// claimLater starts a waiting claim. The function that it returns waits for the result and checks its IDs; without any, it
// checks that there is one.
func (f *fixture) claimLater(kind string, n int) func(want ...string) {
	type answer struct {
		ls  []store.Lease
		err error
	}
	done := make(chan answer, 1)
	go func() {
		ls, err := f.s.Claim(f.ctx, store.ClaimRequest{Kind: kind, Owner: "waiter", Max: n, TTL: time.Hour, Wait: deadline})
		done <- answer{ls, err}
	}()
	return func(want ...string) {
		f.Helper()
		a := <-done
		if a.err != nil {
			f.Fatalf("claim: %v", a.err)
		}
		var ids []string
		for _, l := range a.ls {
			ids = append(ids, l.Key.ID)
		}
		if len(want) == 0 && len(ids) != 1 || len(want) > 0 && !slices.Equal(ids, want) {
			f.Fatalf("claimed %v, want %v", ids, want)
		}
	}
}

// testNoSharedLease claims and releases the same keys concurrently: no key may have two holders at once, and every key must be
// claimed as often as it was due.
func testNoSharedLease(f *fixture) {
	const keys, turns, claimers = 40, 5, 8
	for i := range keys {
		f.commit(store.Batch{Wakes: []store.Wake{{Key: key("x", fmt.Sprint(i)), At: time.Now(), Priority: i % 3}}})
	}
	var mu sync.Mutex
	holder := map[store.Key]string{}
	tokens := map[int64]bool{}
	count := map[store.Key]int{}
	left := keys * turns
	ctx, cancel := context.WithTimeout(f.ctx, deadline)
	defer cancel()
	take := func(owner string, l store.Lease) (again bool) {
		mu.Lock()
		defer mu.Unlock()
		if h := holder[l.Key]; h != "" {
			f.Errorf("%s and %s hold %q at the same time", h, owner, l.Key)
		}
		if tokens[l.Token] {
			f.Errorf("token %d was given twice", l.Token)
		}
		holder[l.Key], tokens[l.Token] = owner, true
		count[l.Key]++
		return count[l.Key] < turns
	}
	give := func(l store.Lease) {
		mu.Lock()
		defer mu.Unlock()
		delete(holder, l.Key)
		if left--; left == 0 {
			cancel()
		}
	}
	var group sync.WaitGroup
	for c := range claimers {
		owner := fmt.Sprint("claimer", c)
		group.Go(func() {
			for ctx.Err() == nil {
				ls, err := f.s.Claim(ctx, store.ClaimRequest{Kind: "x", Owner: owner, Max: 1 + rand.IntN(4), TTL: time.Hour, Wait: time.Minute})
				if err != nil {
					if ctx.Err() == nil {
						f.Error(err)
					}
					return
				}
				for _, l := range ls {
					b := store.Batch{Release: &l}
					if take(owner, l) {
						b.Wakes = []store.Wake{{Key: l.Key, At: time.Now()}}
					}
					give(l)                                         // before the commit, after which another claimer may get it
					if _, err := f.s.Commit(f.ctx, b); err != nil { //nolint:contextcheck // ctx ends with the last claim, the commit must not
						f.Error(err)
					}
				}
			}
		})
	}
	group.Wait()
	for i := range keys {
		if n := count[key("x", fmt.Sprint(i))]; n != turns {
			f.Errorf("key %d was claimed %d times, want %d", i, n, turns)
		}
	}
}
