package call

import (
	"context"
	"time"

	"github.com/runplane/runplane/schemas"
)

// PatienceSetting is the key of the configuration that says how long a direct call may take in all.
const PatienceSetting = "limits.direct_timeout"

// Patience ends a direct call, with all its attempts, fallbacks and the waits between them, after a time. A single attempt that may take longer,
// as the caller or a policy says, has that time, and if a policy sets no timeout there is none.
func Patience(most time.Duration) Wrapper {
	return func(next Invoker) Invoker {
		return Func(func(ctx context.Context, c *Call) (*Result, error) {
			if c.Timeout <= 0 {
				return next.Invoke(ctx, c)
			}
			within := most
			if c.Timeout > most {
				within = c.Timeout + time.Second // its own timeout, whose error names its setting, comes first
			}
			cause := schemas.Errorf(schemas.CodeTimeout, "%s did not answer within %s, the time of a direct call with all its attempts (%s)",
				c.Name(), schemas.Duration(within), PatienceSetting)
			ctx, cancel := context.WithTimeoutCause(ctx, within, cause)
			defer cancel()
			return next.Invoke(ctx, c)
		})
	}
}
