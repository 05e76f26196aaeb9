package call

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/runplane/runplane/schemas"
)

// Rooms bound how many calls of a realm, and of a capability, are in flight at once from this process. A call waits a
// bounded time for room, first come first served, and is refused then. The zero value is ready.
type Rooms struct {
	mu    sync.Mutex
	named map[string]*room
}

type room struct {
	calls int
	taken *semaphore.Weighted
}

// roomRetry is when a call that found no room should come again: nobody knows when others end.
const roomRetry = time.Second

// Wrap is the [Wrapper].
func (r *Rooms) Wrap(next Invoker) Invoker {
	return Func(func(ctx context.Context, c *Call) (*Result, error) {
		rules := c.rules()
		if len(rules.Rooms) == 0 {
			return next.Invoke(ctx, c)
		}
		var until time.Time
		for _, bound := range rules.Rooms {
			s := r.of(bound)
			if !s.TryAcquire(1) && !wait(ctx, s, rules.RoomWait, &until) {
				if ctx.Err() != nil {
					return nil, ended(ctx, c)
				}
				return nil, refused(schemas.CodeRateLimited, roomRetry, "%d calls of %s are in flight, as many as its concurrency allows, and none ended within %s",
					bound.Calls, bound.Scope, schemas.Duration(rules.RoomWait))
			}
			defer s.Release(1)
		}
		return next.Invoke(ctx, c)
	})
}

// wait waits for room, until the time that the first wait of a call sets; false: there was none, or ctx ended.
func wait(ctx context.Context, s *semaphore.Weighted, atMost time.Duration, until *time.Time) bool {
	if until.IsZero() {
		*until = time.Now().Add(atMost)
	}
	ctx, cancel := context.WithDeadline(ctx, *until)
	defer cancel()
	return s.Acquire(ctx, 1) == nil
}

// of is the room of a scope. Another size makes a new room; what is in the old one leaves it there.
func (r *Rooms) of(b schemas.ConcurrencyBound) *semaphore.Weighted {
	r.mu.Lock()
	defer r.mu.Unlock()
	if have := r.named[b.Scope]; have != nil && have.calls == b.Calls {
		return have.taken
	}
	if r.named == nil {
		r.named = map[string]*room{}
	}
	r.named[b.Scope] = &room{calls: b.Calls, taken: semaphore.NewWeighted(int64(b.Calls))}
	return r.named[b.Scope].taken
}

// ended is the error of a caller who left before his call began.
func ended(ctx context.Context, c *Call) *schemas.Error {
	cause := context.Cause(ctx)
	if e, ok := errors.AsType[*schemas.Error](cause); ok {
		return e.WithOutcome(schemas.NotRun)
	}
	if errors.Is(cause, context.DeadlineExceeded) {
		return schemas.Errorf(schemas.CodeTimeout, "the time of the request was over before %s was called", c.Name()).WithOutcome(schemas.NotRun)
	}
	return schemas.Errorf(schemas.CodeCancelled, "the caller left before %s was called", c.Name()).WithOutcome(schemas.NotRun)
}
