package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// child is the execution of a workflow node of another execution, its parent. This file creates one child, passes its end to the parent,
// and cancels it; family.go decides when.
//
// The parent's start event names the child before it exists, so that any owner of the parent can create it, exactly once, also after a
// crash. The process that commits the child's end notifies the parent. In case it could not, a parent also checks its children now and
// then.
type child struct {
	unit   int
	id     string
	budget *schemas.Budget // what it is granted
	places int
	inputs json.RawMessage // nil: to be rendered again
}

// waitsForChild reports whether the unit waits for the child.
func waitsForChild(s *machine.State, unit int, id string) bool {
	return s.Units[unit].Status == schemas.NodeRunning && s.Units[unit].Child == id
}

// abandonsChildren reports whether the execution is about to end without the results of the children that it still waits for.
func abandonsChildren(s *machine.State) bool {
	return s.Status == schemas.StatusCancelling || s.Failing
}

// childrenAtOnce limits the children that are read, created or changed for their parents at once: each is held in several forms meanwhile.
const childrenAtOnce = 32

// childPlace waits until fewer than childrenAtOnce children are looked at. While Run ends there is no limit: what follows a change of one
// child is then done by the goroutine that changed it, which has a place already.
func (r *Engine) childPlace(ctx context.Context) (release func(), err error) {
	r.mu.Lock()
	stopping := r.stopping
	r.mu.Unlock()
	if stopping {
		return func() {}, nil
	}
	if err := r.children.Acquire(ctx, 1); err != nil {
		return nil, context.Cause(ctx)
	}
	return sync.OnceFunc(func() { r.children.Release(1) }), nil
}

// childWork is what is done for children by their parents: one thing at a time for each, and only the last of those that were asked for
// meanwhile follows. A parent that is released while its children end and claimed again for each of them asks for the same many times.
type childWork struct {
	mu   sync.Mutex
	next map[string]func() // by child for which something is being done; nil: nothing follows
}

// forChild does something for a child in a goroutine of its own, which owners waits for.
func (r *Engine) forChild(id string, work func()) {
	w := &r.childWork
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, busy := w.next[id]; busy {
		w.next[id] = work
		return
	}
	w.next[id] = nil
	r.owners.Go(func() {
		for work != nil {
			work()
			w.mu.Lock()
			if work, w.next[id] = w.next[id], nil; work == nil {
				delete(w.next, id)
			}
			w.mu.Unlock()
		}
	})
}

// createChild creates a child. If it exists already it stays as it is. If the inputs are not known any more, they are rendered before.
// wanted is false if the child is not to be created.
func (r *Engine) createChild(
	ctx context.Context, parent journal.Head, n *plan.Node, c child, session schemas.Value,
) (wanted bool, err error) {
	if c.inputs == nil {
		if wanted, err = r.renderChild(ctx, parent.ExecutionID, &c); !wanted || err != nil {
			return false, err
		}
	}
	d := n.Sub.Definition
	merged, err := schemas.ReplaceMembers(d.Plan.Inputs, schemas.Object(c.inputs))
	if err != nil {
		return true, err
	}
	d.Plan.Inputs = merged
	d.Plan.Priority = parent.Priority
	d.Plan.IdempotencyKey = ""
	if d.Plan.MaxParallel == 0 {
		d.Plan.MaxParallel = r.limits.MaxParallel
	}
	p, err := plan.Load(d)
	if err != nil {
		return true, fmt.Errorf("load the plan of a workflow: %w", err)
	}
	return true, r.create(ctx, c.id, p, Submit{
		SessionID: parent.SessionID, Workflow: n.Version, parent: parent.ExecutionID, session: session, began: parent.Began(), budget: c.budget, places: c.places,
	})
}

// recheckChild follows the creation of a child: meanwhile the parent may have abandoned it, which makes it unwanted, or may have been suspended.
func (r *Engine) recheckChild(ctx context.Context, parent journal.Head, c child) (unwanted, undo bool, err error) {
	var suspending bool
	err = r.Decide(ctx, parent.ExecutionID, func(s *machine.State, _ time.Time) ([]schemas.Event, error) {
		unwanted = !waitsForChild(s, c.unit, c.id) || abandonsChildren(s)
		undo, suspending = s.Undo, s.Status == schemas.StatusSuspending
		return nil, nil
	})
	switch {
	case errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}): // the parent ended, and was deleted
		return true, undo, nil
	case err == nil && !unwanted && suspending:
		err = r.syncChild(ctx, parent, c)
	}
	return unwanted && err == nil, undo, err
}

// notifyParent passes to the parent that the child has ended or is suspended.
func (r *Engine) notifyParent(ctx context.Context, h journal.Head) {
	decide := childSuspended(h.ExecutionID)
	if h.Status.Terminal() {
		decide = func(s *machine.State, now time.Time) ([]schemas.Event, error) {
			if unit := childUnit(s, h.ExecutionID); unit >= 0 {
				return r.childEnded(unit, h)(s, now)
			}
			return nil, nil
		}
	}
	release, err := r.childPlace(ctx)
	if err != nil {
		return
	}
	err = r.Decide(ctx, h.ParentID, decide)
	release()
	if errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) { // the parent ended, and was deleted
		return
	}
	if err != nil && ctx.Err() == nil {
		r.log.Warn("notify the parent of a workflow: the parent checks its workflows later",
			"execution_id", h.ExecutionID, "parent_id", h.ParentID, "error", err)
	}
}

// childUnit returns the unit that waits for the child; -1: none does.
func childUnit(s *machine.State, id string) int {
	for i := range s.Units {
		if waitsForChild(s, i, id) {
			return i
		}
	}
	return -1
}

// childEnded decides what the end of a child means for the unit of its parent.
func (r *Engine) childEnded(unit int, h journal.Head) Decision {
	return func(s *machine.State, now time.Time) ([]schemas.Event, error) {
		if !waitsForChild(s, unit, h.ExecutionID) {
			return nil, nil
		}
		if h.Status == schemas.StatusSucceeded {
			e := s.Succeeded(unit)
			e.Attempt, e.Output, e.Degraded, e.Budget = s.Units[unit].Attempts, h.Output, h.Degraded, h.Used
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
			e.Budget = h.Used
			return []schemas.Event{*e}, nil
		}
		return nil, nil
	}
}

// cancelChild ends a child that its parent has abandoned. With undo its effects are compensated, as those of the parent are.
func (r *Engine) cancelChild(ctx context.Context, parent journal.Head, id string, undo bool) {
	ctx = caller.With(ctx, caller.Caller{Principal: parent.Principal})
	err := whileUnavailable(ctx, func() error {
		release, err := r.childPlace(ctx)
		if err != nil {
			return err
		}
		defer release()
		if h, err := r.journal.HeadFor(ctx, id); err == nil && h.Status.Terminal() {
			return nil
		}
		_, err = r.Cancel(ctx, id, CancelOptions{Reason: "its parent " + parent.ExecutionID + " no longer needs it", Compensate: undo})
		return err
	})
	switch {
	case err == nil, ctx.Err() != nil, errors.Is(err, &schemas.Error{Code: schemas.CodeAlreadyFinished}):
	case errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}): // if it is still being created, recheckChild follows
	default:
		r.log.Warn("cancel a workflow that its parent no longer needs: it continues", "execution_id", id, "error", err)
	}
}
