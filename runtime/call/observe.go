package call

import (
	"context"
	"encoding/json"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/schemas"
)

// Observe logs every attempt at debug level, a failure with code and outcome, and never inputs or outputs. It also turns any other
// error into a *schemas.Error, so that all outer wrappers can rely on one, and an answer that is not JSON, which could not be
// stored, into the failure of a call that ran.
func Observe(log hclog.Logger) Wrapper {
	return func(next Invoker) Invoker {
		return Func(func(ctx context.Context, c *Call) (*Result, error) {
			start := time.Now()
			if late := c.Late; late != nil {
				observed, slim := *c, &Call{Realm: c.Realm, Capability: c.Capability}
				observed.Late = func(res *Result, err error) { late(checked(slim, res, err)) }
				c = &observed
			}
			res, err := next.Invoke(ctx, c)
			res, err = checked(c, res, err)
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

// checked turns an answer that is not JSON into a failure.
func checked(c *Call, res *Result, err error) (*Result, error) {
	if err == nil && len(res.Output) > 0 && !json.Valid(res.Output) {
		return nil, schemas.Errorf(schemas.CodeToolError, "%s answered with invalid JSON", c.Name()).WithOutcome(schemas.RanFailed).
			WithHint("the capability has a bug; see the log of its realm")
	}
	return res, err
}
