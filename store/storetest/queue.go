package storetest

import (
	"fmt"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/runplane/runplane/store"
)

// sameTimes compares times with the resolution that a store must have, and without zones.
var sameTimes = cmpopts.EquateApproxTime(grain)

var queueTests = []test{
	{"an empty queue counts nothing", func(f *fixture) {
		f.wantQueue("x", store.Queue{})
	}},
	{"due keys are counted by priority, others as sleeping", func(f *fixture) {
		now := time.Now()
		for i, p := range []int{1, 0, 3, 5} {
			f.commit(store.Batch{Wakes: []store.Wake{{Key: key("x", fmt.Sprint(i)), At: now.Add(-time.Duration(i) * time.Minute), Priority: p}}})
		}
		for i := range 7 {
			f.commit(store.Batch{Wakes: []store.Wake{{Key: key("x", fmt.Sprint("later", i)), At: now.Add(time.Hour), Priority: 2}}})
		}
		f.due(key("xy", "other"), time.Hour)
		want := store.Queue{Due: [store.Priorities]int{1, 0, 2, 0, 1}, Oldest: now.Add(-3 * time.Minute), Sleeping: 7}
		f.wantQueue("x", want)
		f.wantQueue("x", want) // counting changes nothing
	}},
	{"a leased key is neither due nor sleeping", func(f *fixture) {
		k, other := key("x", "p/a"), key("x", "p/b")
		f.due(k, time.Minute)
		at := time.Now().Add(-time.Second)
		f.commit(store.Batch{Wakes: []store.Wake{{Key: other, At: at}}})
		ls := f.wantClaim("x", 1, "p/a")
		f.wantQueue("x", store.Queue{Due: [store.Priorities]int{2: 1}, Oldest: at, Leased: 1})
		f.commit(store.Batch{Wakes: []store.Wake{{Key: k, At: time.Now().Add(time.Hour)}}})
		f.wantQueue("x", store.Queue{Due: [store.Priorities]int{2: 1}, Oldest: at, Leased: 1})
		f.commit(store.Batch{Wakes: []store.Wake{{Key: k, At: time.Now().Add(time.Hour)}}, Release: &ls[0]})
		f.wantQueue("x", store.Queue{Due: [store.Priorities]int{2: 1}, Oldest: at, Sleeping: 1})
		f.commit(store.Batch{Deletes: []store.Key{k}})
		f.commit(store.Batch{Wakes: []store.Wake{{Key: other}}})
		f.wantQueue("x", store.Queue{})
	}},
	{"a key is due again after its lease expires", func(f *fixture) {
		f.due(key("x", "a"), time.Second)
		f.claim("x", "w", 1, shortTTL, 0)
		f.eventually("the expiry of the lease", func() bool {
			q, err := f.s.Queue(f.ctx, "x")
			if err != nil || q.Leased+q.Due[2] != 1 {
				f.Fatalf("got %+v, %v, want one key", q, err)
			}
			return q.Due[2] == 1
		})
	}},
	{"a wake whose time has come is counted as due", func(f *fixture) {
		f.commit(store.Batch{Wakes: []store.Wake{{Key: key("x", "a"), At: time.Now().Add(shortTTL), Priority: 4}}})
		f.eventually("the time of the wake", func() bool {
			q, err := f.s.Queue(f.ctx, "x")
			if err != nil || q.Sleeping+q.Due[3] != 1 {
				f.Fatalf("got %+v, %v, want one key", q, err)
			}
			return q.Due[3] == 1
		})
	}},
	{"places are returned in the order of the keys", func(f *fixture) {
		now := time.Now()
		sleeps := store.Wake{Key: key("x", "sleeps"), At: now.Add(time.Hour), Priority: 4, Fairness: "a\x00b"}
		held := store.Wake{Key: key("x", "held"), At: now.Add(-time.Second), Priority: 3}
		bare := key("x", "bare")
		f.commit(store.Batch{Wakes: []store.Wake{sleeps}})
		f.commit(store.Batch{Wakes: []store.Wake{{Key: held.Key, At: held.At}}}) // priority 0 counts as 3
		ls := f.wantClaim("x", 1, "held")
		c := f.commit(store.Batch{Claim: &store.Claim{Key: bare, Owner: "o", TTL: time.Hour}})
		f.wantPlaces([]store.Place{{Lease: c.Lease}, {Wake: &sleeps}, {}, {}, {Wake: &held, Lease: &ls[0]}, {Wake: &sleeps}},
			bare, sleeps.Key, key("x", "missing"), key("y", "sleeps"), held.Key, sleeps.Key)
		f.wantPlaces([]store.Place{})
		f.commit(store.Batch{Wakes: []store.Wake{{Key: sleeps.Key}}, Release: &store.Lease{Key: sleeps.Key, Owner: "other"}})
		f.commit(store.Batch{Release: &ls[0]})
		f.wantPlaces([]store.Place{{}, {}}, sleeps.Key, held.Key)
	}},
	{"an expired lease is not returned", func(f *fixture) {
		k := key("x", "a")
		f.due(k, time.Second)
		f.claim("x", "w", 1, shortTTL, 0)
		f.eventually("the expiry of the lease", func() bool {
			ps, err := f.s.Places(f.ctx, []store.Key{k})
			if err != nil || len(ps) != 1 || ps[0].Wake == nil {
				f.Fatalf("got %+v, %v, want a wake", ps, err)
			}
			return ps[0].Lease == nil
		})
	}},
	{"a thousand places at once", func(f *fixture) {
		var keys []store.Key
		var want []store.Place
		at := time.Now().Add(time.Hour)
		for i := range 1000 {
			k := key("x", fmt.Sprintf("part%d/%d", i%10, i))
			keys = append(keys, k)
			if i%3 > 0 {
				want = append(want, store.Place{})
				continue
			}
			w := store.Wake{Key: k, At: at, Priority: 1 + i%5}
			want = append(want, store.Place{Wake: &w})
		}
		for part := range 10 {
			var b store.Batch
			for i := part; i < len(want); i += 10 {
				if want[i].Wake != nil {
					b.Wakes = append(b.Wakes, *want[i].Wake)
				}
			}
			f.commit(b)
		}
		f.wantPlaces(want, keys...)
	}},
}

func (f *fixture) wantQueue(kind string, want store.Queue) {
	f.Helper()
	got, err := f.s.Queue(f.ctx, kind)
	if diff := cmp.Diff(want, got, sameTimes); err != nil || diff != "" {
		f.Fatalf("queue of %s (-want +got):\n%s%v", kind, diff, err)
	}
}

func (f *fixture) wantPlaces(want []store.Place, keys ...store.Key) {
	f.Helper()
	got, err := f.s.Places(f.ctx, keys)
	if diff := cmp.Diff(want, got, sameTimes); err != nil || diff != "" {
		f.Fatalf("places of %q (-want +got):\n%s%v", keys, diff, err)
	}
}
