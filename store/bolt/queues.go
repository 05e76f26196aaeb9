package bolt

import (
	"bytes"
	"fmt"
	"math"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/runplane/runplane/store"
)

// queues grants leases on due keys. Its methods without a word on it take the lock; what is on disk they read under it,
// and the committer calls follow under it after every commit, so that memory never keeps a wake that the disk lost.
type queues struct {
	db *bbolt.DB

	mu      sync.Mutex
	kinds   map[string]*queue // those that were ever claimed from
	leases  leases
	token   int64 // the last lease's
	waiting int   // claims that wait
	armed   time.Time
	poke    chan struct{} // the clock has to look again: something is due before armed
	closed  bool
}

// queue is what memory knows of one kind's wakes.
type queue struct {
	kind    string
	ready   ready
	loaded  int64 // all wakes up to here are in ready, or hidden by a lease
	next    int64 // none is on disk between loaded and here
	waiters []*waiter
}

// waiter is a claim that waits. Its answer is written before done is closed.
type waiter struct {
	request store.ClaimRequest
	leases  []store.Lease
	err     error
	done    chan struct{}
}

// recheck bounds how long the clock sleeps, for the case that the wall clock is set or the machine slept.
const recheck = 30 * time.Second

// init gives the queues their file. Tokens start at the time, so that a lease of an earlier process matches none.
func (qs *queues) init(db *bbolt.DB) {
	qs.db = db
	qs.kinds = map[string]*queue{}
	qs.leases = leases{byKey: map[store.Key]*lease{}}
	qs.token = time.Now().UnixNano()
	qs.poke = make(chan struct{}, 1)
}

// reserve makes the batch's claim hold from before it is written, and finds out whether its release ends anything.
func (qs *queues) reserve(r *request) error {
	if r.claim == nil && r.release == nil {
		return nil
	}
	qs.mu.Lock()
	defer qs.mu.Unlock()
	now := time.Now()
	if c := r.claim; c != nil {
		if h := qs.leases.byKey[c.Key]; h != nil {
			if h.liveAt(now) && h.Owner != c.Owner {
				return fmt.Errorf("%w: %q is leased by %s", store.ErrConflict, c.Key, h.Owner)
			}
			qs.leases.end(h)
		}
		r.lease = qs.grant(c.Key, c.Owner, now.Add(c.TTL))
		r.grant = r.lease.Lease
		if q := qs.kinds[c.Key.Kind]; q != nil {
			q.ready.remove(c.Key.ID)
		}
	}
	if r.release != nil {
		r.released = qs.leases.held(*r.release, now) != nil
	}
	return nil
}

// undo takes back what reserve granted to a group that was not written.
func (qs *queues) undo(group []*request) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	now := time.Now()
	for _, r := range group {
		if r.lease != nil && qs.leases.end(r.lease) {
			qs.restore(r.lease.Key, now)
		}
		r.lease, r.released = nil, false
	}
	qs.settle(now)
}

// follow repeats in memory what a written group did to wakes and leases.
func (qs *queues) follow(group []*request) {
	touched := false
	for _, r := range group {
		touched = touched || r.err == nil && r.touchesQueues()
	}
	if !touched {
		return
	}
	qs.mu.Lock()
	defer qs.mu.Unlock()
	now := time.Now()
	for _, r := range group {
		if r.err != nil {
			continue
		}
		if r.released {
			if h := qs.leases.byKey[r.release.Key]; h != nil && h.Token == r.release.Token {
				qs.leases.end(h)
			}
			if r.dropsWake() {
				qs.place(r.release.Key, nil, now)
			}
		}
		for _, d := range r.deletes {
			qs.place(d.key, nil, now)
		}
		for i := range r.wakes {
			w := &r.wakes[i]
			if !w.set {
				qs.place(w.key, nil, now)
			} else {
				qs.place(w.key, &w.wake, now)
			}
		}
	}
	qs.settle(now)
}

// The methods below want the lock held.

func (qs *queues) queue(kind string) *queue {
	q := qs.kinds[kind]
	if q == nil {
		q = &queue{kind: kind, ready: newReady(), loaded: math.MinInt64, next: math.MinInt64}
		qs.kinds[kind] = q
	}
	return q
}

func (qs *queues) grant(key store.Key, owner string, until time.Time) *lease {
	qs.token++
	return qs.leases.grant(store.Lease{Key: key, Owner: owner, Token: qs.token, Until: until})
}

