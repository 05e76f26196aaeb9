package engine

import (
	"context"
	"errors"
	"time"

	"github.com/runplane/runplane/runtime/machine"
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

// hasCaller tells whether somebody waits for the decision.
func (q *request) hasCaller() bool { return q.done != nil }
