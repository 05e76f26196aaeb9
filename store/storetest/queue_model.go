package storetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/runplane/runplane/store"
)

var queueModelTests = []test{
	{"wakes, leases and records with a TTL match the model", func(f *fixture) {
		run := 0
		rapid.Check(f.T, func(t *rapid.T) {
			if run++; run > 50 {
				return // each run makes about a hundred calls
			}
			m := &queueModel{f: f, kind: "q" + letters(run), start: time.Now().Truncate(time.Millisecond), keys: map[string]*keyState{}}
			t.Repeat(map[string]func(*rapid.T){
				"wake":           m.wake,
				"record":         m.record,
				"claim":          m.claim,
				"grab":           m.grab,
				"renew":          m.renew,
				"release":        m.release,
				"expire a lease": m.expireLease,
				"expire":         m.expire,
				"delete":         m.delete,
				"":               m.check,
			})
		})
	}},
}

// queueModel is the expected state of one kind, in one partition, so that claims have one order.
type queueModel struct {
	f      *fixture
	kind   string
	start  time.Time
	keys   map[string]*keyState
	old    []store.Lease // all that were ever granted
	shares shares
}

// keyState is the expected state of one key.
type keyState struct {
	version int64        // 0: no record
	wake    *store.Wake  // nil: none
	lease   *store.Lease // nil: none
	left    *store.Lease // the last one, if lease is nil and it was not released; without an owner: its successor passed on that it died
	unsure  bool         // it was deleted while it was leased: whether that lease is remembered is up to the store
}

func (s *keyState) due(now time.Time) bool {
	return s.wake != nil && s.lease == nil && !s.wake.At.After(now)
}

func (m *queueModel) at(id string) *keyState {
	if m.keys[id] == nil {
		m.keys[id] = &keyState{}
	}
	return m.keys[id]
}

func (m *queueModel) key(id string) store.Key { return key(m.kind, "p/"+id) }

var (
	queueID = rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"})
	owner   = rapid.SampledFrom([]string{"one", "two"})
)

// drawWake draws a wake in the past, or so far in the future that it does not become due during the test.
func (m *queueModel) drawWake(t *rapid.T, id string) store.Wake {
	w := store.Wake{
		Key: m.key(id), Priority: rapid.IntRange(0, store.Priorities).Draw(t, "priority"),
		Fairness: rapid.SampledFrom([]string{"", "f", "g"}).Draw(t, "fairness"),
	}
	switch in := rapid.IntRange(-50, 10).Draw(t, "seconds"); {
	case in < 0:
		w.At = m.start.Add(time.Duration(in) * time.Second)
	case in < 6:
		w.At = m.start.Add(time.Hour * time.Duration(in+1))
	}
	return w
}

func (m *queueModel) setWake(id string, w store.Wake) {
	s := m.at(id)
	s.wake = nil
	if !w.At.IsZero() {
		if w.Priority == 0 {
			w.Priority = 3
		}
		s.wake = &w
	}
}

func (m *queueModel) commit(t *rapid.T, b store.Batch) store.Committed {
	c, err := m.f.s.Commit(m.f.ctx, b)
	if err != nil {
		t.Fatalf("commit %+v: %v", b, err)
	}
	return c
}

func (m *queueModel) wake(t *rapid.T) {
	id := queueID.Draw(t, "id")
	w := m.drawWake(t, id)
	m.commit(t, store.Batch{Wakes: []store.Wake{w}})
	m.setWake(id, w)
}

// record writes a record that never expires, which must not change the wake.
func (m *queueModel) record(t *rapid.T) {
	id := queueID.Draw(t, "id")
	s := m.at(id)
	c := m.commit(t, store.Batch{Puts: []store.Put{{Key: m.key(id), Version: s.version}}})
	s.version++
	if c.Versions[0] != s.version {
		t.Fatalf("%s: got version %d, want %d", id, c.Versions[0], s.version)
	}
}

