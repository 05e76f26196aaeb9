package engine

import (
	"context"
	"errors"
	"time"

	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Decision looks at a state and returns the events that follow from what has happened. It has no effects of its own, because it may be
// called again with a newer state. An error goes to the caller of [Engine.Decide] and changes nothing.
type Decision func(s *machine.State, now time.Time) ([]schemas.Event, error)

// request is a decision on its way to the owner of an execution.
type request struct {
	decide Decision
	err    error
	call   *inFlight     // the call that has ended; nil: none
	done   chan struct{} // closed once the decision is committed or refused; nil: no caller waits for it
}

// Decide has a decision made about an execution. Whatever changes one from outside its owner comes through here. If this process owns the
// execution, its owner takes the decision into its next commit; otherwise Decide commits it. It returns when the decision is durable. If
// ctx ends before, the decision may still be committed.
func (r *Engine) Decide(ctx context.Context, id string, decide Decision) error {
	for {
		if o := r.owner(id); o != nil {
			q := &request{decide: decide, done: make(chan struct{})}
			if !o.submit(q) {
				continue // it has just released the execution
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

// decideAsGuest changes an execution that this process does not own.
func (r *Engine) decideAsGuest(ctx context.Context, x *execution, decide Decision) error {
	q := &request{decide: decide}
	if _, err := r.step(ctx, x, []*request{q}, guest, store.Batch{}); err != nil {
		return err
	}
	if o := r.owner(x.ID); o != nil { // adopted meanwhile, perhaps with the state before this change
		o.markStale()
	}
	return q.err
}
