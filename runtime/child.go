package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

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

// tend sees to it that a child exists, and takes note if it has ended.
func (o *owner) tend(c child) {
	n := o.x.state.Node(c.unit)
	if c.inputs == nil {
		inputs, err := n.Inputs.Render(scope{ctx: o.r.storeCtx, r: o.r, x: o.x, unit: c.unit}, o.r.limits.Plan)
		if err != nil { // it was rendered before; only the store can be at fault, and the next look will do
			o.r.log.Warn("render the inputs of a workflow", "execution_id", o.x.id, "node", n.ID, "error", err)
			return
		}
		c.inputs = inputs
	}
	o.kids[c.unit] = c.id
	head, unit := o.x.head, c.unit
	o.r.owners.Go(func() {
		ctx := WithHops(WithCaller(o.r.storeCtx, Caller{Principal: head.Principal}), head.Hops)
		h, err := o.r.headFor(ctx, c.id)
		if errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
			err = o.r.spawn(ctx, head, n.Sub, c)
		}
		switch {
		case err != nil:
			o.r.log.Warn("start a workflow: trying again", "execution_id", o.x.id, "node", n.ID, "error", err)
		case h.Status.Terminal():
			if err := o.r.transition(ctx, head.ExecutionID, o.r.childEnded(unit, h)); err != nil && ctx.Err() == nil {
				o.r.log.Warn("take note of a workflow's end: trying again", "execution_id", head.ExecutionID, "node", n.ID, "error", err)
			}
		}
	})
}

// tendAll looks after the children that were there before this owner.
func (o *owner) tendAll() {
	for unit := range o.x.state.Units {
		if u := &o.x.state.Units[unit]; u.Child != "" && u.Status == schemas.NodeRunning && o.kids[unit] == "" {
			o.tend(child{unit: unit, id: u.Child})
		}
	}
}

// spawn creates a child execution; one that exists already is left as it is.
func (r *Runtime) spawn(ctx context.Context, parent head, sub *plan.Program, c child) error {
	d := sub.Definition
	merged, err := merge(d.Plan.Inputs, schemas.Object(c.inputs))
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
	return r.create(ctx, c.id, p, Submit{SessionID: parent.SessionID, parent: parent.ExecutionID})
}

// childEnded decides what the end of a child means for its parent's unit.
func (r *Runtime) childEnded(unit int, h head) decision {
	return func(s *machine.State, now time.Time) ([]schemas.Event, error) {
		u := &s.Units[unit]
		if u.Status != schemas.NodeRunning || u.Child != h.ExecutionID {
			return nil, nil
		}
		if h.Status == schemas.StatusSucceeded {
			e := s.Event(schemas.EventNodeSucceeded, unit)
			e.Attempt, e.Output, e.Degraded = u.Attempts, h.Output, h.Degraded
			if h.OutputRef != nil {
				raw, err := r.output(r.storeCtx, h.ExecutionID, outputNode, nil, h.OutputRef)
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

// tellParent passes the end of a child on.
func (r *Runtime) tellParent(h head) {
	err := r.transition(r.storeCtx, h.ParentID, func(s *machine.State, now time.Time) ([]schemas.Event, error) {
		for i := range s.Units {
			if s.Units[i].Child == h.ExecutionID && s.Units[i].Status == schemas.NodeRunning {
				return r.childEnded(i, h)(s, now)
			}
		}
		return nil, nil
	})
	if err != nil && r.storeCtx.Err() == nil {
		r.log.Warn("tell the parent of a workflow: it will look for itself", "execution_id", h.ExecutionID, "parent_id", h.ParentID, "error", err)
	}
}

// endChildren cancels the children that nobody waits for any more: their unit was given up, or the whole execution is
// over or about to be.
func (o *owner) endChildren() {
	s := o.x.state
	over := s.Status.Terminal() || s.Status == schemas.StatusCancelling || s.Status == schemas.StatusCompensating || s.Failing
	for unit, id := range o.kids {
		u := &s.Units[unit]
		if !over && u.Status == schemas.NodeRunning && u.Child == id {
			continue
		}
		delete(o.kids, unit)
		if u.Status == schemas.NodeSucceeded {
			continue
		}
		ctx := WithCaller(o.r.storeCtx, Caller{Principal: o.x.head.Principal})
		o.r.owners.Go(func() {
			_, err := o.r.Cancel(ctx, id, CancelOptions{Reason: "its parent " + o.x.id + " ended"})
			if err != nil && !errors.Is(err, &schemas.Error{Code: schemas.CodeAlreadyFinished}) && ctx.Err() == nil {
				o.r.log.Warn("cancel a workflow", "execution_id", id, "error", err)
			}
		})
	}
}