// expire writes a record with a TTL and waits until it expires.
func (m *queueModel) expire(t *rapid.T) {
	id := queueID.Draw(t, "id")
	m.commit(t, store.Batch{Puts: []store.Put{{Key: m.key(id), Version: m.at(id).version, TTL: time.Millisecond}}})
	m.f.eventually("the expiry of "+id, func() bool {
		_, err := m.f.s.Get(m.f.ctx, m.key(id))
		return errors.Is(err, store.ErrNotFound)
	})
	m.at(id).version = 0
}

func (m *queueModel) delete(t *rapid.T) {
	id := queueID.Draw(t, "id")
	m.commit(t, store.Batch{Deletes: []store.Key{m.key(id)}})
	s := m.at(id)
	s.version, s.wake, s.left, s.unsure = 0, nil, nil, s.unsure || s.lease != nil
}

func (m *queueModel) claim(t *rapid.T) {
	r := store.ClaimRequest{Kind: m.kind, Owner: owner.Draw(t, "owner"), Max: rapid.IntRange(1, 4).Draw(t, "max"), TTL: time.Hour}
	ls, err := m.f.s.Claim(m.f.ctx, r)
	if err != nil {
		t.Fatalf("claim: %v", err)
	}
	for n := range r.Max {
		var waiting [store.Priorities]int
		for _, s := range m.keys {
			if s.due(time.Now()) {
				waiting[s.wake.Priority-1]++
			}
		}
		p := m.shares.next(waiting)
		if p == 0 || n >= len(ls) {
			if p != 0 || n != len(ls) {
				t.Fatalf("claimed %v with %v due by priority after %d of them", ls, waiting, n)
			}
			break
		}
		l := ls[n]
		s := m.at(strings.TrimPrefix(l.Key.ID, "p/"))
		if !s.due(time.Now()) || s.wake.Priority != p || l.Owner != r.Owner {
			t.Fatalf("claimed %+v as number %d, want one of priority %d: its state is %+v", l, n, p, s)
		}
		for id, other := range m.keys {
			if other.due(time.Now()) && other.wake.Priority == p && other.wake.Fairness == s.wake.Fairness && other.wake.At.Before(s.wake.At) {
				t.Fatalf("claimed %q, but %s has been due for longer", l.Key, id)
			}
		}
		m.hold(t, s, l)
	}
}

func (m *queueModel) hold(t *rapid.T, s *keyState, l store.Lease) {
	for _, o := range m.old {
		if o.Key == l.Key && o.Token == l.Token {
			t.Fatalf("the token of %+v was used before", l)
		}
	}
	if died := s.left != nil && s.left.Owner != l.Owner; l.Died != died && !s.unsure {
		t.Fatalf("died is %v of %+v, want %v after %+v", l.Died, l, died, s.left)
	}
	s.lease, s.left, s.unsure = &l, nil, false
	m.old = append(m.old, l)
}

// grab claims a key in a batch.
func (m *queueModel) grab(t *rapid.T) {
	id, who := queueID.Draw(t, "id"), owner.Draw(t, "owner")
	s := m.at(id)
	b := store.Batch{Puts: []store.Put{{Key: m.key(id), Version: s.version}}, Claim: &store.Claim{Key: m.key(id), Owner: who, TTL: time.Hour}}
	c, err := m.f.s.Commit(m.f.ctx, b)
	if s.lease != nil && s.lease.Owner != who {
		if !errors.Is(err, store.ErrConflict) {
			t.Fatalf("%s claims %s, which %s holds: got %v", who, id, s.lease.Owner, err)
		}
		return
	}
	if err != nil || c.Lease == nil || c.Lease.Key != m.key(id) || c.Lease.Owner != who {
		t.Fatalf("%s claims %s: got %+v, %v", who, id, c.Lease, err)
	}
	s.version++
	m.hold(t, s, *c.Lease)
}

