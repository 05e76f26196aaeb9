package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/store"
)

var batchTests = []test{
	{"an empty batch succeeds", func(f *fixture) {
		if c := f.commit(store.Batch{}); len(c.Versions) != 0 || len(c.Seqs) != 0 || c.Lease != nil {
			f.Fatalf("got %+v, want nothing", c)
		}
	}},
	{"results are in the order of the batch", func(f *fixture) {
		a, b := key("x", "p/a"), key("x", "p/b")
		f.put(store.Put{Key: b, Value: []byte("old")})
		c := f.commit(store.Batch{
			Puts: []store.Put{{Key: a, Value: []byte("A")}, {Key: b, Value: []byte("B"), Version: 1}},
			Appends: []store.Append{
				{Key: b, Value: []byte("b1")}, {Key: a, Value: []byte("a1")}, {Key: b, Value: []byte("b2")}, {Key: b, Value: []byte("b3")},
			},
		})
		if got, want := fmt.Sprint(c.Versions, c.Seqs), "[1 2] [1 1 2 3]"; got != want {
			f.Fatalf("got %s, want %s", got, want)
		}
		f.wantLog(a, "a1")
		f.wantLog(b, "b1", "b2", "b3")
	}},
	{"with one wrong version nothing is written", testNothingWritten},
	{"a delete removes record, log and wake", func(f *fixture) {
		k, other := key("x", "p"), key("x", "p/other")
		f.commit(store.Batch{
			Puts:    []store.Put{{Key: k, Terms: []string{"t"}}, {Key: other, Terms: []string{"t"}}},
			Appends: []store.Append{{Key: k, Value: []byte("1")}, {Key: other, Value: []byte("1")}},
			Wakes:   []store.Wake{{Key: k, At: time.Now().Add(-time.Minute)}, {Key: other, At: time.Now().Add(-time.Second)}},
		})
		f.commit(store.Batch{Deletes: []store.Key{k, key("x", "p/never")}})
		f.absent(k)
		f.wantLog(k)
		f.wantList(store.Query{Kind: "x", Term: "t"}, "p/other")
		f.wantLog(other, "1")
		f.wantClaim("x", 10, "p/other")
	}},
	{"a deleted key starts over", func(f *fixture) {
		k := key("x", "p")
		for range 3 {
			c := f.commit(store.Batch{
				Puts:    []store.Put{{Key: k, Value: []byte("v"), Terms: []string{"t"}}},
				Appends: []store.Append{{Key: k, Value: []byte("1")}, {Key: k, Value: []byte("2")}},
			})
			if c.Versions[0] != 1 || c.Seqs[1] != 2 {
				f.Fatalf("got %+v, want version 1 and entries 1 and 2", c)
			}
			f.wantLog(k, "1", "2")
			f.commit(store.Batch{Deletes: []store.Key{k}})
			f.wantLog(k)
		}
	}},
	{"a long log is deleted, its neighbours are kept", func(f *fixture) {
		before, long, after := key("x", "a"), key("x", "b"), key("x", "c")
		entry := []byte(strings.Repeat("e", 500))
		for _, k := range []store.Key{before, after} {
			f.commit(store.Batch{Appends: []store.Append{{Key: k, Value: []byte("1")}, {Key: k, Value: []byte("2")}}})
		}
		for range 50 {
			var b store.Batch
			for range 20 {
				b.Appends = append(b.Appends, store.Append{Key: long, Value: entry})
			}
			f.commit(b)
		}
		f.commit(store.Batch{Deletes: []store.Key{long}})
		f.wantLog(long)
		f.commit(store.Batch{Appends: []store.Append{{Key: before, Value: []byte("3")}}})
		f.wantLog(before, "1", "2", "3")
		f.wantLog(after, "1", "2")
	}},
	{"a batch may be large", func(f *fixture) {
		var b store.Batch
		for i := range 2000 {
			k := key("x", fmt.Sprintf("p/%04d", i))
			b.Puts = append(b.Puts, store.Put{Key: k, Value: []byte("v"), Terms: []string{"t"}})
			b.Appends = append(b.Appends, store.Append{Key: key("x", "p"), Value: fmt.Append(nil, i)})
		}
		c := f.commit(b)
		if len(c.Versions) != 2000 || len(c.Seqs) != 2000 || c.Seqs[1999] != 2000 {
			f.Fatalf("got %d versions and %d numbers", len(c.Versions), len(c.Seqs))
		}
		if got := len(f.list(store.Query{Kind: "x", Term: "t", Limit: 5000})); got != 2000 {
			f.Fatalf("%d records, want 2000", got)
		}
	}},
	{"a batch with Sync is like any other", func(f *fixture) {
		k := key("x", "p")
		c := f.commit(store.Batch{
			Puts: []store.Put{{Key: k, Value: []byte("v"), Terms: []string{"t"}}}, Appends: []store.Append{{Key: k, Value: []byte("1")}},
			Wakes: []store.Wake{{Key: k, At: time.Now().Add(-time.Second)}}, Sync: true,
		})
		if len(c.Versions) != 1 || len(c.Seqs) != 1 {
			f.Fatalf("got %+v", c)
		}
		f.refuse(store.Batch{Puts: []store.Put{{Key: k, Version: 7}}, Sync: true}, store.ErrConflict)
		f.commit(store.Batch{Sync: true})
		f.want(k, "v", 1)
		f.wantLog(k, "1")
		f.wantClaim("x", 1, "p")
	}},
	{"invalid requests are refused", testInvalid},
}

