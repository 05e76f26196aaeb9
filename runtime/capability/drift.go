package capability

import (
	"context"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
)

// checkDrift is the innermost wrapper: it compares the tool that a node is about to call with the one that its plan was
// accepted with. One that has changed is not called, unless the policy allows it and the change does no harm: the inputs fit,
// and the effect is no worse. The machine holds the node then.
func (r *Capabilities) checkDrift(next call.Invoker) call.Invoker {
	return call.Func(func(ctx context.Context, c *call.Call) (*call.Result, error) {
		if c.Hash == "" || c.ExecutionID == "" { // a direct call goes by what is there now
			return next.Invoke(ctx, c)
		}
		live, known := r.Realms.Definition(ctx, c.Realm, c.Capability)
		if !known || live.Hash == c.Hash && !c.Accepted {
			return next.Invoke(ctx, c)
		}
		checker, err := r.checkers.of(live.Hash, live.InputSchema)
		if err != nil {
			return nil, err
		}
		problems := checker.Check(records.OrElse(c.Inputs, "{}"))
		switch compatible := len(problems) == 0 && live.Effect.Rank() <= c.Effect.Rank(); {
		case live.Hash == c.Hash && len(problems) > 0: // accepted by a person, and never checked
			return nil, schemas.InvalidArguments(problems).WithOutcome(schemas.NotRun)
		case live.Hash == c.Hash:
		case !compatible || c.Rules == nil || c.Rules.Drift != schemas.DriftAllowCompatible:
			return nil, schemas.Errorf(schemas.CodeCapabilityDrift, "%s has changed since the plan was accepted", c.Name()).WithOutcome(schemas.NotRun).
				WithHint("look at it with resolve_capability; resume_execution with retry, or with other inputs, accepts it as it is now")
		}
		return next.Invoke(ctx, c)
	})
}
