package bolt

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/runplane/runplane/store"
)

// Bounds of a group, so that its first caller does not wait too long for its last one.
const (
	maxGroup      = 1024
	maxGroupBytes = 8 << 20
)

// committer is the queue of the one goroutine that writes.
type committer struct {
	mu       sync.Mutex
	notEmpty sync.Cond
	queue    []*request
	closed   bool
	tails    map[string]int64 // see writer.append; used only by that goroutine
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
	c.notEmpty.Signal()
	return nil
}

// next waits for requests and takes a group of them. It returns none when the store closes, after failing those that are
// queued with ErrClosed.
func (c *committer) next(group []*request) []*request {
	c.gather()
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) == 0 && !c.closed {
		c.notEmpty.Wait()
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

// gather yields to runnable callers for as long as they queue more batches: the callers that the last group answered have
// their next batch ready soon, and syncing the first of them alone would make all others wait.
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
	c.notEmpty.Signal()
}

// commitGroups is the committer's goroutine; it returns when the store closes.
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

// commitGroup writes a group. If the transaction fails, each batch is written in a transaction of its own, so that a batch
// that cannot be written does not fail the others.
func (s *Store) commitGroup(group []*request) {
	err := s.commitTx(group)
	if err == nil {
		s.publish(group)
		return
	}
	for i, r := range group {
		alone := group[i : i+1]
		if len(group) > 1 {
			err = s.commitTx(alone)
		}
		if err != nil {
			r.err = err
			continue
		}
		s.publish(alone)
	}
}

// commitTx writes a group in one transaction and sets each request's err. If it returns an error, nothing was written. A
// panic becomes an error.
func (s *Store) commitTx(group []*request) (err error) {
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
		return classify("begin", err)
	}
	defer tx.Rollback() // no effect after a commit
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
		return nil // only conflicts: no need to sync
	}
	return classify("commit", tx.Commit())
}

// publish updates memory after a group was written: leases, due wakes and watchers.
func (s *Store) publish(group []*request) {
	s.queues.apply(group)
	s.notify(group)
}
