package call

import (
	"context"
	"errors"
	"time"

	"github.com/sethvargo/go-retry"

	"github.com/runplane/runplane/schemas"
)

// Policy is how a direct call is retried.
type Policy struct {
	Waits     retry.Backoff             // between attempts, their number included
	Elapsed   time.Duration             // no new attempt after this; 0: no limit
	Retryable func(*schemas.Error) bool // whether an error is worth another attempt
}

// Retry repeats a failed direct call as the policy says. A `once` call whose outcome is unknown is never repeated,
// whatever the policy; an error that says when to come again is heeded. A call that was turned away before it left spends no
// attempt: it comes again at the time that it was told, for a minute at most. Executions do not pass here: their retries are durable
// events.
func Retry(policy func(*Call) Policy) Wrapper {
	return func(next Invoker) Invoker {
		return Func(func(ctx context.Context, c *Call) (*Result, error) {
			p := policy(c)
			start := time.Now()
			attempts := 0
			var last error
			waits := patient(p.Waits, &last)
			if p.Elapsed > 0 {
				waits = retry.WithMaxDuration(p.Elapsed, waits)
			}
			res, err := retry.DoValue(ctx, waits, func(ctx context.Context) (*Result, error) {
				attempts++
				attempt := *c
				attempt.Attempt = attempts
				var res *Result
				res, last = next.Invoke(ctx, &attempt)
				e, ok := errors.AsType[*schemas.Error](last)
				if !ok {
					return res, last
				}
				if e.Refused() {
					attempts--
				}
				if ctx.Err() == nil && p.Retryable(e) && !undecided(c, e) {
					return nil, retry.RetryableError(last)
				}
				return res, last
			})
			if err != nil && last == nil {
				return nil, context.Cause(ctx)
			}
			if err != nil {
				return nil, last // go-retry's own error, when ctx ends a wait, says less than the failure that led to it
			}
			res.Attempts, res.Duration = attempts, time.Since(start)
			return res, nil
		})
	}
}

// maxRetryAfter is the longest wait that an error may ask for, and that refusals may ask for together; beyond, the caller
// decides.
const maxRetryAfter = time.Minute

// minRefusal keeps a refusal without a time from becoming a busy loop.
const minRefusal = 100 * time.Millisecond

// patient waits at least as long as the last error asks for. A refusal takes none of the waits.
func patient(waits retry.Backoff, last *error) retry.Backoff {
	var turnedAway time.Duration
	return retry.BackoffFunc(func() (time.Duration, bool) {
		e, ok := errors.AsType[*schemas.Error](*last)
		if !ok {
			return waits.Next()
		}
		after := time.Duration(e.RetryAfterSeconds * float64(time.Second))
		if e.Refused() {
			after = max(after, minRefusal)
			turnedAway += after
			return after, turnedAway > maxRetryAfter
		}
		wait, stop := waits.Next()
		return max(wait, after), stop || after > maxRetryAfter
	})
}

func undecided(c *Call, e *schemas.Error) bool {
	return e.Outcome == schemas.Unknown && c.Effect.Rank() >= schemas.EffectOnce.Rank()
}
