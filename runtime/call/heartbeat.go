package call

import (
	"context"
	"time"

	"github.com/runplane/runplane/schemas"
)

// Heartbeat ends an attempt whose realm reports no progress for longer than Call.Heartbeat, counted from the start of the call or
// the last report.
func Heartbeat(next Invoker) Invoker {
	return Func(func(ctx context.Context, c *Call) (*Result, error) {
		if c.Heartbeat <= 0 {
			return next.Invoke(ctx, c)
		}
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		silence := time.AfterFunc(c.Heartbeat, func() {
			cancel(schemas.Errorf(schemas.CodeHeartbeatLost, "%s reported no progress for %s, its heartbeat_timeout",
				c.Name(), schemas.Duration(c.Heartbeat)))
		})
		defer silence.Stop()
		beating := *c
		beating.Progress = func(p Progress) {
			silence.Reset(c.Heartbeat)
			if c.Progress != nil {
				c.Progress(p)
			}
		}
		return next.Invoke(ctx, &beating)
	})
}
