package bolt

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"sync"

	"go.etcd.io/bbolt"
	"golang.org/x/sync/semaphore"

	"github.com/runplane/runplane/store"
)

// Bounds of a group, so that its first caller does not wait too long for its last one.
const (
	maxGroup      = 1024
	maxGroupBytes = 8 << 20
)

// Bounds of what is encoded and not written yet. Batches of less than largeBatch bytes are not counted, so that what is small, such as a
// cancel, never waits for what is large.
const (
	largeBatch = 64 << 10
	maxWaiting = 4 * maxGroupBytes
)

// committer is the queue of the one goroutine that writes.
type committer struct {
	room     *semaphore.Weighted // of maxWaiting bytes, for large batches
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
	weight, err := s.commits.await(ctx, &b)
	if err != nil {
		return store.Committed{}, err
	}
	r := s.requests.get()
	r.weight = weight
	r.encode(&b, s.clock.Now())
	if err = s.file.usable(); err == nil {
		err = s.commits.add(r)
	}
	if err != nil {
		s.commits.room.Release(weight)
		return store.Committed{}, err
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		return store.Committed{}, store.Ended(ctx) // the committer keeps r
	}
	defer s.requests.put(r)
	if r.err != nil {
		return store.Committed{}, s.classified(r.err)
	}
	return r.committed(), nil
}

// classified classifies the error of one batch; what a caller branches on stays as it is.
func (s *Store) classified(err error) error {
	if errors.Is(err, errDamaged) {
		return s.classify("commit", err)
	}
	return err
}

// await waits until there is room for a batch, and returns how much of it the batch takes until it is answered.
func (c *committer) await(ctx context.Context, b *store.Batch) (weight int64, err error) {
	if weight = size(b); weight < largeBatch {
		return 0, nil
	}
	weight = min(weight, maxWaiting)
	if c.room.Acquire(ctx, weight) != nil {
		return 0, store.Ended(ctx)
	}
	return weight, nil
}

// size is about how many bytes a batch takes when it is encoded.
func size(b *store.Batch) (bytes int64) {
	for i := range b.Puts {
		bytes += int64(len(b.Puts[i].Value))
	}
	for i := range b.Appends {
		bytes += int64(len(b.Appends[i].Value))
	}
	return bytes
}

// answer answers the caller of a request.
func (c *committer) answer(r *request) {
	c.room.Release(r.weight)
	r.done <- struct{}{}
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
			c.answer(r)
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
			s.commits.answer(r)
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
		if len(group) > 1 && s.file.usable() == nil {
			err = s.commitTx(alone)
		}
		if err != nil {
			r.err = err
			continue
		}
		s.publish(alone)
	}
}

// commitTx writes a group in one transaction and sets each request's err. If it returns an error, nothing was written, or the file is
// broken. A panic becomes an error.
func (s *Store) commitTx(group []*request) (err error) {
	for _, r := range group {
		r.versions, r.err, r.lease, r.released, r.expired = r.versions[:0], nil, nil, false, 0
	}
	began := false
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = s.recovered("commit", p)
			if !began {
				s.file.stuck.Store(true)
			}
		}
		if err != nil {
			clear(s.commits.tails)
			s.queues.undo(group)
		}
	}()
	// A file that was cut off is found before bbolt reads or extends it.
	if err := s.file.alive(); err != nil {
		return err
	}
	if err := s.file.inPlace(s.size.Load()); err != nil {
		return err
	}
	tx, err := s.db.Begin(true)
	if err != nil {
		return s.classify("begin", err)
	}
	began = true
	defer s.rollback(tx) // no effect after a commit
	now := s.clock.Now()
	w := newWriter(tx, now.UnixNano(), s.commits.tails, s.unsealed)
	written := false
	for _, r := range group {
		if r.sweep {
			if r.expired, err = w.sweep(s.believed(now).UnixNano(), func(err error) { _ = s.classify("sweep", err) }); err != nil {
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
	if err := s.noteTime(tx, w, now); err != nil {
		return s.classify("note the time", err)
	}
	number, size := int64(tx.ID()), tx.Size()
	if err := tx.Commit(); err != nil {
		return s.classify("commit", err)
	}
	s.file.last.Store(number)
	s.size.Store(size)
	return nil
}

// rollback ends a transaction that was not committed.
func (s *Store) rollback(tx *bbolt.Tx) {
	defer func() {
		if p := recover(); p != nil {
			_ = s.recovered("roll back", p)
			s.file.stuck.Store(true)
		}
	}()
	_ = tx.Rollback()
}

// publish updates memory after a group was written: leases, due wakes and watchers.
func (s *Store) publish(group []*request) {
	s.queues.apply(group)
	s.notify(group)
}
