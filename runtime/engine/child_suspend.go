package engine

import (
	"context"
	"errors"
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/schemas"
)

// Children are suspended with their parent and resumed with it. While the parent is suspending, its owner suspends each child, and the
// process that commits that a child is suspended notifies the parent; when all children are, the parent is suspended too. A crash loses
// nothing of this: the next owner of the parent compares its status with those of its children. The state of a child records whether it is
// suspended on behalf of its parent; a child that a caller has suspended stays suspended when the parent is resumed.

// syncChild suspends or resumes a child as its parent is, until neither of them has changed meanwhile.
func (r *Engine) syncChild(ctx context.Context, parent journal.Head, c child) error {
	for {
		var status schemas.Status
		var mode, reason string
		err := r.Decide(ctx, parent.ExecutionID, func(s *machine.State, _ time.Time) ([]schemas.Event, error) {
			status, mode, reason = "", machine.SuspendDrain, s.Reason
			if waitsForChild(s, c.unit, c.id) && !abandonsChildren(s) && !s.Units[c.unit].ChildSuspended {
				status = s.Status
			}
			if s.Now {
				mode = machine.SuspendNow
			}
			return nil, nil
		})
		if err != nil {
			return err
		}
		var changed bool
		switch status {
		case schemas.StatusSuspending:
			changed, err = r.suspendChild(ctx, parent, c.id, mode, reason)
		case schemas.StatusRunning:
			changed, err = r.resumeChild(ctx, parent, c.id)
		}
		if err != nil || !changed {
			return err
		}
	}
}

// suspendChild suspends a child with its parent. If the child is suspended already, it notifies the parent.
func (r *Engine) suspendChild(ctx context.Context, parent journal.Head, id, mode, reason string) (changed bool, err error) {
	var suspended bool
	err = r.Decide(ctx, id, func(s *machine.State, _ time.Time) ([]schemas.Event, error) {
		why := "its parent " + parent.ExecutionID + " was suspended" + schemas.Because(reason)
		events := suspendEvents(s, mode, why, parent.Principal, parent.ExecutionID)
		changed, suspended = len(events) > 0, s.Status == schemas.StatusSuspended
		return events, nil
	})
	if errors.Is(err, journal.ErrUnread) {
		var h journal.Head
		h, _, err = r.journal.ReadHead(ctx, id)
		suspended = h.Unread
	}
	if err == nil && suspended {
		err = r.Decide(ctx, parent.ExecutionID, childSuspended(id))
	}
	return changed, err
}

// resumeChild resumes a child that was suspended with its parent.
func (r *Engine) resumeChild(ctx context.Context, parent journal.Head, id string) (changed bool, err error) {
	err = r.Decide(ctx, id, func(s *machine.State, _ time.Time) ([]schemas.Event, error) {
		if changed = s.WithParent; !changed {
			return nil, nil
		}
		return []schemas.Event{{Type: schemas.EventResumed, By: parent.Principal, Parent: parent.ExecutionID}}, nil
	})
	if errors.Is(err, journal.ErrUnread) { // a person resumes it
		return false, nil
	}
	return changed, err
}

// childSuspended decides what it means for a parent that its child is suspended: nothing, unless the parent is suspending.
func childSuspended(id string) Decision {
	return func(s *machine.State, _ time.Time) ([]schemas.Event, error) {
		if s.Status != schemas.StatusSuspending {
			return nil, nil
		}
		unit := childUnit(s, id)
		if unit < 0 || s.Units[unit].ChildSuspended {
			return nil, nil
		}
		e := s.Event(schemas.EventNodeSuspended, unit)
		e.Child = id
		return []schemas.Event{e}, nil
	}
}
