package redis

import (
	"context"

	"github.com/runplane/runplane/store"
)

// maxListed is how many IDs one script looks at.
const maxListed = 500

// List reads a page of records; see store.Store. Each shard returns its records in order, and List merges them.
func (s *Store) List(ctx context.Context, q store.Query) ([]store.Record, error) {
	q, err := q.Filled()
	if err != nil {
		return nil, err
	}
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	m := merge{s: s, q: q, from: make([]source, len(s.shards))}
	for i, sh := range s.shards {
		m.from[i] = newSource(sh, q)
	}
	return m.page(ctx)
}

// source is the records of one shard in a listing.
type source struct {
	sh     *shard
	lo, hi string // the remaining range, as ZRANGE BYLEX takes it
	end    bool   // the server has no more
	ready  []store.Record
}

func newSource(sh *shard, q store.Query) source {
	f := source{sh: sh, lo: "-", hi: "+"}
	if q.Prefix != "" {
		f.lo = "[" + q.Prefix
		if next := store.PrefixEnd([]byte(q.Prefix)); next != nil {
			f.hi = "(" + string(next)
		}
	}
	switch {
	case q.After == "":
	case !q.Reverse && q.After >= q.Prefix:
		f.lo = "(" + q.After
	case q.Reverse && (f.hi == "+" || q.After < f.hi[1:]):
		f.hi = "(" + q.After
	}
	if len(f.lo) > 1 && len(f.hi) > 1 && f.lo[1:] > f.hi[1:] {
		f.end = true
	}
	return f
}

// merge merges the records of the shards in order.
type merge struct {
	s    *Store
	q    store.Query
	from []source
}

func (m *merge) page(ctx context.Context) ([]store.Record, error) {
	out := []store.Record{}
	for len(out) < m.q.Limit {
		if err := m.fill(ctx, m.q.Limit-len(out)); err != nil {
			return nil, err
		}
		best := -1
		for i := range m.from {
			if len(m.from[i].ready) == 0 {
				continue
			}
			if best < 0 || (m.from[i].ready[0].Key.ID < m.from[best].ready[0].Key.ID) != m.q.Reverse {
				best = i
			}
		}
		if best < 0 {
			break
		}
		f := &m.from[best]
		out = append(out, f.ready[0])
		f.ready = f.ready[1:]
	}
	return out, nil
}

// fill makes sure that every shard that has records left has one ready: the next of the page may be any of them.
func (m *merge) fill(ctx context.Context, want int) error {
	for {
		var empty []*source
		var shards []*shard
		for i := range m.from {
			if f := &m.from[i]; len(f.ready) == 0 && !f.end {
				empty, shards = append(empty, f), append(shards, f.sh)
			}
		}
		if len(empty) == 0 {
			return nil
		}
		limit := min(want, maxListed)
		if n := len(m.from); n > 1 {
			limit = min(limit, 2*want/n+8)
		}
		next := 0
		calls, err := m.s.all(ctx, shards, func(sh *shard) *call {
			f := empty[next]
			next++
			index := sh.index(m.q.Kind)
			if m.q.Term != "" {
				index = sh.term(m.q.Kind, m.q.Term)
			}
			return run(listScript, []string{sh.base, index}, m.q.Kind, f.lo, f.hi, flag(m.q.Reverse), limit, flag(m.q.Bare)).again()
		})
		if err != nil {
			return err
		}
		for i, c := range calls {
			if err := empty[i].take(&m.q, c.reply); err != nil {
				return err
			}
		}
	}
}

// take decodes an answer of list.lua.
func (f *source) take(q *store.Query, reply any) error {
	list, _ := reply.([]any)
	if len(list)%6 != 1 {
		return errReply
	}
	last, _ := list[0].(string)
	switch {
	case last == "":
		f.end = true
	case q.Reverse:
		f.hi = "(" + last
	default:
		f.lo = "(" + last
	}
	for i := 1; i < len(list); i += 6 {
		id, _ := list[i].(string)
		r, err := parseRecord(f.sh, store.Key{Kind: q.Kind, ID: id}, list[i+1:i+6], q.Bare)
		if err != nil {
			return err
		}
		f.ready = append(f.ready, r)
	}
	return nil
}
