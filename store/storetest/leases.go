package storetest

import (
	"fmt"
	"time"

	"github.com/runplane/runplane/store"
)

var leaseTests = []test{
	{"after a lease expires its wake counts again", func(f *fixture) {
		f.due(key("x", "a"), time.Second)
		first := f.claim("x", "one", 1, shortTTL, 0)
		second := f.claim("x", "two", 1, time.Hour, deadline)
		if len(first) != 1 || len(second) != 1 || second[0].Key != first[0].Key || second[0].Token == first[0].Token {
			f.Fatalf("got %v, then %v", first, second)
		}
		f.wantLost(first, first...)
		f.wantLost(second)
	}},
	{"a key is not granted before its lease expires", func(f *fixture) {
		f.due(key("x", "a"), time.Second)
		last := f.claim("x", "w0", 1, shortTTL, 0)
		for i := range 3 {
			next := f.claim("x", fmt.Sprint("w", i+1), 1, shortTTL, deadline)
			if len(last) != 1 || len(next) != 1 {
				f.Fatalf("got %v, then %v", last, next)
			}
			if early := time.Until(last[0].Until); early > grain {
				f.Fatalf("it was granted again %v too early", early)
			}
			last = next
		}
	}},
	{"a wake set while leased counts when the lease expires", func(f *fixture) {
		k := key("x", "a")
		f.due(k, time.Second)
		f.claim("x", "one", 1, shortTTL, 0)
		f.commit(store.Batch{Wakes: []store.Wake{{Key: k, At: time.Now().Add(-time.Hour)}}})
		f.wantClaim("x", 1)
		if ls := f.claim("x", "two", 1, time.Hour, deadline); len(ls) != 1 {
			f.Fatalf("got %v, want the key", ls)
		}
	}},
	{"a wake removed while leased stays removed", func(f *fixture) {
		k, other := key("x", "a"), key("y", "other")
		f.due(k, time.Second)
		f.due(other, time.Second)
		f.claim("x", "one", 1, shortTTL, 0)
		f.claim("y", "one", 1, shortTTL, 0)
		f.commit(store.Batch{Wakes: []store.Wake{{Key: k}}})
		if ls := f.claim("y", "two", 1, time.Hour, deadline); len(ls) != 1 {
			f.Fatal("the other key was not granted again")
		}
		f.wantClaim("x", 1)
	}},
	{"a renewed lease is kept", func(f *fixture) {
		f.due(key("x", "a"), time.Second)
		f.due(key("y", "other"), time.Second)
		l := f.claim("x", "one", 1, shortTTL, 0)
		f.claim("y", "one", 1, shortTTL, 0)
		f.wantLostFor(time.Hour, l)
		if ls := f.claim("y", "two", 1, time.Hour, deadline); len(ls) != 1 {
			f.Fatal("the other lease did not expire")
		}
		f.wantClaim("x", 1)
		f.wantLost(l)
	}},
	{"renew can shorten a lease", func(f *fixture) {
		f.due(key("x", "a"), time.Second)
		l := f.claim("x", "one", 1, time.Hour, 0)
		f.wantLostFor(shortTTL, l)
		if ls := f.claim("x", "two", 1, time.Hour, deadline); len(ls) != 1 {
			f.Fatal("the key was not granted again")
		}
	}},
	{"renew returns exactly the lost leases", func(f *fixture) {
		for _, id := range []string{"a", "b", "c"} {
			f.due(key("x", id), time.Second)
		}
		ls := f.claim("x", "one", 3, time.Hour, 0)
		f.commit(store.Batch{Release: &ls[1]})
		forged := ls[2]
		forged.Token++
		never := store.Lease{Key: key("x", "never"), Owner: "one", Token: 1}
		f.wantLost([]store.Lease{ls[0], ls[1], ls[2], forged, never}, ls[1], forged, never)
		f.wantLost(nil)
	}},
	{"a release without a wake removes it", func(f *fixture) {
		f.due(key("x", "a"), time.Second)
		l := f.wantClaim("x", 1, "a")[0]
		f.commit(store.Batch{Release: &l})
		f.wantClaim("x", 1)
		f.due(key("x", "a"), 0)
		f.wantClaim("x", 1, "a")
	}},
	{"a removed wake does not return after a later lease", func(f *fixture) {
		k := key("x", "a")
		f.due(k, time.Second)
		f.due(key("y", "other"), time.Second)
		l := f.wantClaim("x", 1, "a")[0]
		f.commit(store.Batch{Release: &l})
		f.commit(store.Batch{Claim: &store.Claim{Key: k, Owner: "w", TTL: shortTTL}})
		f.claim("y", "w", 1, shortTTL, 0)
		f.claimLater("y", 1)("other")
		f.wantClaim("x", 1)
	}},
	{"a release with a wake sets it", func(f *fixture) {
		k := key("x", "a")
		f.due(k, time.Second)
		l := f.wantClaim("x", 1, "a")[0]
		f.commit(store.Batch{Release: &l, Wakes: []store.Wake{{Key: k, At: time.Now().Add(time.Hour)}}})
		f.wantClaim("x", 1)
		f.due(k, time.Second)
		l = f.wantClaim("x", 1, "a")[0]
		f.commit(store.Batch{Release: &l, Wakes: []store.Wake{{Key: k, At: time.Now().Add(-time.Second)}}})
		f.wantClaim("x", 1, "a")
	}},
	{"a conflicting release releases nothing", func(f *fixture) {
		f.due(key("x", "a"), time.Second)
		ls := f.wantClaim("x", 1, "a")
		f.refuse(store.Batch{Release: &ls[0], Puts: []store.Put{{Key: key("x", "a"), Version: 9}}}, store.ErrConflict)
		f.wantLost(ls)
		f.wantClaim("x", 1)
	}},
	{"releasing a lost lease changes nothing else", func(f *fixture) {
		k := key("x", "a")
		f.due(k, time.Second)
		first := f.claim("x", "one", 1, shortTTL, 0)
		second := f.claim("x", "two", 1, time.Hour, deadline)
		f.commit(store.Batch{Release: &first[0], Puts: []store.Put{{Key: k, Value: []byte("late")}}})
		f.want(k, "late", 1)
		f.wantLost(second)
		f.wantLostFor(shortTTL, second)
		if ls := f.claim("x", "three", 1, time.Hour, deadline); len(ls) != 1 {
			f.Fatal("the wake was lost")
		}
		never := store.Lease{Key: key("x", "b"), Owner: "one", Token: 1}
		f.commit(store.Batch{Release: &never})
	}},
	{"a batch can claim what it writes", func(f *fixture) {
		k := key("x", "a")
		c := f.commit(store.Batch{
			Puts:  []store.Put{{Key: k}},
			Wakes: []store.Wake{{Key: k, At: time.Now().Add(-time.Second)}},
			Claim: &store.Claim{Key: k, Owner: "me", TTL: time.Hour},
		})
		l := c.Lease
		if l == nil || l.Key != k || l.Owner != "me" || !l.Until.After(time.Now()) {
			f.Fatalf("got lease %+v", l)
		}
		f.wantClaim("x", 1)
		f.wantLost([]store.Lease{*l})
		f.commit(store.Batch{Release: l, Wakes: []store.Wake{{Key: k, At: time.Now()}}})
		f.wantClaim("x", 1, "a")
	}},
	{"a batch's claim expires like any other", func(f *fixture) {
		k := key("x", "a")
		f.commit(store.Batch{
			Wakes: []store.Wake{{Key: k, At: time.Now().Add(-time.Second)}},
			Claim: &store.Claim{Key: k, Owner: "crashed", TTL: shortTTL},
		})
		f.claimLater("x", 1)("a")
	}},
	{"a batch's claim removes a due key from the queue", func(f *fixture) {
		k := key("x", "a")
		f.due(k, time.Minute)
		f.due(key("x", "b"), time.Second)
		f.wantClaim("x", 1, "a") // the queue is in use
		f.due(key("x", "c"), time.Minute)
		f.commit(store.Batch{Claim: &store.Claim{Key: key("x", "c"), Owner: "me", TTL: time.Hour}})
		f.wantClaim("x", 10, "b")
	}},
	{"a batch's claim conflicts with another owner's lease", func(f *fixture) {
		k := key("x", "a")
		f.due(k, time.Second)
		ls := f.claim("x", "one", 1, time.Hour, 0)
		steal := store.Batch{Puts: []store.Put{{Key: k}}, Claim: &store.Claim{Key: k, Owner: "two", TTL: time.Hour}}
		f.refuse(steal, store.ErrConflict)
		f.absent(k)
		f.wantLost(ls)
		f.commit(store.Batch{Release: &ls[0]})
		f.commit(steal)
	}},
	{"a batch may claim after a lease expired, and an owner may replace its own", func(f *fixture) {
		k := key("x", "a")
		f.commit(store.Batch{Claim: &store.Claim{Key: k, Owner: "one", TTL: shortTTL}})
		f.eventually("the expiry of the lease", func() bool {
			_, err := f.s.Commit(f.ctx, store.Batch{Claim: &store.Claim{Key: k, Owner: "two", TTL: time.Hour}})
			return err == nil
		})
		f.commit(store.Batch{Claim: &store.Claim{Key: k, Owner: "two", TTL: time.Hour}})
	}},
	{"a delete while leased leaves no wake", func(f *fixture) {
		k := key("x", "a")
		f.due(k, time.Second)
		f.due(key("y", "other"), time.Second)
		f.claim("x", "one", 1, shortTTL, 0)
		f.commit(store.Batch{Deletes: []store.Key{k}})
		f.claim("y", "one", 1, shortTTL, 0)
		f.claimLater("y", 1)("other")
		f.wantClaim("x", 1)
	}},
}

// wantLost renews for an hour and checks which leases are lost.
func (f *fixture) wantLost(ls []store.Lease, lost ...store.Lease) {
	f.Helper()
	f.wantLostFor(time.Hour, ls, lost...)
}

func (f *fixture) wantLostFor(ttl time.Duration, ls []store.Lease, lost ...store.Lease) {
	f.Helper()
	got, err := f.s.Renew(f.ctx, ls, ttl)
	if err != nil {
		f.Fatalf("renew: %v", err)
	}
	if len(got) != len(lost) {
		f.Fatalf("renew: lost %v, want %v", got, lost)
	}
	for i := range got {
		if got[i].Key != lost[i].Key || got[i].Token != lost[i].Token {
			f.Fatalf("renew: lost %v, want %v", got, lost)
		}
	}
}
