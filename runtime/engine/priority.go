package engine

import (
	"context"
	"errors"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/schemas"
)

// SetPriority changes the priority of an unfinished execution and of the executions of its workflow nodes. When it returns, those that wait
// in the queue have their new places.
func (r *Engine) SetPriority(ctx context.Context, id string, priority int) (schemas.Execution, error) {
	if priority < schemas.PriorityFirst || priority > schemas.PriorityLast {
		return schemas.Execution{}, schemas.Errorf(schemas.CodeInvalidArgument, "priority %d is not one of %d (first) to %d (last)",
			priority, schemas.PriorityFirst, schemas.PriorityLast).WithField("priority")
	}
	var children []string
	e, err := r.DecideFor(ctx, id, func(s *machine.State, _ time.Time) ([]schemas.Event, error) {
		if s.Status.Terminal() {
			return nil, NotAllowed("change the priority of", id, s.Status)
		}
		children = s.ChildIDs()
		if s.Priority == priority {
			return nil, nil
		}
		return []schemas.Event{{Type: schemas.EventPriority, Priority: priority, By: caller.From(ctx).Principal}}, nil
	})
	if err != nil {
		return e, err
	}
	for _, child := range children {
		_, childErr := r.SetPriority(ctx, child, priority)
		switch {
		case errors.Is(childErr, &schemas.Error{Code: schemas.CodeNotFound}): // not created yet: it will have the priority
		case errors.Is(childErr, &schemas.Error{Code: schemas.CodeAlreadyFinished}):
		default:
			err = errors.Join(err, childErr)
		}
	}
	return e, err
}
