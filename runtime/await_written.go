package runtime

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/runplane/runplane/store"
)

// written remembers which states this process has written, until those that wait for them were told.
type written struct {
	mu     sync.Mutex
	keys   map[store.Key]bool
	busy   map[store.Key]bool // of which somebody tells, or has just told
	signal chan struct{}      // one token: there may be a key that is not busy
}

func newWritten() written {
	return written{keys: map[store.Key]bool{}, busy: map[store.Key]bool{}, signal: make(chan struct{}, 1)}
}

// note has those told that wait for the state. It does not block; what does not fit is left to the wake.
func (w *written) note(key store.Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.keys) == maxWritten {
		return
	}
	w.keys[key] = true
	w.poke()
}

// poke says that there may be a key to take; w.mu is held.
func (w *written) poke() {
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

// take gives out one key that is not busy; it is until it is free.
func (w *written) take() (key store.Key, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key := range w.keys {
		if !w.busy[key] {
			delete(w.keys, key)
			w.busy[key] = true
			return key, true
		}
	}
	return store.Key{}, false
}

func (w *written) free(key store.Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.busy, key)
	w.poke()
}

// tellWritten tells those that wait for what this process writes, until ctx ends and everything is told that was written before.
// One state that many wait for, and that is written without end, keeps neither the others nor the machine: of each one
// teller tells, and rests as long as that took.
func (r *Runtime) tellWritten(ctx context.Context) {
	var g errgroup.Group
	g.SetLimit(tellers)
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-r.written.signal:
		}
		for ctx.Err() == nil {
			key, ok := r.written.take()
			if !ok {
				break
			}
			g.Go(func() error {
				began := time.Now()
				r.tellOf(key)
				time.AfterFunc(time.Since(began), func() { r.written.free(key) })
				return nil
			})
		}
	}
	_ = g.Wait() // none of them has an error
	r.written.mu.Lock()
	clear(r.written.busy)
	r.written.mu.Unlock()
	for key, ok := r.written.take(); ok; key, ok = r.written.take() {
		g.Go(func() error { r.tellOf(key); return nil })
	}
	_ = g.Wait()
}

// tellOf is tellWaiting for what this process has written, also while it stops.
func (r *Runtime) tellOf(key store.Key) {
	if err := r.tellWaiting(r.storeCtx, key); err != nil && r.storeCtx.Err() == nil {
		r.log.Warn("tell those that wait for a state: they are told again later", "error", err)
	}
}
