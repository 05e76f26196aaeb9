package capability

import (
	"context"
	"errors"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/plan"
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
			return c.driftOf(ctx, planned)(next.Invoke(ctx, planned))
		}
		checker, err := c.checkers.get(live.Hash, live.InputSchema, live.Policy.IdempotencyArg)
		if err != nil {
			return nil, err
		}
		inputs, problems := checker.CheckSettledToEnd(records.OrElse(planned.Inputs, "{}"))
		problems = plan.AfterSecrets(problems, inputs, planned.Secrets)
		switch compatible := len(problems) == 0 && live.Effect.Rank() <= planned.Effect.Rank(); {
		case live.Hash == planned.Hash && len(problems) > 0: // accepted by a person, and not checked yet
			return nil, schemas.InvalidArguments(problems).WithOutcome(schemas.NotRun)
		case live.Hash == planned.Hash:
		case !compatible || planned.Rules == nil || planned.Rules.Drift != schemas.DriftAllowCompatible:
			return nil, drifted(planned)
		}
		settled := *planned
		settled.Inputs = inputs
		return next.Invoke(ctx, &settled)
	})
}

func drifted(planned *call.Call) *schemas.Error {
	return schemas.Errorf(schemas.CodeCapabilityDrift, "%s has changed since the plan was accepted", planned.Name()).
		WithHint("resolve_capability shows it; resume_execution with retry, or with other inputs, accepts it as it is now").
		WithOutcome(schemas.NotRun)
}

// driftOf turns the error of a call that its tool has refused into drift, if the tool is no longer the one of the plan: the realm
// was asked for its tools again after the error.
func (c *Capabilities) driftOf(ctx context.Context, planned *call.Call) func(*call.Result, error) (*call.Result, error) {
	return func(res *call.Result, err error) (*call.Result, error) {
		e, ok := errors.AsType[*schemas.Error](err)
		if !ok || e.Outcome != schemas.NotRun || e.Code != schemas.CodeInvalidArgument {
			return res, err
		}
		if live, known := c.Realms.Definition(ctx, planned.Realm, planned.Capability); known && live.Hash != planned.Hash {
			return nil, drifted(planned).With(func(d *schemas.Error) { d.Message += ", and refused the call: " + e.Message })
		}
		return res, err
	}
}
