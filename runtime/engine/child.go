package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// child is the execution that runs a workflow unit of another one, its parent. The parent's start event names it before
// it exists, so whoever owns the parent can create it, once, also after a crash. Its end is told to the parent by
// whoever commits it; a parent that has children also looks for itself now and then, in case nobody did.
type child struct {
	unit   int
	id     string
	inputs json.RawMessage // nil: to be rendered anew
}

// childPoll is how often a parent looks after its children.
const childPoll = 30 * time.Second

func noEvents(*machine.State, time.Time) ([]schemas.Event, error) { return nil, nil }

// recheckChild looks after a child that was made behind its parent's back: while it was, the parent gave it up, or was suspended.
func (r *Engine) recheckChild(ctx context.Context, parent journal.Head, c child) error {
	var wanted, undo, suspending bool
	err := r.Decide(ctx, parent.ExecutionID, func(s *machine.State, _ time.Time) ([]schemas.Event, error) {
		wanted, undo, suspending = waitsForChild(s, c.unit, c.id) && !abandonsChildren(s), s.Undo, s.Status == schemas.StatusSuspending
		return nil, nil
	})
	if errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) { // it ended so long ago that it was deleted
		err, wanted = nil, false
	}
	switch {
	case err != nil:
		return err
	case !wanted:
		r.cancelChild(parent, c.id, undo) //nolint:contextcheck // the cancel outlives what noticed that it is due
	case suspending:
		return r.syncChild(ctx, parent, c)
	}
	return nil
}

// waitsForChild tells whether the unit waits for the child.
func waitsForChild(s *machine.State, unit int, id string) bool {
	return s.Units[unit].Status == schemas.NodeRunning && s.Units[unit].Child == id
}

// abandonsChildren tells whether the execution has no use for the children that it still waits for.
func abandonsChildren(s *machine.State) bool {
	return s.Status == schemas.StatusCancelling || s.Failing
}

// createChild creates a child execution; one that exists already is left as it is.
func (r *Engine) createChild(ctx context.Context, parent journal.Head, sub *plan.Program, c child, session schemas.Value) error {
	d := sub.Definition
	merged, err := schemas.ReplaceMembers(d.Plan.Inputs, schemas.Object(c.inputs))
	if err != nil {
		return err
	}
	d.Plan.Inputs = merged
	d.Plan.Priority = parent.Priority
	d.Plan.IdempotencyKey = ""
	if d.Plan.MaxParallel == 0 {
		d.Plan.MaxParallel = r.limits.MaxParallel
	}
	p, err := plan.Load(d)
	if err != nil {
		return fmt.Errorf("load the plan of a workflow: %w", err)
	}
	return r.create(ctx, c.id, p, Submit{SessionID: parent.SessionID, parent: parent.ExecutionID, session: session})
}

// childEnded decides what the end of a child means for its parent's unit.
func (r *Engine) childEnded(unit int, h journal.Head) Decision {
	return func(s *machine.State, now time.Time) ([]schemas.Event, error) {
		u := &s.Units[unit]
		if u.Status != schemas.NodeRunning || u.Child != h.ExecutionID {
			return nil, nil
		}
		if h.Status == schemas.StatusSucceeded {
			e := s.Event(schemas.EventNodeSucceeded, unit)
			e.Attempt, e.Output, e.Degraded = u.Attempts, h.Output, h.Degraded
			if h.OutputRef != nil {
				raw, err := r.journal.Output(r.storeCtx, h.ExecutionID, journal.OutputNode, nil, h.OutputRef)
				if err != nil {
					return nil, err
				}
				e.Output = raw
			}
			return []schemas.Event{e}, nil
		}
		cause := schemas.Errorf(schemas.CodeToolError, "execution %s ended as %s", h.ExecutionID, h.Status)
		if h.Error != nil {
			cause = h.Error.With(func(c *schemas.Error) { c.Message = "workflow: " + c.Message })
		}
		if e := s.ChildFailed(unit, h.ExecutionID, cause, now, r.random); e != nil {
			return []schemas.Event{*e}, nil
		}
		return nil, nil
	}
}

// childUnit is the unit that waits for the child; -1: none does.
func childUnit(s *machine.State, id string) int {
	for i := range s.Units {
		if waitsForChild(s, i, id) {
			return i
		}
	}
	return -1
}

// notifyParent passes on that a child ended, or came to rest.
func (r *Engine) notifyParent(h journal.Head) {
	tell := childSuspended(h.ExecutionID)
	if h.Status.Terminal() {
		tell = func(s *machine.State, now time.Time) ([]schemas.Event, error) {
			if unit := childUnit(s, h.ExecutionID); unit >= 0 {
				return r.childEnded(unit, h)(s, now)
			}
			return nil, nil
		}
	}
	err := r.Decide(r.storeCtx, h.ParentID, tell)
	if errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) { // it ended, and was deleted
		return
	}
	if err != nil && r.storeCtx.Err() == nil {
		r.log.Warn("tell the parent of a workflow: it will look for itself", "execution_id", h.ExecutionID, "parent_id", h.ParentID, "error", err)
	}
}

// cancelChild ends a child of which its parent wants nothing any more; what it did is undone where the parent undoes what
// itself did.
func (r *Engine) cancelChild(parent journal.Head, id string, undo bool) {
	ctx := caller.With(r.storeCtx, caller.Caller{Principal: parent.Principal})
	h, err := r.journal.HeadFor(ctx, id)
	if err == nil && h.Status.Terminal() {
		return
	}
	_, err = r.Cancel(ctx, id, CancelOptions{Reason: "its parent " + parent.ExecutionID + " gave it up", Compensate: undo})
	switch {
	case err == nil, ctx.Err() != nil, errors.Is(err, &schemas.Error{Code: schemas.CodeAlreadyFinished}):
	case errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}): // whoever makes it looks whether it is wanted
	default:
		r.log.Warn("cancel a workflow", "execution_id", id, "error", err)
	}
}
