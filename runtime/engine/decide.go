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
	flight *flight       // the call whose end this is; nil: none
	done   chan struct{} // closed once the decision is committed or refused; nil: nobody waits
}

// launch is a call that the commit just made has started.
type launch struct {
	unit, attempt int
	name          string // of the unit
	target        *plan.Target
	inputs        json.RawMessage
	hash          string         // of the definition that it goes by
	effect        schemas.Effect // of the call, by the plan or by a definition that was accepted later
	key           string         // the same for every attempt at the same effect
	at            time.Time      // of the start
}

// in tells whether the state knows the unit: of a store that lost commits, one that was made anew may have other items.
func (l *launch) in(s *machine.State) bool { return l.unit < len(s.Units) && s.Name(l.unit) == l.name }

// stands tells whether the start is in the log, and the attempt in flight.
func (l *launch) stands(s *machine.State) bool {
	return l.in(s) && s.Attempt(l.unit, l.attempt) && s.Units[l.unit].Since.Equal(l.at)
}

// extent says how far a step goes beyond the decisions it was given.
type extent int

const (
	visit   extent = iota // not the owner: whatever has to be started wakes one
	drain                 // an owner that is about to stop: nothing new starts
	wind                  // an owner that stops: nothing new starts, the lease is released
	fenced                // an owner whose lease may have lapsed: nothing new starts until it is proven again
	proceed               // the owner
)

// step is what one commit made of an execution.
type step struct {
	launches []launch
	released bool // the lease is gone; whoever owned the execution forgets it
	more     bool // there is more to do at once
	setback  bool // the store had lost commits: what is in flight is to be looked at
	at       time.Time
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
				if errors.Is(q.err, errLetGo) {
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
		return r.visit(ctx, x, decide)
	}
}

// visit changes an execution that nobody in this process owns.
func (r *Engine) visit(ctx context.Context, x *execution, decide Decision) error {
	q := &request{decide: decide}
	if _, err := r.step(ctx, x, []*request{q}, visit, store.Batch{}); err != nil {
		return err
	}
	if o := r.owner(x.ID); o != nil { // it began meanwhile, perhaps with what was there before
		o.refresh()
	}
	return q.err
}

// step decides, applies and commits once. base holds what else belongs into the batch of a new execution; that the execution exists
// is then ErrConflict. The error is the store's; what a decision refused stands in its request.
func (r *Engine) step(ctx context.Context, x *execution, requests []*request, how extent, base store.Batch) (step, error) {
	for range records.MaxConflicts {
		if x.State == nil {
			if err := r.reload(ctx, x); err != nil {
				return step{}, err
			}
		}
		t := &turn{r: r, x: x, ctx: ctx, how: how, now: records.Now(), batch: base}
		t.batch.Puts, t.batch.Sync = slices.Clip(base.Puts), base.Sync || x.unconfirmed
		var absent []launch
		for _, l := range x.doubtful {
			if l.stands(x.State) {
				t.step.launches = append(t.step.launches, l)
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
			return step{}, t.err
		}
		err := t.commit() //nolint:contextcheck // cancels of children outlive the commit
		if err == nil && !t.committed && how != visit && slices.ContainsFunc(requests, (*request).asked) {
			err = r.current(ctx, x) // nothing was to be done, or everything refused, by a state that may be stale
		}
		switch {
		case err == nil:
			x.doubtful = absent
			if t.committed {
				x.doubtful, x.changed, x.unconfirmed = nil, false, false
				t.step.setback, x.setback = x.setback != nil, nil
			}
			t.step.launches = slices.DeleteFunc(t.step.launches, func(l launch) bool { return !l.stands(x.State) })
			t.step.at = t.now
			return t.step, nil
		case !errors.Is(err, store.ErrConflict): // it may have happened, now or later
			x.State, x.changed, x.unconfirmed = nil, true, x.unconfirmed || t.batch.Sync
			x.doubtful = slices.Concat(absent, t.step.launches)
			return step{}, records.Error(err)
		case len(base.Puts) > 0:
			return step{}, err
		}
		x.State, x.changed = nil, true // what was applied is not in the log
	}
	return step{}, schemas.Errorf(schemas.CodeConflict, "execution %q changes too fast to be changed from here", x.ID).WithHint("try again").With(func(e *schemas.Error) { e.Retryable = true })
}

// asked tells whether somebody waits for the decision.
func (q *request) asked() bool { return q.done != nil }

// current is ErrConflict if somebody has changed the execution since its state was read.
func (r *Engine) current(ctx context.Context, x *execution) error {
	_, version, err := r.journal.ReadHead(ctx, x.ID)
	if err == nil && version != x.Version {
		err = store.ErrConflict
	}
	return err
}
