package engine

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/schemas"
)

// A plan may call this runtime through one of its realms, and so may the plan that this executes: each is an execution without a parent. A
// request that another runtime passes on looks the same, but the execution whose call it is does not exist here. If it does, and is the
// caller's, the new execution counts in the budget of the tree from which the calls come, and has a place apart: the executions that wait for
// it hold places until it ends, and must not keep it from running.

// maxAncestors bounds how far the root of a tree is searched.
const maxAncestors = 1000

// payer returns the execution in whose budget a new one counts, because it is made by a call of its tree; empty: there is none.
func (r *Engine) payer(ctx context.Context) (found string, err error) {
	id := caller.Origin(ctx)
	if id == "" || caller.Hops(ctx) == 0 {
		return "", nil
	}
	for range maxAncestors {
		h, err := r.journal.HeadFor(ctx, id)
		switch {
		case errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}):
			return found, nil
		case err != nil:
			return "", err
		case h.ParentID != "":
			id = h.ParentID
			continue
		case h.Status.Terminal():
			return found, nil // those that it has called since count in theirs
		}
		if found, id = h.ExecutionID, h.CalledBy; id == "" {
			return found, nil
		}
	}
	return found, nil
}

// pay counts a new execution in the budget of the one by whose call it is made, if there is one.
func (r *Engine) pay(ctx context.Context, sub *Submit, id string) error {
	payer := sub.calledBy
	if payer == "" || sub.paid {
		return nil
	}
	err := r.Decide(ctx, payer, func(s *machine.State, _ time.Time) ([]schemas.Event, error) {
		if !machine.Legal(schemas.EventCalled, s.Status, "") {
			return nil, NotAllowed("make an execution for", payer, s.Status)
		}
		if lacks := s.Account().Lacks(schemas.Budget{Executions: 1}); lacks != nil {
			return nil, lacks
		}
		return []schemas.Event{{Type: schemas.EventCalled, Child: id, By: caller.From(ctx).Principal}}, nil
	})
	if err == nil {
		sub.paid = true
		return nil
	}
	return schemas.AsError(err).WithOutcome(schemas.NotRun)
}

// apart are the places of executions that are made by calls of others, by how many runtimes, this one each time, passed the request on. An
// execution waits only for those that were passed on further, so there are always some that can end.
type apart [caller.MaxHops]*semaphore.Weighted

func newApart(executions int) (a apart) {
	for i := range a {
		a[i] = semaphore.NewWeighted(int64(max(executions/2/len(a), 1)))
	}
	return a
}

// apartWait is how long a request waits for such a place.
const apartWait = 20 * time.Second

// takeApart takes a place for a new execution, as soon as one is free.
func (r *Engine) takeApart(ctx context.Context, x *execution) error {
	places := r.apart[min(max(x.Head.Hops, 1), caller.MaxHops)-1]
	waiting, cancel := context.WithTimeout(ctx, apartWait)
	defer cancel()
	if places.Acquire(waiting, 1) == nil {
		x.apart = places
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return schemas.Errorf(schemas.CodeRateLimited, "for %s there was no place for an execution that a plan makes by calling its own runtime: "+
		"others of its kind have them (%d for each level of calls, by limits.max_executions)", apartWait, max(r.limits.MaxExecutions/2/caller.MaxHops, 1)).
		WithRetryAfter(2 * time.Second).WithOutcome(schemas.NotRun).
		WithHint("nothing was started; a workflow node runs a plan within a plan and holds no place while it waits")
}

// endPlace gives back the place of an execution that leaves memory.
func (r *Engine) endPlace(x *execution) {
	if x.apart != nil {
		x.apart.Release(1)
	} else {
		r.slots.Release(1)
	}
}
