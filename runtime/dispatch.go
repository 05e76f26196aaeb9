package runtime

import (
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
// The order matters: an open breaker takes no room and no token, a full room no token, and the timeout counts from
// where the call leaves. A wrapper that turns a call away says so with an error that is [schemas.Error.Refused].
func (r *Runtime) chain() {
	log := r.log.Named("call")
	r.breakers, r.rates = call.NewBreakers(log), call.NewRates(r.store, log)
	r.attempt = call.Chain(r.realms,
		call.Observe(log),
		r.breakers.Wrap,
		r.rooms.Wrap,
		r.rates.Wrap,
		call.Timeout,
		call.Heartbeat,
	)
	r.direct = call.Chain(r.attempt,
		call.Retry(r.retries),
	)
}

// retries is the policy of direct calls.
func (r *Runtime) retries(c *call.Call) (retry.Backoff, func(*schemas.Error) bool) {
	policy := *c.Retry.Or(new(plan.DefaultRetry()))
	waits := machine.Backoff(policy, 0, r.random)
	waits = retry.WithMaxRetries(uint64(policy.MaxAttempts-1), waits)
	if policy.MaxElapsed > 0 {
		waits = retry.WithMaxDuration(policy.MaxElapsed.Std(), waits)
	}
	explicit := c.Retry != nil
	return waits, func(e *schemas.Error) bool { return machine.Retryable(policy, explicit, e) }
}

// defaultTimeout of one attempt where neither plan nor policy says.
const defaultTimeout = 60 * time.Second
