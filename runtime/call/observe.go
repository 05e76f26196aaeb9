package call

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/schemas"
)

// Observe logs every attempt at debug, and its failure with code and outcome; never inputs or outputs. It also turns
// whatever else comes from below into a *schemas.Error, so that everybody above can rely on one.
func Observe(log hclog.Logger) Wrapper {
	return func(next Invoker) Invoker {
		return Func(func(ctx context.Context, c *Call) (*Result, error) {
			start := time.Now()
			res, err := next.Invoke(ctx, c)
			took := time.Since(start)
			if err == nil {
				res.Duration = took
				if log.IsDebug() {
					log.Debug("called", "capability", c.Name(), "execution_id", c.ExecutionID, "node", c.NodeID, "attempt", c.Attempt, "took", took)
				}
				return res, nil
			}
			e := schemas.AsError(err)
			if e.Code == schemas.CodeInternal {
				log.Error("call failed inside the runtime", "capability", c.Name(), "error", err)
			} else if log.IsDebug() {
				log.Debug("call failed", "capability", c.Name(), "execution_id", c.ExecutionID, "node", c.NodeID,
					"attempt", c.Attempt, "took", took, "code", e.Code, "outcome", e.Outcome)
			}
			if e.Outcome == "" {
				e = e.WithOutcome(schemas.Unknown)
			}
			return nil, e
		})
	}
}
