package capability

import (
	"context"
	"slices"
	"time"

	"github.com/sethvargo/go-retry"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// chain builds the call chain: all of it, in order, outermost first. An attempt of a node passes the first chain; its
// retries are durable events of the machine. A direct call passes both.
//
// The order matters: what a person has not allowed gets no answer, not even a cached one; a cached answer costs nothing; an open breaker and a
// quota that is known to be used up take no place in a bulkhead and no token, nor do large inputs for which there is no memory now; a full
// bulkhead takes no token; an empty bucket takes nothing of a quota; and the timeout starts when the call is sent, the start of its realm
// included. A wrapper that refuses a call returns an error that is [schemas.Error.Refused].
func (c *Capabilities) chain() {
	log := c.log.Named("call")
	c.attempt = call.Chain(c.Realms,
		call.Observe(log),
		call.Gate,
		c.cache.Wrap,
		c.breakers.Wrap,
		c.Quotas.Early,
		new(call.Large).Wrap,
		c.bulkheads.Wrap,
		c.rates.Wrap,
		c.Quotas.Wrap,
		call.Timeout,
		call.Heartbeat,
		c.checkDrift,
		c.fillSecrets,
	)
	c.direct = call.Chain(c.attempt,
		call.Patience(c.patience),
		call.Fallback(c.fallbackCall),
		call.KeepTime(c.patience),
		call.Retry(c.retryPolicy),
	)
}

// Attempt makes one attempt of a node's call, and waits for its end.
func (c *Capabilities) Attempt(ctx context.Context, attempt *call.Call) (*call.Result, error) {
	return c.attempt.Invoke(ctx, attempt)
}

// retryPolicy returns the retry policy of a direct call. A call that an open breaker or a limit of the runtime refuses is made again only if
// its policy names that code: the error says when it may be made. Without a policy of its own a call that timed out is not made again either:
// its caller would wait for as long again.
func (c *Capabilities) retryPolicy(direct *call.Call) call.Policy {
	policy := *direct.Retry.Or(new(plan.DefaultRetry()))
	explicit := direct.Retry != nil
	refusals := plan.Backoff(policy, 0, c.random)
	if r := direct.Rules; r != nil && r.MaxRefusals > 0 {
		refusals = retry.WithMaxRetries(uint64(r.MaxRefusals-1), refusals)
	}
	return call.Policy{
		Waits:    retry.WithMaxRetries(uint64(policy.MaxAttempts-1), plan.Backoff(policy, 0, c.random)),
		Refusals: refusals,
		Elapsed:  policy.MaxElapsed.Std(),
		Retryable: func(e *schemas.Error) bool {
			switch {
			case !plan.Retryable(policy, explicit, e):
				return false
			case e.Code == schemas.CodeCircuitOpen, e.Refused() && e.RefusedBy != schemas.RefusedByRealm:
				return slices.Contains(policy.RetryOn, e.Code)
			}
			return explicit || e.Code != schemas.CodeTimeout
		},
	}
}

// defaultTimeout is the timeout of an attempt of a node if neither plan nor policy sets one.
const defaultTimeout = 60 * time.Second

// DefaultPatience is how long a direct call may take in all, and one attempt of it if neither the call nor a policy sets a timeout. The common
// clients give up after 60 s.
const DefaultPatience = 50 * time.Second
