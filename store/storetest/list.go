package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/runplane/runplane/store"
)

var listTests = []test{
	{"without records a page is empty", func(f *fixture) {
		f.wantList(store.Query{Kind: "x"})
		f.wantList(store.Query{Kind: "x", Term: "t", Reverse: true})
	}},
	{"a page is 100 by default", func(f *fixture) {
		fill(f, "x", 105)
		if got := len(f.list(store.Query{Kind: "x"})); got != 100 {
			f.Fatalf("got %d records, want 100", got)
		}
	}},
	{"records are complete", func(f *fixture) {
		f.put(store.Put{Key: key("x", "a"), Value: []byte("1")})
		f.put(store.Put{Key: key("x", "a"), Value: []byte("2"), Version: 1, Terms: []string{"t", "u"}})
		for _, term := range []string{"", "t"} {
			rs, err := f.s.List(f.ctx, store.Query{Kind: "x", Term: term})
			if err != nil || len(rs) != 1 {
				f.Fatalf("list by %q: got %d records, %v", term, len(rs), err)
			}
			if r := rs[0]; string(r.Value) != "2" || r.Version != 2 || !slices.Equal(r.Terms, []string{"t", "u"}) {
				f.Fatalf("list by %q: got %+v", term, r)
			}
		}
	}},
	{"bare records have all but their values", func(f *fixture) {
		f.put(store.Put{Key: key("x", "a"), Value: []byte("1"), TTL: time.Hour, Terms: []string{"t", "u"}})
		for _, term := range []string{"", "t"} {
			rs, err := f.s.List(f.ctx, store.Query{Kind: "x", Term: term, Bare: true})
			if err != nil || len(rs) != 1 {
				f.Fatalf("list by %q: got %d records, %v", term, len(rs), err)
			}
			if r := rs[0]; len(r.Value) != 0 || r.Version != 1 || r.Expires.IsZero() || !slices.Equal(r.Terms, []string{"t", "u"}) {
				f.Fatalf("list by %q: got %+v", term, r)
			}
		}
	}},
	{"a put replaces all terms of the previous one", func(f *fixture) {
		k := key("x", "a")
		f.put(store.Put{Key: k, Terms: []string{"status=running", "owner=a", "twice", "twice"}})
		f.put(store.Put{Key: k, Version: 1, Terms: []string{"status=done", "owner=a"}})
		f.wantList(store.Query{Kind: "x", Term: "status=running"})
		f.wantList(store.Query{Kind: "x", Term: "twice"})
		f.wantList(store.Query{Kind: "x", Term: "status=done"}, "a")
		f.wantList(store.Query{Kind: "x", Term: "owner=a"}, "a")
		f.put(store.Put{Key: k, Version: 2})
		f.wantList(store.Query{Kind: "x", Term: "owner=a"})
		f.wantList(store.Query{Kind: "x"}, "a")
	}},
	{"a term is of one kind, and not a prefix", func(f *fixture) {
		f.put(store.Put{Key: key("x", "a"), Terms: []string{"t"}})
		f.put(store.Put{Key: key("x", "b"), Terms: []string{"ta"}})
		f.put(store.Put{Key: key("y", "c"), Terms: []string{"t"}})
		f.wantList(store.Query{Kind: "x", Term: "t"}, "a")
		f.wantList(store.Query{Kind: "x", Term: "ta"}, "b")
	}},
	{"paging returns every record once, in both directions", testPaging},
	{"prefix, cursor and direction combined", testPrefix},
	{"paging is stable while others write", testStablePaging},
}

// fill writes n records of a kind and returns their IDs in order; even ones have the term "even".
func fill(f *fixture, kind string, n int) []string {
	f.Helper()
	var ids []string
	var b store.Batch
	for i := range n {
		id := fmt.Sprintf("p/%05d", i)
		p := store.Put{Key: key(kind, id), Value: fmt.Append(nil, i)}
		if i%2 == 0 {
			p.Terms = []string{"even"}
		}
		b.Puts = append(b.Puts, p)
		ids = append(ids, id)
	}
	f.commit(b)
	return ids
}

// pages collects all pages of a query.
func pages(f *fixture, q store.Query) []string {
	f.Helper()
	var all []string
	for {
		page := f.list(q)
		if len(page) > q.Limit {
			f.Fatalf("list %+v: got %d records", q, len(page))
		}
		all = append(all, page...)
		if len(page) < q.Limit {
			return all
		}
		q.After = page[len(page)-1]
	}
}

