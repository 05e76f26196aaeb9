package storetest

import (
	"errors"
	"time"

	"github.com/runplane/runplane/store"
)

// shortTTL is long enough to use what has it, and short enough to wait for.
const shortTTL = 300 * time.Millisecond

// grain is the resolution that a store's clock must have.
const grain = 2 * time.Millisecond

var expiryTests = []test{
	{"a record without TTL never expires", func(f *fixture) {
		f.put(store.Put{Key: key("x", "a")})
		r, err := f.s.Get(f.ctx, key("x", "a"))
		if err != nil || !r.Expires.IsZero() {
			f.Fatalf("got expiry %v, %v", r.Expires, err)
		}
	}},
	{"a record has its time of expiry", func(f *fixture) {
		before := time.Now()
		f.put(store.Put{Key: key("x", "a"), TTL: time.Hour})
		r, err := f.s.Get(f.ctx, key("x", "a"))
		if err != nil {
			f.Fatal(err)
		}
		if in := r.Expires.Sub(before); in < time.Hour-time.Minute || in > time.Hour+time.Minute {
			f.Fatalf("expires in %v, want one hour", in)
		}
	}},
	{"an expired record is not returned anywhere", func(f *fixture) {
		k := key("x", "a")
		f.put(store.Put{Key: k, Value: []byte("v"), TTL: shortTTL, Terms: []string{"t"}})
		f.put(store.Put{Key: key("x", "b"), Terms: []string{"t"}})
		untilExpired(f, k)
		f.wantList(store.Query{Kind: "x"}, "b")
		f.wantList(store.Query{Kind: "x", Term: "t"}, "b")
		f.wantList(store.Query{Kind: "x", Reverse: true}, "b")
		f.refuse(store.Batch{Puts: []store.Put{{Key: k, Version: 1}}}, store.ErrConflict)
	}},
	{"an expired record can be created again, without its terms", func(f *fixture) {
		k := key("x", "a")
		f.put(store.Put{Key: k, TTL: time.Hour, Terms: []string{"old"}})
		f.put(store.Put{Key: k, Version: 1, TTL: shortTTL, Terms: []string{"old"}})
		untilExpired(f, k)
		if got := f.put(store.Put{Key: k, Value: []byte("new"), Terms: []string{"new"}}); got != 1 {
			f.Fatalf("got version %d, want 1", got)
		}
		f.want(k, "new", 1)
		f.wantList(store.Query{Kind: "x", Term: "old"})
		f.wantList(store.Query{Kind: "x", Term: "new"}, "a")
	}},
	{"a put without TTL removes the expiry", func(f *fixture) {
		k, other := key("x", "a"), key("x", "other")
		f.put(store.Put{Key: k, TTL: shortTTL})
		f.put(store.Put{Key: k, Version: 1, Value: []byte("kept")})
		f.put(store.Put{Key: other, TTL: shortTTL})
		untilExpired(f, other)
		f.want(k, "kept", 2)
	}},
	{"a put extends the TTL", func(f *fixture) {
		k, other := key("x", "a"), key("x", "other")
		f.put(store.Put{Key: k, TTL: shortTTL})
		f.put(store.Put{Key: k, Version: 1, TTL: time.Hour})
		f.put(store.Put{Key: other, TTL: shortTTL})
		untilExpired(f, other)
		f.want(k, "", 2)
	}},
	{"a record exists for its TTL and no longer", func(f *fixture) {
		k := key("x", "a")
		before := time.Now()
		f.put(store.Put{Key: k, TTL: shortTTL})
		after := time.Now()
		r, err := f.s.Get(f.ctx, k)
		if err != nil || r.Expires.Before(before.Add(shortTTL-grain)) || r.Expires.After(after.Add(shortTTL+grain)) {
			f.Fatalf("got expiry %v, %v, want %v to %v", r.Expires, err, before.Add(shortTTL), after.Add(shortTTL))
		}
		untilExpired(f, k)
		if early := time.Until(before.Add(shortTTL - grain)); early > 0 {
			f.Fatalf("it expired %v early", early)
		}
	}},
	{"expiry does not change the log", func(f *fixture) {
		k := key("x", "a")
		f.commit(store.Batch{Puts: []store.Put{{Key: k, TTL: shortTTL}}, Appends: []store.Append{{Key: k, Value: []byte("1")}}})
		untilExpired(f, k)
		f.wantLog(k, "1")
	}},
}

// untilExpired waits until the record has expired.
func untilExpired(f *fixture, k store.Key) {
	f.Helper()
	f.eventually("the expiry of "+k.String(), func() bool {
		_, err := f.s.Get(f.ctx, k)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			f.Fatal(err)
		}
		return err != nil
	})
}
