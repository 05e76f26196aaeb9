package call

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/runplane/runplane/schemas"
)

// Bulkheads limit how many calls of a realm, and of a capability, this process has in flight. A call waits for
// its turn, first come, first served, for a limited time, and is refused then. The zero value is ready.
type Bulkheads struct {
	mu    sync.Mutex
	named map[string]*bulkhead
}

type bulkhead struct {
	calls int
	slots *semaphore.Weighted
}

// bulkheadRetry is the retry_after of a refused call: when others end is unknown.
const bulkheadRetry = time.Second

// Wrap is the [Wrapper].
func (r *Bulkheads) Wrap(next Invoker) Invoker {
	return Func(func(ctx context.Context, c *Call) (*Result, error) {
		rules := c.rules()
		if len(rules.Concurrency) == 0 {
			return next.Invoke(ctx, c)
		}
		var until time.Time
		for _, bound := range rules.Concurrency {
			s := r.slotsOf(bound)
			if !s.TryAcquire(1) && !wait(ctx, s, rules.BulkheadWait, &until) {
				if ctx.Err() != nil {
					return nil, callerEnded(ctx, c)
				}
				return nil, refused(schemas.CodeRateLimited, bulkheadRetry,
					"%d calls of %s are in flight (its concurrency limit), and none ended within %s",
					bound.Calls, bound.Scope, schemas.Duration(rules.BulkheadWait))
			}
			defer s.Release(1)
		}
		return next.Invoke(ctx, c)
	})
}

// wait waits for a slot until the time that the first wait of a call sets; false: there was none, or ctx ended.
func wait(ctx context.Context, s *semaphore.Weighted, atMost time.Duration, until *time.Time) bool {
	if until.IsZero() {
		*until = time.Now().Add(atMost)
	}
	ctx, cancel := context.WithDeadline(ctx, *until)
	defer cancel()
	return s.Acquire(ctx, 1) == nil
}

// slotsOf is the semaphore of a scope. Another size creates a new one; calls in flight release the old one.
func (r *Bulkheads) slotsOf(b schemas.ScopedConcurrency) *semaphore.Weighted {
	r.mu.Lock()
	defer r.mu.Unlock()
	if have := r.named[b.Scope]; have != nil && have.calls == b.Calls {
		return have.slots
	}
	if r.named == nil {
		r.named = map[string]*bulkhead{}
	}
	r.named[b.Scope] = &bulkhead{calls: b.Calls, slots: semaphore.NewWeighted(int64(b.Calls))}
	return r.named[b.Scope].slots
}

// callerEnded is the error of a call whose context ended before it was made.
func callerEnded(ctx context.Context, c *Call) *schemas.Error {
	cause := context.Cause(ctx)
	if e, ok := errors.AsType[*schemas.Error](cause); ok {
		return e.WithOutcome(schemas.NotRun)
	}
	if errors.Is(cause, context.DeadlineExceeded) {
		return schemas.Errorf(schemas.CodeTimeout, "the deadline of the request passed before %s was called", c.Name()).
			WithOutcome(schemas.NotRun)
	}
	return schemas.Errorf(schemas.CodeCancelled, "the caller cancelled before %s was called", c.Name()).WithOutcome(schemas.NotRun)
}
