package plan

import (
	"math"
	"slices"
	"time"

	"github.com/sethvargo/go-retry"

	"github.com/runplane/runplane/schemas"
)

// Backoff is the policy's waits in order, starting after `after` earlier failures (0: before the first retry). It has no end;
// wrap it with go-retry's limits. Each wait varies by the policy's jitter; random returns numbers in [0,1).
func Backoff(r schemas.Retry, after int, random func() float64) retry.Backoff {
	r = *(&r).Or(new(DefaultRetry()))
	wait := r.InitialInterval.Std().Seconds() * math.Pow(r.BackoffCoefficient, float64(after))
	exponential := retry.BackoffFunc(func() (time.Duration, bool) {
		d := time.Duration(min(wait, maxWait.Seconds()) * float64(time.Second))
		wait *= r.BackoffCoefficient
		return d, false
	})
	capped := retry.WithCappedDuration(r.MaxInterval.Std(), exponential)
	return retry.BackoffFunc(func() (time.Duration, bool) {
		d, stop := capped.Next()
		spread := 1 + *r.Jitter*(2*random()-1)
		return time.Duration(float64(d) * spread), stop
	})
}

// maxWait prevents a huge coefficient from overflowing a time.Duration.
const maxWait = 100 * 24 * time.Hour

// Retryable reports whether the policy allows another attempt after the error. explicit: the plan, the caller or a policy asked
// for retries, so an error that the tool itself reported is retried too. It does not consider effects.
func Retryable(r schemas.Retry, explicit bool, err *schemas.Error) bool {
	switch {
	case slices.Contains(r.NoRetryOn, err.Code):
		return false
	case len(r.RetryOn) > 0:
		return slices.Contains(r.RetryOn, err.Code)
	case err.Code == schemas.CodeToolError:
		return explicit
	}
	return err.Retryable
}