func testNothingWritten(f *fixture) {
	good, bad, old := key("x", "p/good"), key("x", "p/bad"), key("x", "p/old")
	f.commit(store.Batch{
		Puts:    []store.Put{{Key: bad, Value: []byte("bad")}, {Key: old, Value: []byte("old"), Terms: []string{"kept"}}},
		Appends: []store.Append{{Key: old, Value: []byte("1")}},
		Wakes:   []store.Wake{{Key: old, At: time.Now().Add(-time.Second)}},
	})
	f.refuse(store.Batch{
		Puts: []store.Put{
			{Key: good, Value: []byte("new"), Terms: []string{"new"}},
			{Key: bad, Value: []byte("new"), Version: 7},
		},
		Deletes: []store.Key{old},
		Appends: []store.Append{{Key: good, Value: []byte("1")}},
		Wakes:   []store.Wake{{Key: good, At: time.Now().Add(-time.Hour)}},
		Claim:   &store.Claim{Key: key("x", "p/claimed"), Owner: "loser", TTL: time.Hour},
	}, store.ErrConflict)
	f.absent(good)
	f.want(bad, "bad", 1)
	f.want(old, "old", 1)
	f.wantLog(good)
	f.wantLog(old, "1")
	f.wantList(store.Query{Kind: "x", Term: "new"})
	f.wantList(store.Query{Kind: "x", Term: "kept"}, "p/old")
	f.due(key("x", "p/claimed"), time.Millisecond)
	f.wantClaim("x", 10, "p/old", "p/claimed")
}

