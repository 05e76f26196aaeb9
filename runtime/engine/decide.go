package engine

import (
	"context"
	"errors"
	"time"

	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/schemas"
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
		if err := r.decideTogether(ctx, id, decide); !errors.Is(err, errReleased) {
			return err
		}
	}
}
