package engine

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Decision looks at a state and says which events follow from what has happened. It may be asked again with a
// newer state, so it has no effects of its own. An error goes to whoever asked and changes nothing.
type Decision func(s *machine.State, now time.Time) ([]schemas.Event, error)

// request is a decision on its way to the owner of an execution.
type request struct {
	decide Decision
	err    error
	call   *inFlight     // the call whose end this is; nil: none
	done   chan struct{} // closed once the decision is committed or refused; nil: nobody waits
}

// launch is a call that the commit just made has started.
type pendingCall struct {
	unit, attempt int
	name          string // of the unit
	target        *plan.Target
	inputs        json.RawMessage
	hash          string         // of the definition that it goes by
	effect        schemas.Effect // of the call, by the plan or by a definition that was accepted later
	key           string         // the same for every attempt at the same effect
	at            time.Time      // of the start
}

// exists tells whether the state knows the unit: of a store that lost commits, one that was made anew may have other items.
func (l *pendingCall) exists(s *machine.State) bool {
	return l.unit < len(s.Units) && s.Name(l.unit) == l.name
}

// isStarted tells whether the start is in the log, and the attempt in flight.
func (l *pendingCall) isStarted(s *machine.State) bool {
	return l.exists(s) && s.Attempt(l.unit, l.attempt) && s.Units[l.unit].Since.Equal(l.at)
}

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
	calls      []pendingCall
	released   bool // the lease is gone; whoever owned the execution forgets it
	more       bool // there is more to do at once
	rolledBack bool // the store had lost commits: what is in flight is to be looked at
	at         time.Time
}

// Decide is the one door through which an execution changes. Where this process owns the execution, the owner
// takes the decision into its next commit; else it is committed from here. It returns when the decision is durable.
func (r *Engine) Decide(ctx context.Context, id string, decide Decision) error {
	for {
		if o := r.owner(id); o != nil {
			q := &request{decide: decide, done: make(chan struct{})}
			if !o.submit(q) {
				continue // it has just let go
			}
			select {
			case <-q.done:
				if errors.Is(q.err, errReleased) {
					continue
				}
				return q.err
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		x, err := r.open(ctx, id)
		if err != nil {
			return err
		}
		return r.decideAsGuest(ctx, x, decide)
	}
}

// decideAsGuest changes an execution that nobody in this process owns.
func (r *Engine) decideAsGuest(ctx context.Context, x *execution, decide Decision) error {
	q := &request{decide: decide}
	if _, err := r.step(ctx, x, []*request{q}, guest, store.Batch{}); err != nil {
		return err
	}
	if o := r.owner(x.ID); o != nil { // it began meanwhile, perhaps with what was there before
		o.markStale()
	}
	return q.err
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
				t.result.rolledBack, x.rollback = x.rollback != nil, nil
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

// hasCaller tells whether somebody waits for the decision.
func (q *request) hasCaller() bool { return q.done != nil }

// checkCurrent is ErrConflict if somebody has changed the execution since its state was read.
func (r *Engine) checkCurrent(ctx context.Context, x *execution) error {
	_, version, err := r.journal.ReadHead(ctx, x.ID)
	if err == nil && version != x.Version {
		err = store.ErrConflict
	}
	return err
}
