package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/runplane/runplane/store"
)

// endings are how the lease of an owner named one on a due key may end, and whether it died in the eyes of the next owner.
var endings = []struct {
	name     string
	end      func(f *fixture, k store.Key, l store.Lease)
	next     string // owner of the next lease
	wantDied bool
}{
	{"expired", func(f *fixture, k store.Key, l store.Lease) { f.expire(l) }, "two", true},
	{"expired, same owner", func(f *fixture, k store.Key, l store.Lease) { f.expire(l) }, "one", false},
	{"expired, and another owner's expired too", func(f *fixture, k store.Key, l store.Lease) {
		f.expire(l)
		l = f.leaseAgain(k, "three", true)
		f.expire(l)
	}, "two", true},
	{"expired, after records were written", func(f *fixture, k store.Key, l store.Lease) {
		f.put(store.Put{Key: k})
		f.expire(l)
		f.put(store.Put{Key: k, Version: 1})
	}, "two", true},
	{"expired, with another wake since", func(f *fixture, k store.Key, l store.Lease) {
		f.expire(l)
		f.commit(store.Batch{Wakes: []store.Wake{{Key: k, At: time.Now().Add(time.Hour)}}})
	}, "two", true},
	{"expired, without a wake for a time", func(f *fixture, k store.Key, l store.Lease) {
		f.commit(store.Batch{Wakes: []store.Wake{{Key: k}}})
		f.expire(l)
		f.wantClaim(k.Kind, 1)
	}, "two", true},
	{"released", func(f *fixture, k store.Key, l store.Lease) { f.commit(store.Batch{Release: &l}) }, "two", false},
	{"released after it expired", func(f *fixture, k store.Key, l store.Lease) {
		f.expire(l)
		f.commit(store.Batch{Release: &l})
	}, "two", false},
	{"not released by a forged release", func(f *fixture, k store.Key, l store.Lease) {
		f.expire(l)
		l.Token++
		f.commit(store.Batch{Release: &l})
	}, "two", true},
	{"not released by a release that conflicts", func(f *fixture, k store.Key, l store.Lease) {
		f.expire(l)
		f.refuse(store.Batch{Release: &l, Puts: []store.Put{{Key: k, Version: 9}}}, store.ErrConflict)
	}, "two", true},
	{"replaced by its owner and released", func(f *fixture, k store.Key, l store.Lease) {
		c := f.commit(store.Batch{Claim: &store.Claim{Key: k, Owner: "one", TTL: time.Hour}})
		f.commit(store.Batch{Release: c.Lease})
	}, "two", false},
	{"expired, and the next released with what it knew", func(f *fixture, k store.Key, l store.Lease) {
		f.expire(l)
		l = f.leaseAgain(k, "three", true)
		f.commit(store.Batch{Release: &l})
	}, "two", true},
	{"expired, and the next released with what it knew, same owner", func(f *fixture, k store.Key, l store.Lease) {
		f.expire(l)
		l = f.leaseAgain(k, "three", true)
		f.commit(store.Batch{Release: &l})
	}, "three", true},
	{"expired, and the next has acted on it", func(f *fixture, k store.Key, l store.Lease) {
		f.expire(l)
		l = f.leaseAgain(k, "three", true)
		l.Died = false
		f.commit(store.Batch{Release: &l})
	}, "two", false},
	{"expired and deleted", func(f *fixture, k store.Key, l store.Lease) {
		f.expire(l)
		f.commit(store.Batch{Deletes: []store.Key{k}})
	}, "two", false},
}

