package capability

import (
	"context"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
)

// checkDrift is the innermost wrapper: it compares the tool that a node is about to call with the one that its plan was
// accepted with. A tool that has changed is not called, and the machine holds the node, unless the policy allows compatible changes
// and this is one: the inputs are valid, and the effect is not worse.
func (c *Capabilities) checkDrift(next call.Invoker) call.Invoker {
	return call.Func(func(ctx context.Context, planned *call.Call) (*call.Result, error) {
		if planned.Hash == "" || planned.ExecutionID == "" { // a direct call uses the tool as it is now
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
		case live.Hash == planned.Hash && len(problems) > 0: // accepted by a person, and not checked yet
			return nil, schemas.InvalidArguments(problems).WithOutcome(schemas.NotRun)
		case live.Hash == planned.Hash:
		case !compatible || planned.Rules == nil || planned.Rules.Drift != schemas.DriftAllowCompatible:
			return nil, schemas.Errorf(schemas.CodeCapabilityDrift, "%s has changed since the plan was accepted", planned.Name()).
				WithHint("resolve_capability shows it; resume_execution with retry, or with other inputs, accepts it as it is now").
				WithOutcome(schemas.NotRun)
		}
		return next.Invoke(ctx, planned)
	})
}
