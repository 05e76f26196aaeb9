package call

import (
	"context"

	"github.com/runplane/runplane/schemas"
)

// Gate refuses each call that a person has to allow first, unless it is Allowed. It is the one place that all calls pass: the calls of nodes,
// for which the decision is made in the execution, where a node is held until a person decides, and those for which no person is asked:
// direct calls and their fallbacks, verifications and compensations. A refused call was not run, and is not retried.
func Gate(next Invoker) Invoker {
	return Func(func(ctx context.Context, c *Call) (*Result, error) {
		if c.Allowed || !c.rules().Policy.AsksPerson() {
			return next.Invoke(ctx, c)
		}
		err := schemas.Errorf(schemas.CodeNeedsReview, "a person has to allow each call of %s (policy safety: review), and this one was not made", c.Name()).
			WithOutcome(schemas.NotRun)
		if c.ExecutionID != "" {
			return nil, err.WithHint("no person is asked about a verification or a compensation: a person has to do what it would have done")
		}
		return nil, err.WithHint("no person is asked about a direct call; make it a node of a plan and run that with execute_plan: the node waits for a person, " +
			"who decides with `runplane reviews`")
	})
}
