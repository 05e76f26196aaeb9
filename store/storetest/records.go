package storetest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/google/go-cmp/cmp"

	"github.com/runplane/runplane/store"
)

var recordTests = []test{
	{"a missing record is not found", func(f *fixture) {
		f.absent(key("session", "a"))
	}},
	{"versions count from one", func(f *fixture) {
		k := key("session", "a")
		for v := range int64(5) {
			value := fmt.Sprint("value ", v)
			if got := f.put(store.Put{Key: k, Value: []byte(value), Version: v}); got != v+1 {
				f.Fatalf("put %d: got version %d, want %d", v, got, v+1)
			}
			f.want(k, value, v+1)
		}
	}},
	{"a record is created only once", func(f *fixture) {
		k := key("session", "a")
		f.put(store.Put{Key: k, Value: []byte("first")})
		f.refuse(store.Batch{Puts: []store.Put{{Key: k, Value: []byte("second")}}}, store.ErrConflict)
		f.want(k, "first", 1)
	}},
	{"an old, a future or a missing version conflicts", func(f *fixture) {
		k := key("session", "a")
		f.put(store.Put{Key: k, Value: []byte("1")})
		f.put(store.Put{Key: k, Value: []byte("2"), Version: 1})
		for _, v := range []int64{0, 1, 3} {
			f.refuse(store.Batch{Puts: []store.Put{{Key: k, Value: []byte("x"), Version: v}}}, store.ErrConflict)
		}
		f.refuse(store.Batch{Puts: []store.Put{{Key: key("session", "b"), Version: 1}}}, store.ErrConflict)
		f.want(k, "2", 2)
		f.absent(key("session", "b"))
	}},
	{"any version creates and overwrites", func(f *fixture) {
		k := key("session", "a")
		for want := int64(1); want <= 3; want++ {
			if got := f.put(store.Put{Key: k, Value: []byte("v"), Version: store.AnyVersion}); got != want {
				f.Fatalf("got version %d, want %d", got, want)
			}
		}
	}},
	{"empty, binary and large values are returned unchanged", func(f *fixture) {
		all := make([]byte, 256)
		for i := range all {
			all[i] = byte(i)
		}
		large := strings.Repeat(string(all), 8192) // 2 MiB
		for i, v := range []string{"", "\x00", string(all), large, "last"} {
			k := key("blob", fmt.Sprint("k", i))
			f.put(store.Put{Key: k, Value: []byte(v)})
			f.want(k, v, 1)
		}
		f.want(key("blob", "k3"), large, 1)
	}},
	{"a value belongs to the caller", func(f *fixture) {
		k := key("session", "a")
		value := []byte("original")
		f.put(store.Put{Key: k, Value: value})
		copy(value, "scribble")
		r, err := f.s.Get(f.ctx, k)
		if err != nil {
			f.Fatal(err)
		}
		copy(r.Value, "scrabble")
		f.want(k, "original", 1)
	}},
	{"terms are returned as written", func(f *fixture) {
		k := key("session", "a")
		f.put(store.Put{Key: k, Terms: []string{"status=active", "owner=\x00:*", "b"}})
		r, err := f.s.Get(f.ctx, k)
		if err != nil {
			f.Fatal(err)
		}
		if diff := cmp.Diff([]string{"status=active", "owner=\x00:*", "b"}, r.Terms); diff != "" {
			f.Fatalf("terms (-want +got):\n%s", diff)
		}
	}},
	{"kinds are separate", func(f *fixture) {
		f.put(store.Put{Key: key("a", "x"), Value: []byte("a")})
		f.put(store.Put{Key: key("a_b", "x"), Value: []byte("a_b")})
		f.want(key("a", "x"), "a", 1)
		f.want(key("a_b", "x"), "a_b", 1)
		f.wantList(store.Query{Kind: "a"}, "x")
	}},
	{"unusual IDs are never confused", testOddIDs},
	{"64 writers on one key lose nothing", testManyWriters},
}

