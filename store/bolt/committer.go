package bolt

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/runplane/runplane/store"
)

// A group is bounded so that its first caller does not wait for an endless last one.
const (
	maxGroup      = 1024
	maxGroupBytes = 8 << 20
)

// committer is the queue in front of the one goroutine that writes.
type committer struct {
	mu     sync.Mutex
	filled sync.Cond
	queue  []*request
	closed bool
	tails  map[string]int64 // see writer.append; the goroutine's own
}

// Commit writes the batch in the next group; see store.Store.
func (s *Store) Commit(ctx context.Context, b store.Batch) (store.Committed, error) {
	if err := b.Valid(); err != nil {
		return store.Committed{}, err
	}
	if ctx.Err() != nil {
		return store.Committed{}, store.Ended(ctx)
	}
	r := s.requests.get()
	r.encode(&b, time.Now())
	if err := s.commits.add(r); err != nil {
		return store.Committed{}, err
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		return store.Committed{}, store.Ended(ctx) // the committer keeps r
	}
	defer s.requests.put(r)
	if r.err != nil {
		return store.Committed{}, r.err
	}
	return r.committed(), nil
}

func (c *committer) add(r *request) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return store.ErrClosed
	}
	c.queue = append(c.queue, r)
	c.filled.Signal()
	return nil
}

// next waits for requests and takes a group of them; none when the store closes, whose leftovers end with ErrClosed.
func (c *committer) next(group []*request) []*request {
	c.gather()
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) == 0 && !c.closed {
		c.filled.Wait()
	}
	if c.closed {
		for _, r := range c.queue {
			r.err = store.ErrClosed
			r.done <- struct{}{}
		}
		c.queue = nil
		return nil
	}
	n, size := 0, 0
	for n < len(c.queue) && n < maxGroup && size < maxGroupBytes {
		size += c.queue[n].size()
		n++
	}
	group = append(group[:0], c.queue[:n]...)
	rest := copy(c.queue, c.queue[n:])
	clear(c.queue[rest:])
	c.queue = c.queue[:rest]
	return group
}

// gather lets the callers that run queue their batches, for as long as that brings more: those that the last group
// answered have the next one ready in a moment, and a sync for the first of them alone would make all others wait.
func (c *committer) gather() {
	for before := 0; ; {
		runtime.Gosched()
		c.mu.Lock()
		n := len(c.queue)
		c.mu.Unlock()
		if n == before {
			return
		}
		before = n
	}
}

func (c *committer) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.filled.Signal()
}

// commitGroups is the committer; it returns when the store closes.
func (s *Store) commitGroups() {
	var group []*request
	for {
		if group = s.commits.next(group); len(group) == 0 {
			return
		}
		s.commitGroup(group)
		for i, r := range group {
			group[i] = nil
			r.done <- struct{}{}
		}
	}
}

// commitGroup writes a group. When that goes wrong as a whole, each batch is tried alone, so that one that cannot be
// written takes no other with it.
func (s *Store) commitGroup(group []*request) {
	err := s.try(group)
	if err == nil {
		s.publish(group)
		return
	}
	for i, r := range group {
		alone := group[i : i+1]
		if len(group) > 1 {
			err = s.try(alone)
		}
		if err != nil {
			r.err = err
			continue
		}
		s.publish(alone)
	}
}

// try writes a group in one transaction: every request's err says how it went, or nothing was written and try's error
// says why. A panic is such an error.
func (s *Store) try(group []*request) (err error) {
	for _, r := range group {
		r.versions, r.err, r.lease, r.released, r.expired = r.versions[:0], nil, nil, false, 0
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("commit: panic: %v", p)
		}
		if err != nil {
			clear(s.commits.tails)
			s.queues.undo(group)
		}
	}()
	tx, err := s.db.Begin(true)
	if err != nil {
		return foreign("begin", err)
	}
	defer tx.Rollback() // after a commit it does nothing
	w := newWriter(tx, time.Now().UnixNano(), s.commits.tails)
	written := false
	for _, r := range group {
		if r.sweep {
			if r.expired, err = w.sweep(); err != nil {
				return err
			}
			written = written || r.expired > 0
			continue
		}
		if r.err = w.check(r); r.err != nil {
			continue
		}
		if r.err = s.queues.reserve(r); r.err != nil {
			continue
		}
		if err := w.write(r); err != nil {
			return err
		}
		written = true
	}
	if !written {
		return nil // conflicts alone need no disk
	}
	return foreign("commit", tx.Commit())
}

// publish lets memory follow what a group wrote: leases, due wakes, watchers.
func (s *Store) publish(group []*request) {
	s.queues.follow(group)
	s.notify(group)
}
