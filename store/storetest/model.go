package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/runplane/runplane/store"
)

var modelTests = []test{
	{"records, logs and terms behave like maps", func(f *fixture) {
		run := 0
		rapid.Check(f.T, func(t *rapid.T) {
			run++ // each run has a kind of its own, since all share the store
			m := &model{f: f, kind: "m" + strings.Repeat("_", run%50) + letters(run), records: map[string]record{}, logs: map[string][]string{}}
			t.Repeat(map[string]func(*rapid.T){
				"commit": m.commit,
				"list":   m.list,
				"get":    m.get,
				"log":    m.log,
			})
		})
	}},
}

// letters encodes n in letters, since a kind contains no digits.
func letters(n int) string {
	s := ""
	for ; n > 0; n /= 26 {
		s += string(rune('a' + n%26))
	}
	return s
}

// model is what a store should hold: one kind of records and logs.
type model struct {
	f       *fixture
	kind    string
	records map[string]record
	logs    map[string][]string
}

type record struct {
	value   string
	version int64
	terms   []string
}

// Few names, so that they occur often; with prefixes and zero bytes, which a wrong encoding would confuse.
var (
	someID    = rapid.SampledFrom([]string{"p/a", "p/b", "p/", "p/a\x00", "p/a\x00\x00b", "p/\xff", "p/a/b", "p"})
	someTerm  = rapid.SampledFrom([]string{"t", "tp", "t\x00", "u=p/a", "\xff"})
	someValue = rapid.StringN(0, 20, 60)
)

func (m *model) commit(t *rapid.T) {
	var b store.Batch
	conflict := false
	next := map[string]record{}
	for _, id := range rapid.SliceOfNDistinct(someID, 0, 3, rapid.ID).Draw(t, "puts") {
		have := m.records[id].version
		version := rapid.SampledFrom([]int64{have, have, have, store.AnyVersion, have + 1, 0}).Draw(t, "version")
		conflict = conflict || version != store.AnyVersion && version != have
		r := record{someValue.Draw(t, "value"), have + 1, rapid.SliceOfNDistinct(someTerm, 0, 3, rapid.ID).Draw(t, "terms")}
		b.Puts = append(b.Puts, store.Put{Key: key(m.kind, id), Value: []byte(r.value), Version: version, Terms: r.terms})
		next[id] = r
	}
	written := func(id string) bool { _, ok := next[id]; return ok }
	for _, id := range rapid.SliceOfN(someID, 0, 4).Draw(t, "appends") {
		value := someValue.Draw(t, "entry")
		b.Appends = append(b.Appends, store.Append{Key: key(m.kind, id), Value: []byte(value)})
	}
	for _, id := range rapid.SliceOfNDistinct(someID, 0, 1, rapid.ID).Draw(t, "deletes") {
		appended := slices.ContainsFunc(b.Appends, func(a store.Append) bool { return a.Key.ID == id })
		if !written(id) && !appended {
			b.Deletes = append(b.Deletes, key(m.kind, id))
		}
	}
	c, err := m.f.s.Commit(m.f.ctx, b)
	if conflict {
		if !errors.Is(err, store.ErrConflict) {
			t.Fatalf("commit %+v: got %v, want a conflict", b, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("commit %+v: %v", b, err)
	}
	for _, k := range b.Deletes {
		delete(m.records, k.ID)
		delete(m.logs, k.ID)
	}
	for i, p := range b.Puts {
		m.records[p.Key.ID] = next[p.Key.ID]
		if c.Versions[i] != next[p.Key.ID].version {
			t.Fatalf("commit %+v: got versions %v", b, c.Versions)
		}
	}
	for i, a := range b.Appends {
		m.logs[a.Key.ID] = append(m.logs[a.Key.ID], string(a.Value))
		if c.Seqs[i] != int64(len(m.logs[a.Key.ID])) {
			t.Fatalf("commit %+v: got numbers %v", b, c.Seqs)
		}
	}
}

func (m *model) get(t *rapid.T) {
	id := someID.Draw(t, "id")
	r, err := m.f.s.Get(m.f.ctx, key(m.kind, id))
	want, ok := m.records[id]
	if !ok {
		if !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("get %q: got %+v, %v, want not found", id, r, err)
		}
		return
	}
	if err != nil || string(r.Value) != want.value || r.Version != want.version || !slices.Equal(r.Terms, want.terms) {
		t.Fatalf("get %q: got %+v, %v, want %+v", id, r, err, want)
	}
}

func (m *model) list(t *rapid.T) {
	q := store.Query{
		Kind:    m.kind,
		Term:    rapid.OneOf(rapid.Just(""), someTerm).Draw(t, "term"),
		Prefix:  rapid.SampledFrom([]string{"", "p/", "p/a", "p/a\x00", "q"}).Draw(t, "prefix"),
		After:   rapid.OneOf(rapid.Just(""), someID).Draw(t, "after"),
		Reverse: rapid.Bool().Draw(t, "reverse"),
		Bare:    rapid.Bool().Draw(t, "bare"),
		Limit:   rapid.IntRange(1, 10).Draw(t, "limit"),
	}
	var want []string
	for id, r := range m.records {
		after := q.After == "" || !q.Reverse && id > q.After || q.Reverse && id < q.After
		if after && strings.HasPrefix(id, q.Prefix) && (q.Term == "" || slices.Contains(r.terms, q.Term)) {
			want = append(want, id)
		}
	}
	slices.Sort(want)
	if q.Reverse {
		slices.Reverse(want)
	}
	want = want[:min(len(want), q.Limit)]
	rs, err := m.f.s.List(m.f.ctx, q)
	if err != nil {
		t.Fatalf("list %+v: %v", q, err)
	}
	var got []string
	for _, r := range rs {
		got = append(got, r.Key.ID)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("list %+v: got %q, want %q", q, got, want)
	}
}

func (m *model) log(t *rapid.T) {
	id := someID.Draw(t, "id")
	after, limit := rapid.IntRange(0, 12).Draw(t, "after"), rapid.IntRange(1, 12).Draw(t, "limit")
	var want, got []string
	for i, v := range m.logs[id] {
		if i >= after && len(want) < limit {
			want = append(want, fmt.Sprintf("%d %q", i+1, v))
		}
	}
	es, err := m.f.s.Log(m.f.ctx, key(m.kind, id), int64(after), limit)
	if err != nil {
		t.Fatalf("log %q: %v", id, err)
	}
	for _, e := range es {
		got = append(got, fmt.Sprintf("%d %q", e.Seq, e.Value))
	}
	if !slices.Equal(got, want) {
		t.Fatalf("log %q after %d limit %d: got %q, want %q", id, after, limit, got, want)
	}
}