// drawLease draws any lease that was ever granted.
func (m *queueModel) drawLease(t *rapid.T) (l store.Lease, s *keyState, held bool) {
	if len(m.old) == 0 {
		t.Skip("no lease was granted")
	}
	l = m.old[rapid.IntRange(0, len(m.old)-1).Draw(t, "lease")]
	s = m.at(strings.TrimPrefix(l.Key.ID, "p/"))
	return l, s, s.lease != nil && s.lease.Token == l.Token
}

func (m *queueModel) renew(t *rapid.T) {
	l, _, held := m.drawLease(t)
	lost, err := m.f.s.Renew(m.f.ctx, []store.Lease{l}, 2*time.Hour)
	if err != nil || (len(lost) == 0) != held {
		t.Fatalf("renew %+v: lost %v, %v, want held %v", l, lost, err, held)
	}
}

func (m *queueModel) release(t *rapid.T) {
	l, s, held := m.drawLease(t)
	l.Died = l.Died && rapid.Bool().Draw(t, "died")
	b := store.Batch{Release: &l}
	var w store.Wake
	withWake := rapid.Bool().Draw(t, "with wake")
	id := strings.TrimPrefix(l.Key.ID, "p/")
	if withWake {
		w = m.drawWake(t, id)
		b.Wakes = []store.Wake{w}
	}
	m.commit(t, b)
	if held {
		s.lease, s.wake = nil, nil
	}
	if held || s.left != nil && s.left.Token == l.Token {
		s.left = nil
		if l.Died {
			s.left = &store.Lease{}
		}
	}
	if withWake {
		m.setWake(id, w)
	}
}

// expireLease waits until a held lease expires.
func (m *queueModel) expireLease(t *rapid.T) {
	l, s, held := m.drawLease(t)
	if !held {
		t.Skip("not held")
	}
	if lost, err := m.f.s.Renew(m.f.ctx, []store.Lease{l}, time.Millisecond); err != nil || len(lost) > 0 {
		t.Fatalf("renew %+v: lost %v, %v", l, lost, err)
	}
	m.f.eventually("the expiry of the lease of "+l.Key.ID, func() bool {
		ps, err := m.f.s.Places(m.f.ctx, []store.Key{l.Key})
		return err == nil && ps[0].Lease == nil
	})
	s.lease, s.left = nil, s.lease
}

// check compares the queue and all places with the model.
func (m *queueModel) check(t *rapid.T) {
	var want store.Queue
	var keys []store.Key
	for id, s := range m.keys {
		keys = append(keys, m.key(id))
		switch now := time.Now(); {
		case s.lease != nil && s.wake == nil: // not queued, but leased
			want.Leased++
		case s.wake == nil:
		case s.lease != nil:
			want.Leased++
		case s.due(now):
			want.Due[s.wake.Priority-1]++
			if want.Oldest.IsZero() || s.wake.At.Before(want.Oldest) {
				want.Oldest = s.wake.At
			}
		default:
			want.Sleeping++
		}
	}
	got, err := m.f.s.Queue(m.f.ctx, m.kind)
	if diff := cmp.Diff(want, got, sameTimes); err != nil || diff != "" {
		t.Fatalf("queue (-want +got):\n%s%v", diff, err)
	}
	places, err := m.f.s.Places(m.f.ctx, keys)
	if err != nil || len(places) != len(keys) {
		t.Fatalf("places: %v, %v", places, err)
	}
	for i, p := range places {
		s := m.keys[strings.TrimPrefix(keys[i].ID, "p/")]
		if diff := cmp.Diff(s.wake, p.Wake, sameTimes); diff != "" || (s.lease == nil) != (p.Lease == nil) ||
			s.lease != nil && s.lease.Token != p.Lease.Token {
			t.Fatalf("%q has %s, want lease %+v; wake (-want +got):\n%s", keys[i], describe(p.Lease), s.lease, diff)
		}
	}
}

func describe(l *store.Lease) string {
	if l == nil {
		return "no lease"
	}
	return fmt.Sprintf("lease %+v", *l)
}
