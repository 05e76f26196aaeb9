package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// mode says how far a step goes beyond the decisions it was given.
type mode int

const (
	guest     mode = iota // not the owner: whatever has to be started wakes one
	draining              // an owner that is about to stop: nothing new starts
	releasing             // an owner that stops: nothing new starts, the lease is released
	fenced                // an owner whose lease may have lapsed: nothing new starts until it is proven again
	running               // the owner
)

// step is what one commit made of an execution.
type stepResult struct {
	calls    []pendingCall
	released bool // the lease is gone; whoever owned the execution forgets it
	more     bool // there is more to do at once
	takeOver bool // calls in flight that no owner makes are to be decided on, as after a claim
	at       time.Time
}

// step decides, applies and commits once. base holds what else belongs into the batch of a new execution; that the execution exists
// is then ErrConflict. The error is the store's; what a decision refused stands in its request.
func (r *Engine) step(ctx context.Context, x *execution, requests []*request, m mode, base store.Batch) (stepResult, error) {
	for range records.MaxConflicts {
		if x.State == nil {
			if err := r.reload(ctx, x); err != nil {
				return stepResult{}, err
			}
		}
		t := &turn{r: r, x: x, ctx: ctx, mode: m, now: records.Now(), batch: base}
		t.batch.Puts, t.batch.Sync = slices.Clip(base.Puts), base.Sync || x.unconfirmed
		var absent []pendingCall
		for _, l := range x.uncertain {
			if l.isStarted(x.State) {
				t.result.calls = append(t.result.calls, l)
			} else {
				absent = append(absent, l)
			}
		}
		for _, c := range x.companions {
			c.begin(t)
		}
		for _, q := range requests {
			q.err = t.decide(q.decide)
		}
		t.advance()
		if t.err != nil {
			x.State = nil
			return stepResult{}, t.err
		}
		err := t.commit() //nolint:contextcheck // cancels of children outlive the commit
		if err == nil && !t.committed && m != guest && slices.ContainsFunc(requests, (*request).hasCaller) {
			err = r.checkCurrent(ctx, x) // nothing was to be done, or everything refused, by a state that may be stale
		}
		switch {
		case err == nil:
			x.uncertain = absent
			if t.committed {
				x.uncertain, x.changed, x.unconfirmed = nil, false, false

			}
			t.result.calls = slices.DeleteFunc(t.result.calls, func(l pendingCall) bool { return !l.isStarted(x.State) })
			t.result.at = t.now
			return t.result, nil
		case !errors.Is(err, store.ErrConflict): // it may have happened, now or later
			x.State, x.changed, x.unconfirmed = nil, true, x.unconfirmed || t.batch.Sync
			x.uncertain = slices.Concat(absent, t.result.calls)
			return stepResult{}, records.Error(err)
		case len(base.Puts) > 0:
			return stepResult{}, err
		}
		x.State, x.changed = nil, true // what was applied is not in the log
	}
	return stepResult{}, schemas.Errorf(schemas.CodeConflict, "execution %q changes too fast to be changed from here", x.ID).WithHint("try again").With(func(e *schemas.Error) { e.Retryable = true })
}

// checkCurrent is ErrConflict if somebody has changed the execution since its state was read.
func (r *Engine) checkCurrent(ctx context.Context, x *execution) error {
	_, version, err := r.journal.ReadHead(ctx, x.ID)
	if err == nil && version != x.Version {
		err = store.ErrConflict
	}
	return err
}
