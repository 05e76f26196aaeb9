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
func (c *Capabilities) checkDrift(next call.Invoker) call.Invoker {
	return call.Func(func(ctx context.Context, planned *call.Call) (*call.Result, error) {
		if planned.Hash == "" || planned.ExecutionID == "" { // a direct call goes by what is there now
			return next.Invoke(ctx, planned)
		}
		live, known := c.Realms.Definition(ctx, planned.Realm, planned.Capability)
		if !known || live.Hash == planned.Hash && !planned.Accepted {
			return next.Invoke(ctx, planned)
		}
		checker, err := c.checkers.get(live.Hash, live.InputSchema)
		if err != nil {
			return nil, err
		}
		problems := checker.Check(records.OrElse(planned.Inputs, "{}"))
		switch compatible := len(problems) == 0 && live.Effect.Rank() <= planned.Effect.Rank(); {
		case live.Hash == planned.Hash && len(problems) > 0: // accepted by a person, and never checked
			return nil, schemas.InvalidArguments(problems).WithOutcome(schemas.NotRun)
		case live.Hash == planned.Hash:
		case !compatible || planned.Rules == nil || planned.Rules.Drift != schemas.DriftAllowCompatible:
			return nil, schemas.Errorf(schemas.CodeCapabilityDrift, "%s has changed since the plan was accepted", planned.Name()).WithOutcome(schemas.NotRun).
				WithHint("look at it with resolve_capability; resume_execution with retry, or with other inputs, accepts it as it is now")
		}
		return next.Invoke(ctx, planned)
	})
}
