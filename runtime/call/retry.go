package call

import (
	"context"
	"errors"
	"time"

	"github.com/sethvargo/go-retry"

	"github.com/runplane/runplane/schemas"
)

// Policy answers how a direct call is retried: the waits between attempts, limits included, and whether an error is
// worth another attempt.
type Policy func(c *Call) (waits retry.Backoff, retryable func(*schemas.Error) bool)

// Retry repeats a failed direct call as the policy says. A `once` call whose outcome is unknown is never repeated,
// whatever the policy; an error that says when to come again is heeded. Executions do not pass here: their retries are durable events.
func Retry(policy Policy) Wrapper {
	return func(next Invoker) Invoker {
		return Func(func(ctx context.Context, c *Call) (*Result, error) {
			waits, retryable := policy(c)
			start := time.Now()
			attempts := 0
			var last error
			res, err := retry.DoValue(ctx, patient(waits, &last), func(ctx context.Context) (*Result, error) {
				attempts++
				attempt := *c
				attempt.Attempt = attempts
				var res *Result
				res, last = next.Invoke(ctx, &attempt)
				if e, ok := errors.AsType[*schemas.Error](last); ok && ctx.Err() == nil && retryable(e) && !undecided(c, e) {
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

// maxRetryAfter is the longest wait that an error may ask for; beyond, the caller decides.
const maxRetryAfter = time.Minute

// patient waits at least as long as the last error asks for.
func patient(waits retry.Backoff, last *error) retry.Backoff {
	return retry.BackoffFunc(func() (time.Duration, bool) {
		wait, stop := waits.Next()
		if e, ok := errors.AsType[*schemas.Error](*last); ok {
			after := time.Duration(e.RetryAfterSeconds * float64(time.Second))
			wait, stop = max(wait, after), stop || after > maxRetryAfter
		}
		return wait, stop
	})
}

func undecided(c *Call, e *schemas.Error) bool {
	return e.Outcome == schemas.Unknown && c.Effect.Rank() >= schemas.EffectOnce.Rank()
}