// oddIDs are IDs that a wrong encoding would confuse.
var oddIDs = []string{
	"*", "?", "[a]", ":", "::", ":a", "a:", "{}", "{a}", "a{", "}", "\n", "a\nb", "\r\n", "\x00", "\x00\x00", "a\x00", "a\x00b",
	"\x01", "\x7f", "\xff", "\xff\xff", "a\xff", "\xc3\x28", "é", "日本語", "🧭", " ", "a ", " a", "a", "aa", "ab", "b", "A",
	"a/b", "a/b/c", "a//b", "/", "/a", "%2F", "%00", "\\", "\"", "'", "--", "-1", "0", "00000001", "record", "a\x00\x00\x00\x01b",
	"\x00\x01a", strings.Repeat("l", store.MaxID), strings.Repeat("l", store.MaxID-1), strings.Repeat("\x00", store.MaxID),
}

func testOddIDs(f *fixture) {
	for i, id := range oddIDs {
		k := key("odd", id)
		term := "t" + id[:min(len(id), store.MaxTerm-1)]
		f.commit(store.Batch{
			Puts:    []store.Put{{Key: k, Value: fmt.Append(nil, i), Terms: []string{"all", term}}},
			Appends: []store.Append{{Key: k, Value: fmt.Append(nil, "entry ", i)}},
		})
	}
	for i, id := range oddIDs {
		k := key("odd", id)
		f.want(k, fmt.Sprint(i), 1)
		f.wantLog(k, fmt.Sprint("entry ", i))
		f.wantList(store.Query{Kind: "odd", Term: "t" + id[:min(len(id), store.MaxTerm-1)]}, sharing(id)...)
	}
	sorted := sortedIDs(oddIDs)
	f.wantList(store.Query{Kind: "odd", Limit: 1000}, sorted...)
	f.wantList(store.Query{Kind: "odd", Term: "all", Limit: 1000}, sorted...)
	for i, id := range oddIDs {
		f.commit(store.Batch{Deletes: []store.Key{key("odd", id)}})
		f.absent(key("odd", id))
		if got, want := len(f.list(store.Query{Kind: "odd", Term: "all", Limit: 1000})), len(oddIDs)-i-1; got != want {
			f.Fatalf("after deleting %q: %d records left, want %d", id, got, want)
		}
	}
}

// sharing returns the odd IDs whose term is the same as that of id: a term has no room for the longest IDs and the
// letter before them.
func sharing(id string) []string {
	cut := func(s string) string { return s[:min(len(s), store.MaxTerm-1)] }
	var out []string
	for _, other := range sortedIDs(oddIDs) {
		if cut(other) == cut(id) {
			out = append(out, other)
		}
	}
	return out
}

func testManyWriters(f *fixture) {
	const writers, rounds = 64, 8
	k := key("counter", "c")
	f.put(store.Put{Key: k, Value: []byte("0")})
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for done := 0; done < rounds; {
				r, err := f.s.Get(f.ctx, k)
				if err != nil {
					f.Error(err)
					return
				}
				n, err := strconv.Atoi(string(r.Value))
				if err != nil {
					f.Error(err)
					return
				}
				_, err = f.s.Commit(f.ctx, store.Batch{
					Puts:    []store.Put{{Key: k, Value: fmt.Append(nil, n+1), Version: r.Version}},
					Appends: []store.Append{{Key: k, Value: fmt.Append(nil, w)}},
				})
				switch {
				case err == nil:
					done++
				case !errors.Is(err, store.ErrConflict):
					f.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	f.want(k, fmt.Sprint(writers*rounds), writers*rounds+1)
	seen := map[string]int{}
	for i, e := range f.log(k, 0, writers*rounds+10) {
		if e.Seq != int64(i+1) {
			f.Fatalf("entry %d has number %d", i+1, e.Seq)
		}
		seen[string(e.Value)]++
	}
	for w := range writers {
		if seen[fmt.Sprint(w)] != rounds {
			f.Errorf("writer %d has %d entries, want %d", w, seen[fmt.Sprint(w)], rounds)
		}
	}
}
