package capability

import (
	"context"
	"slices"
	"time"

	"github.com/sethvargo/go-retry"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// chain puts the call chain together: all of it, in order, outermost first. A node's attempt passes the first; its
// retries are durable events of the machine. A direct call passes both.
//
// The order matters: an answer that is kept costs nothing, an open breaker takes no room and no token, nor does a quota that is
// known to be used up, a full room takes no token, an empty bucket nothing of a quota, and the timeout counts from where the call
// leaves, the start of its realm included. A wrapper that turns a call away says so with an error that is [schemas.Error.Refused].
func (c *Capabilities) chain() {
	log := c.log.Named("call")
	c.attempt = call.Chain(c.Realms,
		call.Observe(log),
		c.cache.Wrap,
		c.breakers.Wrap,
		c.Quotas.Early,
		c.bulkheads.Wrap,
		c.rates.Wrap,
		c.Quotas.Wrap,
		call.Timeout,
		call.Heartbeat,
		c.checkDrift,
	)
	c.direct = call.Chain(c.attempt,
		call.Fallback(c.fallbackCall),
		call.Retry(c.retryPolicy),
	)
}

// Attempt makes one attempt of a node's call.
func (c *Capabilities) Attempt(ctx context.Context, attempt *call.Call) (*call.Result, error) {
	return c.attempt.Invoke(ctx, attempt)
}

// retryPolicy is the policy of direct calls. An open breaker answers them at once, unless somebody asked to wait for it.
func (c *Capabilities) retryPolicy(direct *call.Call) call.Policy {
	policy := *direct.Retry.Or(new(plan.DefaultRetry()))
	explicit := direct.Retry != nil
	return call.Policy{
		Waits:   retry.WithMaxRetries(uint64(policy.MaxAttempts-1), machine.Backoff(policy, 0, c.random)),
		Elapsed: policy.MaxElapsed.Std(),
		Retryable: func(e *schemas.Error) bool {
			return machine.Retryable(policy, explicit, e) && (e.Code != schemas.CodeCircuitOpen || slices.Contains(policy.RetryOn, e.Code))
		},
	}
}

// defaultTimeout of one attempt where neither plan nor policy says.
const defaultTimeout = 60 * time.Second
