package records_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

func ids(rec store.Record) (string, bool, error) { return rec.Key.ID, true, nil }

// dots are cut where they are too many.
type dots string

func (d dots) Brief(most int) dots { return d[:min(len(d), most-10)] }

// pages reads a list to its end, and says how many records each page has.
func pages(t *testing.T, s *records.Store, l records.Listing, shown func(id string) bool) (ids []string, sizes []int) {
	t.Helper()
	for {
		page, next, err := records.List(t.Context(), s, l, func(rec store.Record) (string, bool, error) { return rec.Key.ID, shown(rec.Key.ID), nil })
		if err != nil {
			t.Fatal(err)
		}
		ids, sizes = append(ids, page...), append(sizes, len(page))
		if l.Cursor = next; next == "" {
			return ids, sizes
		}
	}
}

// Pages have every record that is shown once and in order, and end by their limit, by their size or where little of what was read is shown.
func TestPagesHaveEveryRecordOnce(t *testing.T) {
	s := recordstest.Replica(recordstest.Memory(t))
	fill := func(kind string, n, size int) (ids []string) {
		for i := range n {
			ids = append(ids, fmt.Sprintf("%05d", i))
			p := store.Put{Key: store.Key{Kind: kind, ID: ids[i]}, Value: []byte(strings.Repeat("x", size))}
			if _, err := s.Commit(t.Context(), store.Batch{Puts: []store.Put{p}}); err != nil {
				t.Fatal(err)
			}
		}
		return ids
	}
	small, large := fill("small", 2500, 1), fill("large", 5, records.PageBytes/2)
	all := func(string) bool { return true }
	for _, tt := range []struct {
		name  string
		list  records.Listing
		shown func(string) bool
		want  []string
		sizes []int // of the first pages
	}{
		{"by default", records.Listing{Query: store.Query{Kind: "small", Prefix: "000"}}, all, small[:100], []int{20, 20, 20, 20, 20}},
		{"by the limit", records.Listing{Query: store.Query{Kind: "small", Prefix: "0000"}, Limit: 7}, all, small[:10], []int{7, 3}},
		{"by the greatest limit", records.Listing{Query: store.Query{Kind: "small"}, Limit: 5000}, all, small, []int{100, 100}},
		{"by their size", records.Listing{Query: store.Query{Kind: "large"}}, all, large, []int{2, 2, 1}},
		{"few are shown", records.Listing{Query: store.Query{Kind: "small"}}, func(id string) bool { return id == "00000" || id == "02400" }, []string{small[0], small[2400]}, []int{1, 1}},
		{"none", records.Listing{Query: store.Query{Kind: "none"}}, all, nil, []int{0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ids, sizes := pages(t, s, tt.list, tt.shown)
			if !slices.Equal(ids, tt.want) || !slices.Equal(sizes[:len(tt.sizes)], tt.sizes) {
				t.Errorf("%d records in pages of %v, want %d in pages of %v", len(ids), sizes, len(tt.want), tt.sizes)
			}
		})
	}
	short, _, err := records.List(t.Context(), s, records.Listing{Query: store.Query{Kind: "large"}, Limit: records.Brief}, func(rec store.Record) (dots, bool, error) {
		return dots(rec.Value), true, nil
	})
	if size := schemas.Size(short); err != nil || len(short) != 5 || size > schemas.MaxAnswer || size < schemas.MaxAnswer/2 {
		t.Errorf("%d records in a brief page of %d bytes, %v", len(short), size, err)
	}
	_, next, err := records.List(t.Context(), s, records.Listing{Tool: "list_x", Query: store.Query{Kind: "small"}, Limit: 1}, ids)
	if err != nil || next == "" {
		t.Fatalf("cursor %q, %v", next, err)
	}
	for _, q := range []store.Query{{Kind: "large"}, {Kind: "small", Prefix: "0"}, {Kind: "small", Term: "x"}} {
		if _, _, err := records.List(t.Context(), s, records.Listing{Tool: "list_x", Query: q, Cursor: next}, ids); schemas.AsError(err) == nil || schemas.AsError(err).Field != "cursor" {
			t.Errorf("%+v takes the cursor of another list: %v", q, err)
		}
	}
	n := 0
	err = s.Each(t.Context(), store.Query{Kind: "small"}, func(store.Record) error { n++; return nil })
	if err != nil || n != len(small) {
		t.Errorf("Each reads %d records of %d, %v", n, len(small), err)
	}
}

// A record that is deleted where a cursor stands takes no other off the list.
func TestCursorOnADeletedRecord(t *testing.T) {
	s := recordstest.Replica(recordstest.Memory(t))
	for i := range 6 {
		if _, err := s.Commit(t.Context(), put("k", fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	read := func(cursor string) (page []string, next string) {
		t.Helper()
		l := records.Listing{Query: store.Query{Kind: "k"}, Limit: 3, Cursor: cursor}
		page, next, err := records.List(t.Context(), s, l, ids)
		if err != nil {
			t.Fatal(err)
		}
		return page, next
	}
	first, next := read("")
	if _, err := s.Commit(t.Context(), store.Batch{Deletes: []store.Key{{Kind: "k", ID: "2"}}}); err != nil {
		t.Fatal(err)
	}
	rest, end := read(next)
	if got := slices.Concat(first, rest); !slices.Equal(got, []string{"0", "1", "2", "3", "4", "5"}) || end != "" {
		t.Errorf("got %v", got)
	}
}
