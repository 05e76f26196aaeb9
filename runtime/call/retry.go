package call

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sethvargo/go-retry"

	"github.com/runplane/runplane/schemas"
)

// Policy is how a direct call is retried.
type Policy struct {
	Waits     retry.Backoff             // between attempts; it ends after the last attempt
	Refusals  retry.Backoff             // after refusals by the realm; it ends after the last one that is waited for
	Elapsed   time.Duration             // no new attempt after this time; 0: no limit
	Retryable func(*schemas.Error) bool // reports whether another attempt is made after the error
}

// Retry repeats a failed direct call according to the policy. A `once` call whose outcome is unknown is never repeated. The
// retry_after of an error is respected. A call that was refused spends no attempt: it is repeated after its retry_after, and after
// a refusal by the realm also after Refusals, for a minute in total. Calls of executions do not use this wrapper: their retries are
// durable events.
func Retry(policy func(*Call) Policy) Wrapper {
	return func(next Invoker) Invoker {
		return Func(func(ctx context.Context, c *Call) (*Result, error) {
			p := policy(c)
			start := time.Now()
			attempts := 0
			var last error
			waits := withRetryAfter(p, &last)
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
				if ctx.Err() == nil && p.Retryable(e) && !unknownOnce(c, e) {
					return nil, retry.RetryableError(last)
				}
				return res, last
			})
			if err != nil && last == nil {
				return nil, context.Cause(ctx)
			}
			if err != nil {
				return nil, withAttempts(last, attempts) // the failure; when ctx ends a wait, go-retry returns an error of its own
			}
			res.Attempts, res.Duration = attempts, time.Since(start)
			return res, nil
		})
	}
}

// withAttempts tells in an error how many attempts were made, if that is more than one.
func withAttempts(err error, attempts int) error {
	e, ok := errors.AsType[*schemas.Error](err)
	if !ok || attempts < 2 {
		return err
	}
	return e.With(func(e *schemas.Error) { e.Message += fmt.Sprintf("; %d attempts were made", attempts) })
}

// maxRetryAfter is the longest retry_after of an error, and of all refusals together; with a longer one the error is returned.
const maxRetryAfter = time.Minute

// minRefusal prevents a busy loop after a refusal by the runtime without a time.
const minRefusal = 100 * time.Millisecond

// withRetryAfter waits at least for the retry_after of the last error. A refusal takes none of p.Waits.
func withRetryAfter(p Policy, last *error) retry.Backoff {
	var refusedFor time.Duration
	return retry.BackoffFunc(func() (time.Duration, bool) {
		e, ok := errors.AsType[*schemas.Error](*last)
		if !ok {
			return p.Waits.Next()
		}
		after := e.RetryAfter()
		if e.Refused() {
			enough := false
			if e.RefusedBy == schemas.RefusedByRealm && p.Refusals != nil {
				var wait time.Duration
				wait, enough = p.Refusals.Next()
				after = max(after, wait)
			}
			after = max(after, minRefusal)
			refusedFor += after
			return after, enough || refusedFor > maxRetryAfter
		}
		wait, stop := p.Waits.Next()
		return max(wait, after), stop || after > maxRetryAfter
	})
}

func unknownOnce(c *Call, e *schemas.Error) bool {
	return e.Outcome == schemas.Unknown && c.Effect.Rank() >= schemas.EffectOnce.Rank()
}
