package call

import (
	"context"
	"time"

	"github.com/runplane/runplane/schemas"
)

// PatienceSetting is the key of the configuration that says how long a direct call may take in all.
const PatienceSetting = "limits.direct_timeout"

// Kept is the part of the time of a direct call that is kept for the fallbacks of its policy.
func Kept(most time.Duration, r *Rules) time.Duration {
	const part = 5
	if r == nil || len(r.Policy.Fallback) == 0 {
		return 0
	}
	return most / part
}

// Patience ends a direct call, with all its attempts, fallbacks and the waits between them, after a time. An attempt that may take longer, as the
// caller or a policy says, has that time, and if a policy sets no timeout there is none.
func Patience(most time.Duration) Wrapper {
	return within(func(c *Call) time.Duration { return inAll(c, most) })
}

// KeepTime is Patience for the attempts of a call alone: it keeps the last part of its time for the fallbacks.
func KeepTime(most time.Duration) Wrapper {
	return within(func(c *Call) time.Duration { return inAll(c, most) - Kept(most, c.Rules) })
}

// inAll is how long a call and its fallbacks may take. A long timeout comes first, since its error names its own setting.
func inAll(c *Call, most time.Duration) time.Duration {
	if own := c.Timeout + Kept(most, c.Rules); own > most {
		return own + time.Second
	}
	return most
}

func within(limit func(*Call) time.Duration) Wrapper {
	return func(next Invoker) Invoker {
		return Func(func(ctx context.Context, c *Call) (*Result, error) {
			if c.Timeout <= 0 {
				return next.Invoke(ctx, c)
			}
			d := limit(c)
			cause := schemas.Errorf(schemas.CodeTimeout, "%s did not answer within %s, the time of a direct call with all its attempts (%s)",
				c.Name(), schemas.Duration(d), PatienceSetting)
			ctx, cancel := context.WithTimeoutCause(ctx, d, cause)
			defer cancel()
			return next.Invoke(ctx, c)
		})
	}
}
