package records

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Dirty is a set of keys that have changed, and of which something is to be done, by one goroutine at a time for each.
type Dirty[K comparable] struct {
	limit  int
	mu     sync.Mutex
	keys   map[K]bool
	busy   map[K]bool // those that are handled, or rest after that
	signal Signal     // there may be a key that is not busy
}

// NewDirty makes a set of at most so many keys.
func NewDirty[K comparable](limit int) *Dirty[K] {
	return &Dirty[K]{limit: limit, keys: map[K]bool{}, busy: map[K]bool{}, signal: NewSignal()}
}

// Add takes a key into the set; it does not block. false: the set is full, and the key is left out.
func (d *Dirty[K]) Add(key K) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.keys) >= d.limit && !d.keys[key] {
		return false
	}
	d.keys[key] = true
	d.signal.Set()
	return true
}

// take gives out one key that is not busy; it is busy until it is freed.
func (d *Dirty[K]) take() (key K, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key := range d.keys {
		if !d.busy[key] {
			delete(d.keys, key)
			d.busy[key] = true
			return key, true
		}
	}
	return key, false
}

func (d *Dirty[K]) done(key K) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.busy, key)
	d.signal.Set()
}

// Handle has handle called for each key of the set, in so many goroutines, until ctx ends and every key that was added before is handled.
// A key that is added again while it is handled is handled once more. A key that is added without end holds up neither the
// others nor the machine: after it was handled it rests as long as that took.
func (d *Dirty[K]) Handle(ctx context.Context, workers int, handle func(K)) {
	var g errgroup.Group
	g.SetLimit(workers)
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-d.signal:
		}
		for ctx.Err() == nil {
			key, ok := d.take()
			if !ok {
				break
			}
			g.Go(func() error {
				began := time.Now()
				handle(key)
				time.AfterFunc(time.Since(began), func() { d.done(key) })
				return nil
			})
		}
	}
	_ = g.Wait() // none of them has an error
	d.mu.Lock()
	clear(d.busy)
	d.mu.Unlock()
	for key, ok := d.take(); ok; key, ok = d.take() {
		g.Go(func() error { handle(key); return nil })
	}
	_ = g.Wait()
}
