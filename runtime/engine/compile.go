package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// Validate compiles a plan against the live tools and starts nothing. An invalid plan is not an error: the result has its findings. An error
// means that the plan could not be checked.
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

// Compile makes a program of what was submitted. If the findings refuse the plan, the program is nil. An error means that the plan could
// not be checked.
func (r *Engine) Compile(ctx context.Context, sub *Submit) (*plan.Program, []schemas.Finding, error) {
	parsed, findings := sub.canonical, []schemas.Finding(nil)
	if parsed == nil {
		parsed, findings = plan.Parse(ctx, sub.Plan, r.limits.Plan)
	}
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	if parsed == nil {
		return nil, plan.Brief(findings), nil
	}
	named, err := r.library.Resolve(ctx, parsed, sub.Within)
	if err != nil {
		return nil, nil, err
	}
	plan.Locate(parsed, named)
	findings = append(findings, named...)
	refused := slices.ContainsFunc(findings, isError) // the plan is compiled nevertheless, to report all findings at once
	if problem := r.applySubmit(parsed, sub); problem != nil {
		return nil, plan.Brief(append(findings, *problem)), nil
	}
	program, more := plan.Compile(ctx, parsed, r.capabilities.Realms.Catalog(ctx, r.capabilities.WithFallbacks(plan.Realms(parsed))), r.limits.Plan)
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	if refused {
		program = nil
	}
	findings = append(findings, slices.DeleteFunc(more, func(f schemas.Finding) bool { return inPlaceOf(named, f) })...)
	return program, plan.Brief(findings), nil
}

// applySubmit sets in the plan what the caller has said beside it, and the defaults. A finding refuses the inputs.
func (r *Engine) applySubmit(p *schemas.Plan, sub *Submit) *schemas.Finding {
	if len(sub.Inputs) > 0 {
		merged, err := schemas.ReplaceMembers(p.Inputs, sub.Inputs)
		if err != nil {
			return &schemas.Finding{Severity: schemas.SeverityError, Code: "invalid_inputs", Path: "/inputs", Message: err.Error()}
		}
		p.Inputs = merged
	}
	if sub.Priority != 0 {
		p.Priority = sub.Priority
	}
	if p.Priority == 0 {
		p.Priority = schemas.PriorityDefault
	}
	if p.MaxParallel == 0 || p.MaxParallel > r.limits.MaxParallel {
		p.MaxParallel = r.limits.MaxParallel
	}
	if sub.IdempotencyKey != "" {
		p.IdempotencyKey = sub.IdempotencyKey
	}
	if sub.Timeout > 0 {
		p.Timeout = sub.Timeout
	}
	if sub.Retry != nil {
		if p.Defaults == nil {
			p.Defaults = &schemas.Defaults{}
		}
		p.Defaults.Retry = sub.Retry.Or(p.Defaults.Retry)
	}
	return nil
}

func isError(f schemas.Finding) bool { return f.Severity == schemas.SeverityError }

// inPlaceOf reports whether a finding is about the definition of a workflow that was refused. Such a finding says nothing about the plan.
func inPlaceOf(refused []schemas.Finding, f schemas.Finding) bool {
	return slices.ContainsFunc(refused, func(w schemas.Finding) bool {
		return strings.HasPrefix(f.Path, strings.TrimSuffix(w.Path, "/name")+"/definition/")
	})
}

// realmRetryDelay is after how long a realm whose tools are not known may be asked for again.
const realmRetryDelay = 5 * time.Second

// manyErrors is how many errors of a plan show that its author needs to read what a plan is.
const manyErrors = 3

// InvalidPlan returns the error that carries the findings; its message is the first of severity error. Its code is invalid_plan, or unavailable
// where nothing is wrong but that tools are not known now: then the same plan may be accepted later.
func InvalidPlan(findings []schemas.Finding) *schemas.Error {
	var first string
	n, temporary := 0, true
	for _, f := range findings {
		if isError(f) {
			temporary = temporary && f.Temporary
			if n++; n == 1 {
				first = strings.TrimPrefix(f.Path+": "+f.Message, ": ")
			}
		}
	}
	if n > 1 {
		first = fmt.Sprintf("%s (and %d more)", first, n-1)
	}
	if temporary && n > 0 {
		return schemas.Errorf(schemas.CodeUnavailable, "%s", first).WithRetryAfter(realmRetryDelay).
			WithHint("nothing was started; submit the same plan again after retry_after_seconds; check_health shows the state of the realm").
			With(func(e *schemas.Error) { e.Findings = findings })
	}
	return schemas.Errorf(schemas.CodeInvalidPlan, "%s", first).With(func(e *schemas.Error) {
		if e.Findings = findings; n >= manyErrors {
			e.Hint += ". " + strings.TrimSpace(plan.Card)
		}
	})
}
