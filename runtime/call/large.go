package call

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/runplane/runplane/schemas"
)

const (
	largeInputs   = 1 << 20   // bytes of inputs from which on they count
	largeTogether = 128 << 20 // bytes of the large inputs of all calls in flight
	largeRetry    = time.Second
)

// Large bounds the memory of the large inputs of all calls in flight. A call that would exceed it is refused, unless it is the only one: it
// spends no attempt and is made again. The zero value is ready.
type Large struct{ held atomic.Int64 }

// Wrap is the [Wrapper].
func (l *Large) Wrap(next Invoker) Invoker {
	return Func(func(ctx context.Context, c *Call) (*Result, error) {
		bytes := int64(len(c.Inputs))
		if bytes < largeInputs {
			return next.Invoke(ctx, c)
		}
		defer l.held.Add(-bytes)
		if held := l.held.Add(bytes); held > largeTogether && held > bytes {
			return nil, refused(schemas.CodeRateLimited, largeRetry, "the inputs of %s have %d bytes, and those of other calls in flight %d (limit %d together)",
				c.Name(), bytes, held-bytes, largeTogether)
		}
		return next.Invoke(ctx, c)
	})
}
