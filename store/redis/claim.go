package redis

import (
	"context"
	"sync"
	"time"

	"github.com/runplane/runplane/store"
)

// Claim leases due keys; see store.Store. Waiting claims of one kind in this process are served first come, first served, by
// one goroutine that asks the server when a key may be due: after a commit by this process or another one, at the time of
// the next wake, and each second in case a message was lost.
func (s *Store) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Lease, error) {
	if err := r.Valid(); err != nil {
		return nil, err
	}
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	r.Max = min(max(r.Max, 1), maxClaim)
	if r.Wait > 0 {
		s.subscribe()
	}
	q := s.claims.queue(s, r.Kind)
	w := &waiter{request: r, done: make(chan struct{})}
	if err := q.add(w); err != nil {
		return nil, err
	}
	var timeout <-chan time.Time
	if r.Wait > 0 {
		timer := time.NewTimer(r.Wait)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-w.done:
		return w.leases, w.err
	case <-timeout:
	case <-ctx.Done():
	}
	if q.remove(w) {
		if ctx.Err() != nil {
			return nil, store.Ended(ctx)
		}
		return nil, nil
	}
	return w.leases, w.err
}

const (
	maxClaim = 1000        // leases of one claim: the last three digits of their tokens number them
	poll     = time.Second // between two questions to a shard without messages
)

// claims holds the queue of every kind that was ever claimed.
type claims struct {
	mu    sync.Mutex
	kinds map[string]*claimQueue
}

func (c *claims) init() { c.kinds = map[string]*claimQueue{} }

func (c *claims) queue(s *Store, kind string) *claimQueue {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.kinds[kind]
	if q == nil {
		n := len(s.shards)
		q = &claimQueue{
			s: s, kind: kind, changed: make(chan struct{}, 1),
			nextLook: make([]time.Time, n), empty: make([]int64, n), down: make([]bool, n),
		}
		c.kinds[kind] = q
	}
	return q
}

// hint notes that a key of the kind in the shard is due at the time.
func (c *claims) hint(kind string, shard int, at time.Time) {
	c.mu.Lock()
	q := c.kinds[kind]
	c.mu.Unlock()
	if q != nil {
		q.hint(shard, at)
	}
}

// hintAll notes that any key may be due: messages may have been missed.
func (c *claims) hintAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, q := range c.kinds {
		for i := range q.nextLook {
			q.hint(i, time.Time{})
		}
	}
}

// claimQueue is the waiting claims of one kind in this process.
type claimQueue struct {
	s       *Store
	kind    string
	changed chan struct{} // nextLook changed

	mu       sync.Mutex
	waiters  []*waiter
	running  bool
	nextLook []time.Time // when to ask each shard
	asks     int64       // number of questions to shards so far
	empty    []int64     // by shard: the number of the last question that found nothing
	down     []bool      // by shard: it did not answer the last question
	first    int         // the shard that is asked first next
}

// waiter is a claim. Its answer is written and then done is closed, both while holding the queue's mutex.
type waiter struct {
	request store.ClaimRequest
	since   int64 // the number of questions asked before it was added
	leases  []store.Lease
	err     error
	done    chan struct{}
}

// add adds a waiter and has all shards asked again for it.
func (q *claimQueue) add(w *waiter) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.running {
		if err := q.s.background(q.serve); err != nil {
			return err
		}
		q.running = true
	}
	w.since = q.asks
	q.waiters = append(q.waiters, w)
	clear(q.nextLook)
	q.signal()
	return nil
}

// remove removes a waiter; false: it was answered before.
func (q *claimQueue) remove(w *waiter) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.waiters {
		if q.waiters[i] == w {
			q.waiters = append(q.waiters[:i], q.waiters[i+1:]...)
			return true
		}
	}
	return false
}

// answer answers a waiter; false: it was removed before.
func (q *claimQueue) answer(w *waiter, leases []store.Lease, err error) bool {
	if !q.remove(w) {
		return false
	}
	w.leases, w.err = leases, err
	close(w.done)
	return true
}

func (q *claimQueue) hint(shard int, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running && at.Before(q.nextLook[shard]) {
		q.nextLook[shard] = at
		q.signal()
	}
}

func (q *claimQueue) signal() {
	select {
	case q.changed <- struct{}{}:
	default: // already signalled
	}
}