func testPaging(f *fixture) {
	all := fill(f, "x", 101)
	fill(f, "w", 3)
	fill(f, "y", 3)
	var even []string
	for i := 0; i < len(all); i += 2 {
		even = append(even, all[i])
	}
	for _, limit := range []int{1, 7, 50, 51, 101, 200} {
		for _, reverse := range []bool{false, true} {
			for term, want := range map[string][]string{"": all, "even": even} {
				want = slices.Clone(want)
				if reverse {
					slices.Reverse(want)
				}
				got := pages(f, store.Query{Kind: "x", Term: term, Limit: limit, Reverse: reverse})
				if !slices.Equal(got, want) {
					f.Fatalf("term %q, limit %d, reverse %v: got %v, want %v", term, limit, reverse, got, want)
				}
			}
		}
	}
}

func testPrefix(f *fixture) {
	ids := []string{"a", "a/", "a/1", "a/2", "a/\xff", "a/\xff\xff", "a0", "b", "b/1", "\xff", "\xff\xff"}
	for _, id := range ids {
		f.put(store.Put{Key: key("x", id), Terms: []string{"t"}})
	}
	f.put(store.Put{Key: key("y", "a/1"), Terms: []string{"t"}})
	for _, term := range []string{"", "t"} {
		for _, tt := range []struct {
			prefix, after string
			want          []string
		}{
			{"a/", "", []string{"a/", "a/1", "a/2", "a/\xff", "a/\xff\xff"}},
			{"a/\xff", "", []string{"a/\xff", "a/\xff\xff"}},
			{"\xff", "", []string{"\xff", "\xff\xff"}},
			{"c", "", nil},
			{"a/", "a/1", []string{"a/2", "a/\xff", "a/\xff\xff"}},
			{"a/", "a/15", []string{"a/2", "a/\xff", "a/\xff\xff"}},
			{"a/", "A", []string{"a/", "a/1", "a/2", "a/\xff", "a/\xff\xff"}},
			{"a/", "b", nil},
			{"a/", "a/\xff\xff", nil},
			{"", "b", []string{"b/1", "\xff", "\xff\xff"}},
		} {
			f.wantList(store.Query{Kind: "x", Term: term, Prefix: tt.prefix, After: tt.after}, tt.want...)
		}
		for _, tt := range []struct {
			prefix, after string
			want          []string
		}{
			{"a/", "", []string{"a/\xff\xff", "a/\xff", "a/2", "a/1", "a/"}},
			{"\xff", "", []string{"\xff\xff", "\xff"}},
			{"a/", "a/2", []string{"a/1", "a/"}},
			{"a/", "a/15", []string{"a/1", "a/"}},
			{"a/", "z", []string{"a/\xff\xff", "a/\xff", "a/2", "a/1", "a/"}},
			{"a/", "a/", nil},
			{"a/", "a", nil},
			{"", "a/1", []string{"a/", "a"}},
			{"", "", []string{"\xff\xff", "\xff", "b/1", "b", "a0", "a/\xff\xff", "a/\xff", "a/2", "a/1", "a/", "a"}},
		} {
			f.wantList(store.Query{Kind: "x", Term: term, Prefix: tt.prefix, After: tt.after, Reverse: true}, tt.want...)
		}
	}
}

func testStablePaging(f *fixture) {
	ids := fill(f, "x", 40)
	q := store.Query{Kind: "x", Term: "even", Limit: 5}
	var got []string
	for page := 0; ; page++ {
		ls := f.list(q)
		if len(ls) == 0 {
			break
		}
		got = append(got, ls...)
		q.After = ls[len(ls)-1]
		// Write around the cursor: none of this may repeat or hide records that are not changed.
		f.put(store.Put{Key: key("x", fmt.Sprintf("p/%05d.5", page)), Terms: []string{"even"}})
		f.put(store.Put{Key: key("x", q.After), Version: store.AnyVersion, Terms: []string{"odd"}})
		if page == 0 {
			f.commit(store.Batch{Deletes: []store.Key{key("x", q.After)}})
		}
	}
	for i := 0; i < len(ids); i += 2 {
		n := 0
		for _, id := range got {
			if id == ids[i] {
				n++
			}
		}
		if n != 1 {
			f.Errorf("%s was listed %d times", ids[i], n)
		}
	}
}
