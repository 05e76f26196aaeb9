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
	notifiers  = 4      // changed states of which waits are checked at once
	maxChecks  = 8      // executions checked at once for one of them
	maxWritten = 10_000 // states written here whose waits are still to be checked; the wakes of others do it later
)

// StateWritten notes that this process has written a state, so that the waits for it are checked. It does not block. If too many states are
// noted already, the wake that was committed with the state does it later.
func (r *Engine) StateWritten(key store.Key) { r.written.Add(key) }

// notifyWritten checks the waits for a state that this process has written, also while Run ends.
func (r *Engine) notifyWritten(key store.Key) {
	if err := r.notifyWaiting(r.storeCtx, key); err != nil && r.storeCtx.Err() == nil {
		r.log.Warn("check the executions that wait for a state: trying again later", "error", err)
	}
}

// notifyDue checks the waits for a state whose wake is due: it was written, or expires. If that fails, or if the store's clock is ahead of
// this one, so that the state may still exist, the lease expires and some replica tries again.
func (r *Engine) notifyDue(ctx context.Context, lease *store.Lease) {
	key, at := state.ParseNotify(lease.Key)
	if r.store.Now().Before(at) {
		return
	}
	err := r.notifyWaiting(ctx, key)
	if err == nil { // the wake is removed even if the checks took so long that the lease has expired
		_, err = r.store.Commit(ctx, store.Batch{Release: lease, Wakes: []store.Wake{{Key: lease.Key}}})
	}
	if err != nil && ctx.Err() == nil {
		r.log.Warn("check the executions that wait for a state: trying again", "error", err)
	}
}

// notifyWaiting checks every execution that waits for the state. An error is the store's; the error of one execution does not keep the
// others from being checked.
func (r *Engine) notifyWaiting(ctx context.Context, key store.Key) error {
	var g errgroup.Group
	g.SetLimit(maxChecks)
	var s *state.Record // as it was before the first check
	var now time.Time
	waiting := store.Query{Kind: journal.KindExecution, Term: journal.TermAwaits(key), Bare: true}
	err := r.store.Each(ctx, waiting, func(rec store.Record) error {
		if s == nil {
			found, err := r.states.Read(ctx, key)
			if err != nil {
				return err
			}
			s, now = &found, r.store.Now()
		}
		g.Go(func() error {
			err := r.checkAwaited(ctx, rec.Key.ID, key)
			switch {
			case err == nil, errors.Is(err, records.ErrUnavailable), errors.Is(err, store.ErrConflict), ctx.Err() != nil:
				return err
			case !errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}): // not found: it was deleted
				r.log.Error("check an execution that waits for a state: it keeps waiting", "execution_id", rec.Key.ID, "error", err)
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
	return r.states.NotifyAtExpiry(ctx, key, s, now)
}
