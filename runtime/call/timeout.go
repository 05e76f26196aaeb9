package call

import (
	"context"

	"github.com/runplane/runplane/schemas"
)

// Timeout ends an attempt after Call.Timeout. The error names the setting, and its Outcome is unknown if the call had been
// sent.
func Timeout(next Invoker) Invoker {
	return Func(func(ctx context.Context, c *Call) (*Result, error) {
		if c.Timeout <= 0 {
			return next.Invoke(ctx, c)
		}
		from := c.TimeoutFrom
		if from == "" {
			from = "call"
		}
		cause := schemas.Errorf(schemas.CodeTimeout, "%s did not answer within %s, the timeout of its %s",
			c.Name(), schemas.Duration(c.Timeout), from)
		ctx, cancel := context.WithTimeoutCause(ctx, c.Timeout, cause)
		defer cancel()
		return next.Invoke(ctx, c)
	})
}
