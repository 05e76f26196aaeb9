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

// queues grants leases on due keys. Methods lock mu unless their section says otherwise. They read the file while holding
// mu, and apply takes mu after every commit, so memory never keeps a wake that was removed from the file.
type queues struct {
	read     func(func(*bbolt.Tx) error) error // Store.read
	unsealed bool                              // Store.unsealed
	clock    *store.Clock                      // Store.clock
	skipped  func(error)                       // a wake that is damaged was left out

	mu       sync.Mutex
	kinds    map[string]*queue // every kind that was ever claimed or counted
	leases   leases
	token    int64         // of the last lease
	waiting  int           // number of waiting claims
	nextTick time.Time     // zero: the clock sleeps
	retick   chan struct{} // wakes runClock: nextTick is earlier now
	closed   bool
}

// queue is the part of one kind's wakes that is in memory.
type queue struct {
	kind    string
	day     bool // its wakes are due by the time of day
	ready   ready
	loaded  int64 // all wakes up to this time are in ready, or their keys are leased
	next    int64 // no wake in the file is after loaded and before this time
	waiters []*waiter
}

// waiter is a waiting claim. Its answer is written before done is closed.
type waiter struct {
	request store.ClaimRequest
	leases  []store.Lease
	err     error
	done    chan struct{}
}

// maxSleep is the longest sleep of the clock, for the case that the machine's clock is set or the machine was suspended.
const maxSleep = 5 * time.Second

// init prepares the queues. Tokens start at the current time, so that no lease of an earlier process matches a new one.
func (qs *queues) init(s *Store) {
	qs.read, qs.unsealed, qs.clock = s.read, s.unsealed, s.clock
	qs.skipped = func(err error) { _ = s.classify("read wakes", err) }
	qs.kinds = map[string]*queue{}
	qs.leases = leases{byKey: map[store.Key]*lease{}, left: map[digest]leftLease{}}
	qs.token = qs.clock.Now().UnixNano()
	qs.retick = make(chan struct{}, 1)
}

// reserve grants the batch's claim before the batch is written, and determines whether its release ends a lease.
func (qs *queues) reserve(r *request) error {
	if r.claim == nil && r.release == nil {
		return nil
	}
	qs.mu.Lock()
	defer qs.mu.Unlock()
	now := qs.clock.Now()
	if c := r.claim; c != nil {
		if h := qs.leases.byKey[c.Key]; h != nil {
			if h.liveAt(now) && h.Owner != c.Owner {
				return fmt.Errorf("%w: %q is leased by %s", store.ErrConflict, c.Key, h.Owner)
			}
			if h.liveAt(now) {
				qs.leases.remove(h)
			} else {
				qs.leases.expire(h)
			}
		}
		r.lease = qs.grant(c.Key, c.Owner, now.Add(c.TTL))
		r.grant = r.lease.Lease
		if q := qs.kinds[c.Key.Kind]; q != nil {
			q.ready.remove(c.Key.ID)
		}
	}
	if r.release != nil {
		r.released = qs.leases.find(*r.release, now) != nil
	}
	return nil
}

// undo removes the leases that reserve granted to a group that was not written.
func (qs *queues) undo(group []*request) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	now := qs.clock.Now()
	for _, r := range group {
		if r.lease != nil && qs.leases.remove(r.lease) {
			qs.leases.released(r.lease.Key, r.lease.Died, !r.lease.gone)
			qs.reload(r.lease.Key, now)
		}
		r.lease, r.released = nil, false
	}
	qs.serveWaiters(now)
}

// apply applies what a written group did to wakes and leases to memory.
func (qs *queues) apply(group []*request) {
	touched := false
	for _, r := range group {
		touched = touched || r.err == nil && r.touchesQueues()
	}
	if !touched {
		return
	}
	qs.mu.Lock()
	defer qs.mu.Unlock()
	now := qs.clock.Now()
	for _, r := range group {
		if r.err != nil {
			continue
		}
		if r.released {
			switch h := qs.leases.byKey[r.release.Key]; {
			case h != nil && h.Token == r.release.Token:
				qs.leases.remove(h)
				qs.leases.released(h.Key, r.release.Died, !h.gone || !r.removesWake())
			case qs.leases.releasedLate(r.release, now): // it expired while the batch was written
				qs.leases.released(r.release.Key, r.release.Died, true)
			}
			if r.removesWake() {
				qs.update(r.release.Key, nil, now)
			}
		} else if r.release != nil && qs.leases.releasedLate(r.release, now) {
			qs.expireLeases(now)
			qs.leases.released(r.release.Key, r.release.Died, true)
		}
		for _, d := range r.deletes {
			qs.leases.forget(d.key, now)
			qs.update(d.key, nil, now)
		}
		for i := range r.wakes {
			w := &r.wakes[i]
			if !w.set {
				qs.update(w.key, nil, now)
				continue
			}
			if h := qs.leases.byKey[w.key]; h != nil {
				qs.leases.revive(h)
			}
			qs.update(w.key, &w.wake, now)
		}
	}
	qs.serveWaiters(now)
}