// place says what a key's wake now is; nil: it has none.
func (qs *queues) place(key store.Key, w *wake, now time.Time) {
	q := qs.kinds[key.Kind]
	if q == nil || qs.leases.byKey[key] != nil {
		return // loaded when the kind is first claimed from, or when the lease ends
	}
	if w != nil && w.at <= now.UnixNano() {
		q.ready.put(key.ID, w.at, w.priority, []byte(w.fairness))
		return
	}
	q.ready.remove(key.ID)
	if w != nil {
		q.next = min(q.next, w.at)
		q.loaded = min(q.loaded, w.at-1) // the wall clock was set back
	}
}

// restore reads a key's wake after its lease ended without a word on it.
func (qs *queues) restore(key store.Key, now time.Time) {
	q := qs.kinds[key.Kind]
	if q == nil {
		return
	}
	err := view(qs.db, func(tx *bbolt.Tx) error {
		b := tx.Bucket(wakesBucket).Get(appendRecordKey(nil, key))
		if b == nil {
			qs.place(key, nil, now)
			return nil
		}
		if len(b) < 8 {
			return errDamaged
		}
		priority, fairness, err := parseWake(b[8:])
		if err == nil {
			qs.place(key, &wake{parseInstant(b), priority, string(fairness)}, now)
		}
		return err
	})
	if err != nil { // let load meet it, which can say so
		q.loaded, q.next = math.MinInt64, math.MinInt64
	}
}

// load brings the wakes that became due since the last time into memory.
func (qs *queues) load(q *queue, now time.Time) error {
	limit := now.UnixNano()
	if q.next > limit {
		return nil
	}
	prefix := appendKind(nil, q.kind)
	from := prefix
	if q.loaded != math.MinInt64 {
		from = appendInstant(bytes.Clone(prefix), q.loaded+1)
	}
	next := int64(math.MaxInt64)
	err := view(qs.db, func(tx *bbolt.Tx) error {
		c := tx.Bucket(dueBucket).Cursor()
		for k, v := c.Seek(from); bytes.HasPrefix(k, prefix); k, v = c.Next() {
			rest := k[len(prefix):]
			if len(rest) < 8 {
				return errDamaged
			}
			at := parseInstant(rest)
			if at > limit {
				next = at
				return nil
			}
			priority, fairness, err := parseWake(v)
			if err != nil {
				return err
			}
			id := string(rest[8:])
			if qs.leases.byKey[store.Key{Kind: q.kind, ID: id}] == nil {
				q.ready.put(id, at, priority, fairness)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("load wakes: %w", err)
	}
	q.loaded, q.next = max(q.loaded, limit), next
	return nil
}

// lapse ends the leases whose time is over; their wakes count again.
func (qs *queues) lapse(now time.Time) {
	for l := qs.leases.first(); l != nil && !l.liveAt(now); l = qs.leases.first() {
		qs.leases.end(l)
		qs.restore(l.Key, now)
	}
}

// take leases what is ready for the request.
func (qs *queues) take(q *queue, r *store.ClaimRequest, now time.Time) []store.Lease {
	var got []store.Lease
	for len(got) < max(r.Max, 1) {
		id, ok := q.ready.pop()
		if !ok {
			break
		}
		key := store.Key{Kind: q.kind, ID: id}
		got = append(got, qs.grant(key, r.Owner, now.Add(r.TTL)).Lease)
	}
	return got
}

// settle gives ready keys to the claims that wait, first come first served, and has the clock look again in time.
func (qs *queues) settle(now time.Time) {
	if qs.waiting == 0 {
		return
	}
	due := now.Add(recheck)
	for _, q := range qs.kinds {
		if len(q.waiters) == 0 {
			continue
		}
		if err := qs.load(q, now); err != nil {
			for len(q.waiters) > 0 {
				qs.answer(q, nil, err)
			}
			continue
		}
		for len(q.waiters) > 0 && q.ready.len() > 0 {
			qs.answer(q, qs.take(q, &q.waiters[0].request, now), nil)
		}
		if wait := q.next - now.UnixNano(); len(q.waiters) > 0 && q.next != math.MaxInt64 && wait < int64(recheck) {
			due = earlier(due, now.Add(time.Duration(wait)))
		}
	}
	if l := qs.leases.first(); l != nil {
		due = earlier(due, l.Until)
	}
	if qs.armed.IsZero() || due.Before(qs.armed) {
		qs.armed = due
		select {
		case qs.poke <- struct{}{}:
		default: // it will look anyway
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// answer ends the longest waiting claim.
func (qs *queues) answer(q *queue, got []store.Lease, err error) {
	w := q.waiters[0]
	q.waiters = q.waiters[1:]
	qs.waiting--
	w.leases, w.err = got, err
	close(w.done)
}
