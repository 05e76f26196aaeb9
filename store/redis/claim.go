package redis

import (
	"context"
	"sync"
	"time"

	"github.com/runplane/runplane/store"
)

// Claim leases due keys; see store.Store. Claims of one kind that wait in this process are served in the order in which they
// came, by one goroutine that asks the server when something may be due: after a commit that this process or another made,
// at the time of the next wake, and each second in case that word of it was lost.
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
	if err := q.join(w); err != nil {
		return nil, err
	}
	var late <-chan time.Time
	if r.Wait > 0 {
		timer := time.NewTimer(r.Wait)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-w.done:
		return w.leases, w.err
	case <-late:
	case <-ctx.Done():
	}
	if q.leave(w) {
		if ctx.Err() != nil {
			return nil, store.Ended(ctx)
		}
		return nil, nil
	}
	return w.leases, w.err
}

const (
	maxClaim = 1000        // leases of one claim: what the three digits of their tokens tell apart
	poll     = time.Second // between looks at a shard of which nothing is heard
)

// claims holds the queue of each kind that was ever claimed.
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
		q = &claimQueue{s: s, kind: kind, look: make([]time.Time, len(s.shards)), empty: make([]int64, len(s.shards)), sick: make([]bool, len(s.shards)), poke: make(chan struct{}, 1)}
		c.kinds[kind] = q
	}
	return q
}

// hint says that a key of the kind in that shard is due at that time.
func (c *claims) hint(kind string, shard int, at time.Time) {
	c.mu.Lock()
	q := c.kinds[kind]
	c.mu.Unlock()
	if q != nil {
		q.hint(shard, at)
	}
}

// hintAll says that anything may be due: word of it may have been missed.
func (c *claims) hintAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, q := range c.kinds {
		for i := range q.look {
			q.hint(i, time.Time{})
		}
	}
}

// claimQueue is the claims of one kind that wait in this process.
type claimQueue struct {
	s    *Store
	kind string
	poke chan struct{} // look changed

	mu      sync.Mutex
	waiters []*waiter
	running bool
	look    []time.Time // when to look at each shard
	asks    int64       // questions to shards so far
	empty   []int64     // the last question to each shard that found nothing
	sick    []bool      // shards that did not answer when they were asked last
	first   int         // the shard whose turn it is
}

// waiter is a claim. Its answer is written before done is closed, both under the queue's lock.
type waiter struct {
	request store.ClaimRequest
	since   int64 // questions that were asked before it came
	leases  []store.Lease
	err     error
	done    chan struct{}
}

// join adds a waiter and has all shards looked at anew for it.
func (q *claimQueue) join(w *waiter) error {
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
	clear(q.look)
	q.nudge()
	return nil
}

// leave takes a waiter out; false: it has its answer.
func (q *claimQueue) leave(w *waiter) bool {
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

// answer gives the first waiter what it waited for; false: it has left.
func (q *claimQueue) answer(w *waiter, leases []store.Lease, err error) bool {
	if !q.leave(w) {
		return false
	}
	w.leases, w.err = leases, err
	close(w.done)
	return true
}

func (q *claimQueue) hint(shard int, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running && at.Before(q.look[shard]) {
		q.look[shard] = at
		q.nudge()
	}
}

func (q *claimQueue) nudge() {
	select {
	case q.poke <- struct{}{}:
	default: // it will look anyway
	}
}
