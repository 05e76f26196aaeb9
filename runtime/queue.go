package runtime

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// QueueStatus tells how full the queue is. The numbers count everybody's executions.
func (r *Runtime) QueueStatus(ctx context.Context) (schemas.QueueStatus, error) {
	q, err := r.store.Queue(ctx, journal.KindExecution)
	if err != nil {
		return schemas.QueueStatus{}, records.Error(err)
	}
	pause, _, err := r.readPause(ctx)
	if err != nil {
		return schemas.QueueStatus{}, err
	}
	r.mu.Lock()
	owned := len(r.owned)
	r.mu.Unlock()
	out := schemas.QueueStatus{
		DepthByPriority: map[string]int{}, InFlight: owned, Leased: q.Leased, Sleeping: q.Sleeping,
		Capacity: r.limits.MaxExecutions, MaxQueued: r.limits.MaxQueued, Paused: pause,
	}
	for i, n := range q.Due {
		out.Depth += n
		out.DepthByPriority[strconv.Itoa(i+1)] = n
	}
	if !q.Oldest.IsZero() {
		out.OldestAgeSeconds = max(0, records.Now().Sub(q.Oldest).Seconds())
	}
	return out, nil
}

// SetPriority changes the priority of an unfinished execution and of the executions of its workflow nodes; one that waits in
// the queue has its new place when this returns.
func (r *Runtime) SetPriority(ctx context.Context, id string, priority int) (schemas.Execution, error) {
	if priority < schemas.PriorityFirst || priority > schemas.PriorityLast {
		return schemas.Execution{}, schemas.Errorf(schemas.CodeInvalidArgument, "priority %d is not one of %d (first) to %d (last)",
			priority, schemas.PriorityFirst, schemas.PriorityLast).WithField("priority")
	}
	var children []string
	e, err := r.change(ctx, id, func(s *machine.State, _ time.Time) ([]schemas.Event, error) {
		if s.Status.Terminal() {
			return nil, illegal("change the priority of", id, s.Status)
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
		case errors.Is(childErr, &schemas.Error{Code: schemas.CodeNotFound}): // not made yet; it will have the priority
		case errors.Is(childErr, &schemas.Error{Code: schemas.CodeAlreadyFinished}):
		default:
			err = errors.Join(err, childErr)
		}
	}
	return e, err
}

// PauseQueue keeps every replica from claiming and from starting what is submitted, until ResumeQueue; by names who wants it, empty
// means the caller. What is in memory goes on. A queue that is paused already keeps its time and takes the new reason.
func (r *Runtime) PauseQueue(ctx context.Context, reason, by string) (schemas.QueueStatus, error) {
	if by == "" {
		by = caller.From(ctx).Principal
	}
	for {
		pause, version, err := r.readPause(ctx)
		if err != nil {
			return schemas.QueueStatus{}, err
		}
		next := schemas.QueuePause{By: by, Since: records.Now(), Reason: reason}
		if pause != nil {
			next.Since = pause.Since
		}
		value, err := schemas.Encode(next)
		if err != nil {
			return schemas.QueueStatus{}, err
		}
		_, err = r.store.Commit(ctx, store.Batch{Puts: []store.Put{{Key: pauseKey, Value: value, Version: version}}, Sync: true})
		if errors.Is(err, store.ErrConflict) {
			continue // somebody else paused or resumed it
		}
		if err != nil {
			return schemas.QueueStatus{}, records.Error(err)
		}
		r.pauses.learn(&next)
		r.log.Info("the queue is paused", "by", by, "reason", reason)
		return r.QueueStatus(ctx)
	}
}

// ResumeQueue ends a pause; without one it changes nothing.
func (r *Runtime) ResumeQueue(ctx context.Context) (schemas.QueueStatus, error) {
	if _, err := r.store.Commit(ctx, store.Batch{Deletes: []store.Key{pauseKey}, Sync: true}); err != nil {
		return schemas.QueueStatus{}, records.Error(err)
	}
	r.pauses.learn(nil)
	r.log.Info("the queue is open", "by", caller.From(ctx).Principal)
	return r.QueueStatus(ctx)
}