// The callers of the methods below hold mu.

func (qs *queues) queue(kind string) *queue {
	q := qs.kinds[kind]
	if q == nil {
		q = &queue{kind: kind, ready: newReady(), loaded: math.MinInt64, next: math.MinInt64}
		qs.kinds[kind] = q
	}
	return q
}

// byDay has the wakes of a kind due by the time of day, or by the time that has passed.
func (q *queue) byDay(day bool) {
	if q.day != day {
		q.day, q.loaded, q.next = day, math.MinInt64, math.MinInt64
	}
}

// dueBy returns up to which time the wakes of a queue are due.
func (qs *queues) dueBy(q *queue, now time.Time) int64 {
	if q.day {
		now = qs.clock.Day()
	}
	return now.UnixNano()
}

func (qs *queues) grant(key store.Key, owner string, until time.Time) *lease {
	qs.token++
	return qs.leases.grant(store.Lease{Key: key, Owner: owner, Token: qs.token, Until: until})
}

// update sets a key's wake in memory; nil: it has none.
func (qs *queues) update(key store.Key, w *wake, now time.Time) {
	q := qs.kinds[key.Kind]
	if q == nil || qs.leases.byKey[key] != nil {
		return // read when the kind is first claimed, or when the lease ends
	}
	if w != nil && w.at <= qs.dueBy(q, now) {
		q.ready.put(key.ID, w.at, w.priority, []byte(w.fairness))
		return
	}
	q.ready.remove(key.ID)
	if w != nil {
		q.next = min(q.next, w.at)
		q.loaded = min(q.loaded, w.at-1) // the machine's clock was set back
	}
}

// reload reads a key's wake from the file after its lease ended without a new wake.
func (qs *queues) reload(key store.Key, now time.Time) {
	q := qs.kinds[key.Kind]
	if q == nil {
		return
	}
	err := qs.read(func(tx *bbolt.Tx) error {
		rec := appendRecordKey(nil, key)
		b := tx.Bucket(wakesBucket.name).Get(rec)
		if b == nil {
			qs.update(key, nil, now)
			return nil
		}
		w, err := openWake(rec, b, qs.unsealed)
		if err == nil {
			qs.update(key, &w, now)
		}
		return err
	})
	if err != nil { // load will read it again and can return the error
		q.loaded, q.next = math.MinInt64, math.MinInt64
	}
}

// load reads the wakes that have become due since the last load into memory.
func (qs *queues) load(q *queue, now time.Time) error {
	limit := qs.dueBy(q, now)
	if q.next > limit {
		return nil
	}
	prefix := appendKind(nil, q.kind)
	from := prefix
	if q.loaded != math.MinInt64 {
		from = appendInstant(bytes.Clone(prefix), q.loaded+1)
	}
	next := int64(math.MaxInt64)
	err := qs.read(func(tx *bbolt.Tx) error {
		c := tx.Bucket(dueBucket.name).Cursor()
		for k, v := c.Seek(from); bytes.HasPrefix(k, prefix); k, v = c.Next() {
			rest := k[len(prefix):]
			e, err := dueBucket.open(k, v, qs.unsealed)
			if err != nil || len(rest) < 8 {
				qs.skipped(fmt.Errorf("a wake of kind %s: %w", q.kind, errDamaged)) // the others are served
				continue
			}
			at := parseInstant(rest)
			if at > limit {
				next = at
				return nil
			}
			priority, fairness, err := parseWake(e.head)
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

// expireLeases removes the leases that have expired; their wakes count again.
func (qs *queues) expireLeases(now time.Time) {
	for l := qs.leases.first(); l != nil && !l.liveAt(now); l = qs.leases.first() {
		qs.leases.expire(l)
		qs.reload(l.Key, now)
	}
}

// grantReady leases ready keys for the request.
func (qs *queues) grantReady(q *queue, r *store.ClaimRequest, now time.Time) []store.Lease {
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

// serveWaiters gives ready keys to waiting claims, first come, first served, and schedules the next tick.
func (qs *queues) serveWaiters(now time.Time) {
	if qs.waiting == 0 {
		return
	}
	due := now.Add(maxSleep)
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
			qs.answer(q, qs.grantReady(q, &q.waiters[0].request, now), nil)
		}
		if wait := q.next - qs.dueBy(q, now); len(q.waiters) > 0 && q.next != math.MaxInt64 && wait < int64(maxSleep) {
			due = earlier(due, now.Add(time.Duration(wait)))
		}
	}
	if l := qs.leases.first(); l != nil {
		due = earlier(due, l.Until)
	}
	if qs.nextTick.IsZero() || due.Before(qs.nextTick) {
		qs.nextTick = due
		select {
		case qs.retick <- struct{}{}:
		default: // already signalled
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// answer answers the claim that has waited longest.
func (qs *queues) answer(q *queue, got []store.Lease, err error) {
	w := q.waiters[0]
	q.waiters = q.waiters[1:]
	qs.waiting--
	w.leases, w.err = got, err
	close(w.done)
}