var diedTests = []test{
	{"the next lease knows whether the last one was released", func(f *fixture) {
		for i, e := range endings {
			for _, batch := range []bool{false, true} {
				k := key("x"+letters(2*i+1), fmt.Sprint("p/", batch)) // a kind of its own
				f.due(k, time.Second)
				ls := f.claim(k.Kind, "one", 1, time.Hour, 0)
				if len(ls) != 1 || ls[0].Died {
					f.Fatalf("%s: the first lease is %+v", e.name, ls)
				}
				e.end(f, k, ls[0])
				if l := f.leaseNext(k, e.next, batch); l.Died != e.wantDied {
					f.Errorf("%s, the next one in a batch: %v: died is %v, want %v", e.name, batch, l.Died, e.wantDied)
				}
			}
		}
	}},
	{"a batch's lease that was not released is known too", func(f *fixture) {
		k := key("x", "a")
		c := f.commit(store.Batch{Claim: &store.Claim{Key: k, Owner: "one", TTL: time.Hour}, Puts: []store.Put{{Key: k}}})
		if c.Lease.Died {
			f.Errorf("the first lease is %+v", c.Lease)
		}
		f.expire(*c.Lease)
		if l := f.leaseNext(k, "two", false); !l.Died {
			f.Errorf("got %+v", l)
		}
	}},
	{"of many leases, only those that were not released died", func(f *fixture) {
		const n = 40
		for i := range n {
			f.due(key("x", fmt.Sprintf("p/%02d", i)), time.Second)
		}
		first := f.claim("x", "one", n, time.Hour, 0)
		want := map[string]bool{}
		for i, l := range first {
			if want[l.Key.ID] = i%3 != 0; !want[l.Key.ID] {
				f.commit(store.Batch{Release: &l, Wakes: []store.Wake{{Key: l.Key, At: time.Now()}}})
			} else {
				f.expire(l)
			}
		}
		second := f.claim("x", "two", n, time.Hour, 0)
		if len(first) != n || len(second) != n {
			f.Fatalf("%d and %d leases", len(first), len(second))
		}
		for _, l := range second {
			if l.Died != want[l.Key.ID] {
				f.Errorf("%s: died is %v", l.Key.ID, l.Died)
			}
		}
	}},
	{"a claim that conflicts leaves what is known", func(f *fixture) {
		k := key("x", "a")
		f.due(k, time.Second)
		f.expire(f.claim("x", "one", 1, time.Hour, 0)[0])
		claim := &store.Claim{Key: k, Owner: "two", TTL: time.Hour}
		if _, err := f.s.Commit(f.ctx, store.Batch{Claim: claim, Puts: []store.Put{{Key: k, Version: 7}}}); !errors.Is(err, store.ErrConflict) {
			f.Fatalf("got %v", err)
		}
		if l := f.leaseNext(k, "two", true); !l.Died {
			f.Errorf("got %+v", l)
		}
	}},
}

// expire has a lease expire now.
func (f *fixture) expire(l store.Lease) {
	f.Helper()
	f.wantLostFor(time.Millisecond, []store.Lease{l})
	f.eventually("the expiry of the lease", func() bool {
		ps, err := f.s.Places(f.ctx, []store.Key{l.Key})
		return err == nil && ps[0].Lease == nil
	})
}

// leaseNext makes a key due and leases it, by Claim or in a batch.
func (f *fixture) leaseNext(k store.Key, owner string, batch bool) store.Lease {
	f.Helper()
	if batch {
		return *f.commit(store.Batch{Claim: &store.Claim{Key: k, Owner: owner, TTL: time.Hour}}).Lease
	}
	f.due(k, time.Second)
	ls := f.claim(k.Kind, owner, 1, time.Hour, 0)
	if len(ls) != 1 {
		f.Fatalf("%q was not due", k)
	}
	return ls[0]
}

// leaseAgain claims a key that is due, whose last lease is to have died or not.
func (f *fixture) leaseAgain(k store.Key, owner string, died bool) store.Lease {
	f.Helper()
	ls := f.claim(k.Kind, owner, 1, time.Hour, deadline)
	if len(ls) != 1 || ls[0].Died != died {
		f.Fatalf("claimed %+v, want a lease with died %v", ls, died)
	}
	return ls[0]
}
