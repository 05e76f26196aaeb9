package storetest

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/runplane/runplane/store"
)

var limitTests = []test{
	{"a burst is granted at once, then a wait is returned", func(f *fixture) {
		l := store.Limit{Key: "k", Rate: 10, Period: time.Hour, Burst: 4}
		for i := range 4 {
			if wait := f.take(l); wait != 0 {
				f.Fatalf("token %d: wait %v, want none", i+1, wait)
			}
		}
		if wait := f.take(l); wait < 5*time.Minute || wait > 6*time.Minute {
			f.Fatalf("after the burst: wait %v, want about six minutes", wait)
		}
	}},
	{"the burst is the rate by default", func(f *fixture) {
		l := store.Limit{Key: "k", Rate: 3, Period: time.Hour}
		for range 3 {
			if wait := f.take(l); wait != 0 {
				f.Fatalf("wait %v within the burst", wait)
			}
		}
		if wait := f.take(l); wait <= 0 {
			f.Fatal("a fourth token was granted at once")
		}
	}},
	{"a refusal takes nothing", func(f *fixture) {
		l := store.Limit{Key: "k", Rate: 1, Period: time.Hour, Burst: 2}
		f.take(l)
		first := f.take(store.Limit{Key: "k", Rate: 1, Period: time.Hour, Burst: 2, Tokens: 2})
		for range 20 {
			f.take(store.Limit{Key: "k", Rate: 1, Period: time.Hour, Burst: 2, Tokens: 2})
		}
		if again := f.take(store.Limit{Key: "k", Rate: 1, Period: time.Hour, Burst: 2, Tokens: 2}); first <= 0 || again > first {
			f.Fatalf("waits %v, then %v after more refusals", first, again)
		}
		if wait := f.take(l); wait != 0 {
			f.Fatalf("the second token was taken: wait %v", wait)
		}
	}},
	{"each key has its own tokens", func(f *fixture) {
		for _, k := range []string{"a", "b", "a:b", "{a}", "*", "a\x00"} {
			if wait := f.take(store.Limit{Key: k, Rate: 1, Period: time.Hour}); wait != 0 {
				f.Fatalf("key %q: wait %v", k, wait)
			}
		}
	}},
	{"tokens are refilled", func(f *fixture) {
		l := store.Limit{Key: "k", Rate: 1, Period: 200 * time.Millisecond}
		start := time.Now()
		f.take(l)
		f.eventually("the next token", func() bool { return f.take(l) == 0 })
		if took := time.Since(start); took < 150*time.Millisecond {
			f.Fatalf("it was refilled after %v, want 200ms", took)
		}
	}},
	{"concurrent takers share the burst exactly", func(f *fixture) {
		var granted atomic.Int64
		var group sync.WaitGroup
		for range 16 {
			group.Go(func() {
				for range 20 {
					wait, err := f.s.Take(f.ctx, store.Limit{Key: "k", Rate: 50, Period: 24 * time.Hour})
					if err != nil {
						f.Error(err)
						return
					}
					if wait == 0 {
						granted.Add(1)
					}
				}
			})
		}
		group.Wait()
		if got := granted.Load(); got != 50 {
			f.Fatalf("%d tokens were granted, want 50", got)
		}
	}},
}

func (f *fixture) take(l store.Limit) time.Duration {
	f.Helper()
	wait, err := f.s.Take(f.ctx, l)
	if err != nil {
		f.Fatalf("take %+v: %v", l, err)
	}
	return wait
}
