package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// Submit is a plan to execute, with what the caller says beside it.
type Submit struct {
	Plan           []byte           // JSON or YAML
	Inputs         schemas.Object   // members that replace those of the plan's inputs
	SessionID      string           // a living session of the caller; empty: none
	Priority       int              // 0: the plan's
	IdempotencyKey string           // empty: the plan's
	Timeout        schemas.Duration // of the whole execution; 0: the plan's
	Retry          *schemas.Retry   // for nodes without a retry of their own; nil: the plan's defaults
	RerunOf        string           // the execution that this one repeats
	reuse          []schemas.Event  // what a rerun takes over: node_reused
	ID             string           // of the execution, where whoever submits may do so twice; empty: a new one
	ScheduledAt    *time.Time       // firing of the workflow's schedule that this is
	parent         string           // execution whose workflow node this is
	canonical      *schemas.Plan    // a plan in canonical form in place of Plan: what a rerun executes again
	Workflow       string           // name@version that this is an execution of
	Within         []string         // workflows that the plan is part of
	session        schemas.Value    // what expressions read of the session; Execute takes it from the session
}

// Validate compiles a plan against the live tools and starts nothing. Findings are the answer; an error means that the
// plan could not be looked at.
func (r *Engine) Validate(ctx context.Context, source []byte) (schemas.Validation, error) {
	p, findings, err := r.Compile(ctx, &Submit{Plan: source})
	if err != nil {
		return schemas.Validation{}, err
	}
	v := schemas.Validation{Valid: p != nil, Findings: findings}
	if findings == nil {
		v.Findings = []schemas.Finding{}
	}
	if p != nil {
		v.Explain = new(p.Explain())
	}
	return v, nil
}

// Compile makes a program of what was submitted, or nil and the findings that refuse it. An error means that the plan could
// not be looked at.
func (r *Engine) Compile(ctx context.Context, sub *Submit) (*plan.Program, []schemas.Finding, error) {
	parsed, findings := sub.canonical, []schemas.Finding(nil)
	if parsed == nil {
		parsed, findings = plan.Parse(sub.Plan, r.limits.Plan)
	}
	if parsed == nil {
		return nil, findings, nil
	}
	named, err := r.library.Resolve(ctx, parsed, sub.Within)
	if err != nil {
		return nil, nil, err
	}
	findings = append(findings, named...)
	refused := slices.ContainsFunc(findings, isError) // the rest is looked at all the same: all findings at once
	if len(sub.Inputs) > 0 {
		merged, err := schemas.ReplaceMembers(parsed.Inputs, sub.Inputs)
		if err != nil {
			return nil, append(findings, schemas.Finding{Severity: schemas.SeverityError, Code: "invalid_inputs", Path: "/inputs", Message: err.Error()}), nil //nolint:nilerr // the finding tells it
		}
		parsed.Inputs = merged
	}
	if sub.Priority != 0 {
		parsed.Priority = sub.Priority
	}
	if parsed.Priority == 0 {
		parsed.Priority = schemas.PriorityDefault
	}
	if parsed.MaxParallel == 0 || parsed.MaxParallel > r.limits.MaxParallel {
		parsed.MaxParallel = r.limits.MaxParallel
	}
	if sub.IdempotencyKey != "" {
		parsed.IdempotencyKey = sub.IdempotencyKey
	}
	if sub.Timeout > 0 {
		parsed.Timeout = sub.Timeout
	}
	if sub.Retry != nil {
		if parsed.Defaults == nil {
			parsed.Defaults = &schemas.Defaults{}
		}
		parsed.Defaults.Retry = sub.Retry.Or(parsed.Defaults.Retry)
	}
	program, more := plan.Compile(parsed, r.capabilities.Realms.Catalog(ctx, r.capabilities.WithFallbacks(plan.Realms(parsed))), r.limits.Plan)
	if refused {
		program = nil
	}
	return program, append(findings, slices.DeleteFunc(more, func(f schemas.Finding) bool { return inPlaceOf(named, f) })...), nil
}

func isError(f schemas.Finding) bool { return f.Severity == schemas.SeverityError }

// Execute accepts a plan: when it returns, the execution is durable and will be run, whatever happens to this process.
// An invalid plan is an error of code invalid_plan that carries the findings; nothing was started then.
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
				return h.Execution, nil
			} else if !errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
				return schemas.Execution{}, err
			} // else the first submitter died between the reservation and the execution: finish his work
		}
	}
	if err := r.capabilities.Quotas.Execution(ctx, caller.From(ctx).Principal, sub.SessionID); err != nil {
		return schemas.Execution{}, err
	}
	if err := r.create(ctx, id, program, sub); err != nil {
		return schemas.Execution{}, err
	}
	h, err := r.journal.HeadFor(ctx, id)
	return h.Execution, err
}

func InvalidPlan(findings []schemas.Finding) *schemas.Error {
	var first string
	n := 0
	for _, f := range findings {
		if isError(f) {
			if n++; n == 1 {
				first = strings.TrimPrefix(f.Path+": "+f.Message, ": ")
			}
		}
	}
	if n > 1 {
		first = fmt.Sprintf("%s (and %d more)", first, n-1)
	}
	return schemas.Errorf(schemas.CodeInvalidPlan, "%s", first).With(func(e *schemas.Error) { e.Findings = findings })
}

// inPlaceOf tells whether a finding is about what stands in the place of a workflow that was refused: of the plan it says nothing.
func inPlaceOf(refused []schemas.Finding, f schemas.Finding) bool {
	return slices.ContainsFunc(refused, func(w schemas.Finding) bool {
		return strings.HasPrefix(f.Path, strings.TrimSuffix(w.Path, "/name")+"/definition/")
	})
}
