package engine

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/schemas"
)

// Submit is a plan to execute, with what the caller says beside it.
type Submit struct {
	Plan           []byte           // JSON or YAML
	Inputs         schemas.Object   // members that replace those of the plan's inputs
	SessionID      string           // an active session of the caller; empty: none
	Priority       int              // 0: the plan's
	IdempotencyKey string           // empty: the plan's
	Timeout        schemas.Duration // of the whole execution; 0: the plan's
	Retry          *schemas.Retry   // for nodes without a retry of their own; nil: the plan's defaults
	ID             string           // of the execution, if it may be submitted twice; empty: a new one
	RerunOf        string           // execution that this one repeats
	ScheduledAt    *time.Time       // firing of the workflow's schedule that this is
	Workflow       string           // name@version that this is an execution of
	Within         []string         // workflows that the plan is part of

	canonical *schemas.Plan   // a plan in canonical form in place of Plan: what a rerun executes again
	reuse     []schemas.Event // what a rerun takes over: node_reused
	parent    string          // execution whose workflow node this is
	began     time.Time       // of a child: when the root of its tree was created
	budget    *schemas.Budget // of a child: what its parent grants it
	places    int             // of a child: see [schemas.Event]
	calledBy  string          // see [journal.Head]
	paid      bool            // it counts in the budget of calledBy
	session   schemas.Value   // what expressions read of the session; Execute takes it from the session
}

// Execute accepts a plan: when it returns, the execution is durable and will be run, whatever happens to this process. An invalid plan is
// an error of code invalid_plan with the findings; nothing was started then. If the plan has an idempotency key that was used for the same
// plan before, Execute returns the execution of that time.
func (r *Engine) Execute(ctx context.Context, sub Submit) (schemas.Execution, error) {
	if err := caller.CheckHops(ctx); err != nil {
		return schemas.Execution{}, err
	}
	if sub.SessionID != "" {
		s, err := r.sessions.Use(ctx, sub.SessionID)
		if err != nil {
			return schemas.Execution{}, err
		}
		sub.session = schemas.Value(s.Data)
	}
	program, findings, err := r.Compile(ctx, &sub)
	if err != nil {
		return schemas.Execution{}, err
	}
	if program == nil {
		return schemas.Execution{}, InvalidPlan(findings)
	}
	id := cmp.Or(sub.ID, r.newID())
	if key := program.Definition.Plan.IdempotencyKey; key != "" {
		reserved, known, err := r.reserve(ctx, key, id, program)
		if err != nil {
			return schemas.Execution{}, err
		}
		id = reserved
		if known {
			if h, err := r.journal.HeadFor(ctx, id); err == nil {
				return journal.AsEarlier(h.Execution), nil
			} else if !errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
				return schemas.Execution{}, err
			} // not found: the first submission ended between the reservation and the execution, and is completed here
		}
	}
	if err := r.capabilities.Quotas.Execution(ctx, caller.From(ctx).Principal, sub.SessionID); err != nil {
		return schemas.Execution{}, err
	}
	payer, err := r.payer(ctx)
	if err != nil {
		return schemas.Execution{}, err
	}
	sub.calledBy = payer
	if err := r.create(ctx, id, program, sub); err != nil {
		return schemas.Execution{}, err
	}
	h, err := r.journal.HeadFor(ctx, id)
	return h.Execution, err
}
