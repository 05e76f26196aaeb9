package runtime

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Whoever has written a state tells the executions that wait for it, at once. A wake that he commits with the state has
// somebody tell them again a little later, in case he died first; and a state that expires, which nobody writes, has a
// wake for that. So an execution that waits never looks by itself.
//
// The wakes of one state differ by their time, and each is handled once: a change that comes while an earlier one is
// handled has its own. Changes of the same period share one, which is due when the period is over.

const (
	tellPeriod  = 30 * time.Second
	tellers     = 4 // changes told of at once
	tellLooks   = 8 // executions looked at at once, of each change
	maxWritten  = 10_000
	expiryGrain = time.Second
)

// tellAt are the wakes of a state that is committed.
func tellAt(key store.Key, s *state) []store.Wake {
	wakes := []store.Wake{tellWake(key, s.UpdatedAt.Truncate(tellPeriod).Add(2*tellPeriod))}
	if s.ExpiresAt != nil {
		wakes = append(wakes, tellWake(key, s.ExpiresAt.Add(expiryGrain-1).Truncate(expiryGrain)))
	}
	if len(wakes) == 2 && wakes[0].Key == wakes[1].Key {
		wakes = wakes[:1]
	}
	return wakes
}

func tellWake(key store.Key, at time.Time) store.Wake {
	return store.Wake{Key: store.Key{Kind: kindTell, ID: key.ID + "/" + strconv.FormatInt(at.Unix(), 10)}, At: at}
}

// told is the inverse of tellWake.
func told(wake store.Key) (state store.Key, at time.Time) {
	cut := strings.LastIndexByte(wake.ID, '/')
	seconds, err := strconv.ParseInt(wake.ID[cut+1:], 10, 64)
	if cut < 0 || err != nil {
		return store.Key{}, time.Time{}
	}
	return store.Key{Kind: kindState, ID: wake.ID[:cut]}, time.Unix(seconds, 0)
}

// tellAgain does what is due about a state that was written or has expired. Where it cannot, or where the store's clock is
// ahead of this one, so that the state has not expired yet, the lease lapses and somebody tries again.
func (r *Runtime) tellAgain(ctx context.Context, lease *store.Lease) {
	key, at := told(lease.Key)
	if r.now().Before(at) {
		return
	}
	err := r.tellWaiting(ctx, key)
	if err == nil {
		_, err = r.store.Commit(ctx, store.Batch{Release: lease})
	}
	if err != nil && ctx.Err() == nil {
		r.log.Warn("tell those that wait for a state: trying again", "error", err)
	}
}

// tellWaiting has every execution that waits for the state look at it. The error is the last one; it keeps no other waiting.
func (r *Runtime) tellWaiting(ctx context.Context, key store.Key) error {
	var g errgroup.Group
	g.SetLimit(tellLooks)
	err := r.each(ctx, store.Query{Kind: kindExecution, Term: termAwaits(key), Bare: true}, func(rec store.Record) error {
		g.Go(func() error {
			err := r.look(ctx, rec.Key.ID)
			if errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) { // it was deleted
				err = nil
			}
			return err
		})
		return nil
	})
	if failed := g.Wait(); err == nil {
		err = failed
	}
	return err
}

// written remembers which states this process has written, until those that wait for them were told.
type written struct {
	mu     sync.Mutex
	keys   map[store.Key]bool
	signal chan struct{} // one token: keys is not empty
}

// note has those told that wait for the state. It does not block; what does not fit is left to the wake.
func (w *written) note(key store.Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.keys == nil {
		w.keys = map[store.Key]bool{}
	}
	if len(w.keys) == maxWritten {
		return
	}
	w.keys[key] = true
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

func (w *written) take() map[store.Key]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	keys := w.keys
	w.keys = nil
	return keys
}

// tellWritten tells those that wait for what this process writes, until ctx ends and everything is told that was written before.
func (r *Runtime) tellWritten(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-r.written.signal:
		}
		var g errgroup.Group
		g.SetLimit(tellers)
		for key := range r.written.take() {
			g.Go(func() error {
				if err := r.tellWaiting(r.storeCtx, key); err != nil && r.storeCtx.Err() == nil { // also while this process stops
					r.log.Warn("tell those that wait for a state: they are told again later", "error", err)
				}
				return nil
			})
		}
		_ = g.Wait() // none of them has an error
	}
}
