package records

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Dirty is a set of keys that have changed and that Handle handles, each by one goroutine at a time.
type Dirty[K comparable] struct {
	limit  int
	mu     sync.Mutex
	keys   map[K]bool
	busy   map[K]bool // keys that are being handled, or rest after that
	signal Signal     // there may be a key that is not busy
}

// NewDirty returns an empty set of at most limit keys.
func NewDirty[K comparable](limit int) *Dirty[K] {
	return &Dirty[K]{limit: limit, keys: map[K]bool{}, busy: map[K]bool{}, signal: NewSignal()}
}

// Add adds a key to the set. It does not block; it returns false if the set is full, and then the key is not added.
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

// take removes one key that is not busy from the set; it is busy until done.
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

// Handle calls handle for each key of the set, in up to that many workers, until ctx ends and every key that was added before is handled.
// A key that is added again while it is handled is handled once more. A key that is added again and again delays neither the
// other keys nor the machine: after it was handled it rests for as long as that took.
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
	_ = g.Wait() // the workers return no errors
	d.mu.Lock()
	clear(d.busy)
	d.mu.Unlock()
	for key, ok := d.take(); ok; key, ok = d.take() {
		g.Go(func() error { handle(key); return nil })
	}
	_ = g.Wait()
}
