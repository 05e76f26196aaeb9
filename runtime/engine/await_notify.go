package engine

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

const (
	notifiers  = 4 // changes told of at once
	maxChecks  = 8 // executions looked at at once, of each change
	maxWritten = 10_000
)

// notifyDue does what is due about a state that was written, or expires. Where it cannot, or where the store's clock is
// ahead of this one, so that the state may be there yet, the lease lapses and somebody tries again.
func (r *Engine) notifyDue(ctx context.Context, lease *store.Lease) {
	key, at := state.ParseNotify(lease.Key)
	if records.Now().Before(at) {
		return
	}
	err := r.notifyWaiting(ctx, key)
	if err == nil {
		_, err = r.store.Commit(ctx, store.Batch{Release: lease, Wakes: []store.Wake{{Key: lease.Key}}}) // also where so many wait that the lease has lapsed
	}
	if err != nil && ctx.Err() == nil {
		r.log.Warn("tell those that wait for a state: trying again", "error", err)
	}
}

// notifyWaiting has every execution that waits for the state look at it. The error is the store's; what is wrong with one
// execution keeps no other waiting.
func (r *Engine) notifyWaiting(ctx context.Context, key store.Key) error {
	var g errgroup.Group
	g.SetLimit(maxChecks)
	var s *state.Record // as it was before the first of them looks
	var now time.Time
	err := r.store.Each(ctx, store.Query{Kind: journal.KindExecution, Term: journal.TermAwaits(key), Bare: true}, func(rec store.Record) error {
		if s == nil {
			found, err := r.states.Read(ctx, key)
			if err != nil {
				return err
			}
			s, now = &found, records.Now()
		}
		g.Go(func() error {
			err := r.checkAwaited(ctx, rec.Key.ID, key)
			switch {
			case err == nil, errors.Is(err, records.Unavailable), errors.Is(err, store.ErrConflict), ctx.Err() != nil:
				return err
			case !errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}): // else it was deleted
				r.log.Error("look at a state that an execution waits for", "execution_id", rec.Key.ID, "error", err)
			}
			return nil
		})
		return nil
	})
	if failed := g.Wait(); err == nil {
		err = failed
	}
	if err != nil || s == nil {
		return err
	}
	return r.states.Remind(ctx, key, s, now)
}

// Written notes that this process has written a state: those who wait for it are notified. It does not block; what does not fit is left
// to the wake of the state.
func (r *Engine) Written(key store.Key) { r.written.Add(key) }

// notifyWritten is tellWaiting for what this process has written, also while it stops.
func (r *Engine) notifyWritten(key store.Key) {
	if err := r.notifyWaiting(r.storeCtx, key); err != nil && r.storeCtx.Err() == nil {
		r.log.Warn("tell those that wait for a state: they are told again later", "error", err)
	}
}