func testInvalid(f *fixture) {
	k := key("x", "p")
	put := func(p store.Put) store.Batch { return store.Batch{Puts: []store.Put{p}} }
	for name, b := range map[string]store.Batch{
		"two partitions":           {Puts: []store.Put{{Key: key("x", "a/1")}, {Key: key("x", "b/1")}}},
		"partition of an append":   {Puts: []store.Put{{Key: k}}, Appends: []store.Append{{Key: key("x", "q")}}},
		"partition of a delete":    {Puts: []store.Put{{Key: k}}, Deletes: []store.Key{key("x", "q")}},
		"partition of a wake":      {Puts: []store.Put{{Key: k}}, Wakes: []store.Wake{{Key: key("x", "q"), At: time.Now()}}},
		"partition of a claim":     {Puts: []store.Put{{Key: k}}, Claim: &store.Claim{Key: key("x", "q"), Owner: "o", TTL: time.Hour}},
		"partition of a release":   {Puts: []store.Put{{Key: k}}, Release: &store.Lease{Key: key("x", "q"), Owner: "o"}},
		"no kind":                  put(store.Put{Key: key("", "p")}),
		"a kind in upper case":     put(store.Put{Key: key("Kind", "p")}),
		"a kind with a colon":      put(store.Put{Key: key("a:b", "p")}),
		"no ID":                    put(store.Put{Key: key("x", "")}),
		"an ID that is too long":   put(store.Put{Key: key("x", strings.Repeat("i", store.MaxID+1))}),
		"an empty term":            put(store.Put{Key: k, Terms: []string{""}}),
		"a term that is too long":  put(store.Put{Key: k, Terms: []string{strings.Repeat("t", store.MaxTerm+1)}}),
		"a negative TTL":           put(store.Put{Key: k, TTL: -1}),
		"a version below any":      put(store.Put{Key: k, Version: -2}),
		"two puts of a key":        {Puts: []store.Put{{Key: k}, {Key: k, Version: 1}}},
		"two wakes of a key":       {Wakes: []store.Wake{{Key: k, At: time.Now()}, {Key: k}}},
		"a priority below 0":       {Wakes: []store.Wake{{Key: k, At: time.Now(), Priority: -1}}},
		"a priority above 5":       {Wakes: []store.Wake{{Key: k, At: time.Now(), Priority: store.Priorities + 1}}},
		"put and delete":           {Puts: []store.Put{{Key: k}}, Deletes: []store.Key{k}},
		"append and delete":        {Appends: []store.Append{{Key: k}}, Deletes: []store.Key{k}},
		"wake and delete":          {Wakes: []store.Wake{{Key: k}}, Deletes: []store.Key{k}},
		"a claim without an owner": {Claim: &store.Claim{Key: k, TTL: time.Hour}},
		"a claim without a TTL":    {Claim: &store.Claim{Key: k, Owner: "o"}},
	} {
		f.Run(name, func(t *testing.T) {
			g := *f
			g.T = t
			g.refuse(b, store.ErrInvalid)
		})
	}
	f.absent(k)
	if _, err := f.s.Get(f.ctx, key("", "p")); !isInvalid(err) {
		f.Errorf("get without a kind: got %v", err)
	}
	if _, err := f.s.List(f.ctx, store.Query{}); !isInvalid(err) {
		f.Errorf("list without a kind: got %v", err)
	}
	if _, err := f.s.Log(f.ctx, key("x", ""), 0, 0); !isInvalid(err) {
		f.Errorf("log without an ID: got %v", err)
	}
	for _, r := range []store.ClaimRequest{{Owner: "o", TTL: 1}, {Kind: "x", TTL: 1}, {Kind: "x", Owner: "o"}} {
		if _, err := f.s.Claim(f.ctx, r); !isInvalid(err) {
			f.Errorf("claim %+v: got %v", r, err)
		}
	}
	for _, l := range []store.Limit{{Rate: 1}, {Key: "k"}, {Key: "k", Rate: -1}, {Key: "k", Rate: 1, Tokens: 2}, {Key: "k", Rate: 1, Tokens: -1}} {
		if _, err := f.s.Take(f.ctx, l); !isInvalid(err) {
			f.Errorf("take %+v: got %v", l, err)
		}
	}
	if _, err := f.s.Queue(f.ctx, ""); !isInvalid(err) {
		f.Errorf("queue without a kind: got %v", err)
	}
	if _, err := f.s.Places(f.ctx, []store.Key{k, key("x", "")}); !isInvalid(err) {
		f.Errorf("places without an ID: got %v", err)
	}
	if _, err := f.s.Renew(f.ctx, nil, 0); !isInvalid(err) {
		f.Errorf("renew without a TTL: got %v", err)
	}
}
