package call

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Rates enforce the rate limits of realms and capabilities. A call without a token is refused with rate_limited and the time until
// there may be one.
//
// Refused calls of executions are repeated by the runtime, so each refusal has a time of its own, one token apart: a thousand
// refused nodes are not repeated at once.
type Rates struct {
	tokens *Tokens

	mu    sync.Mutex
	named map[string]*bucket
}

// NewRates returns rate limits on the tokens.
func NewRates(tokens *Tokens) *Rates { return &Rates{tokens: tokens, named: map[string]*bucket{}} }

// bucket is what this process knows about one limit.
type bucket struct {
	until time.Time // the bucket is empty before
	slot  time.Time // the latest time given to a refused call of an execution
}

// Wrap is the [Wrapper].
func (r *Rates) Wrap(next Invoker) Invoker {
	return Func(func(ctx context.Context, c *Call) (*Result, error) {
		rates := c.rules().Rates
		now := time.Now()
		for i := range rates { // do not take tokens of others if one is known to be empty
			if wait := r.emptyFor(rates[i].Scope, now); wait > 0 {
				return nil, r.refusal(c, &rates[i], wait, now)
			}
		}
		for i := range rates {
			if wait := r.tokens.take(ctx, limitOf(&rates[i])); wait > 0 {
				return nil, r.refusal(c, &rates[i], wait, now)
			}
		}
		return next.Invoke(ctx, c)
	})
}

func limitOf(b *schemas.ScopedRateLimit) store.Limit {
	return store.Limit{
		Key: "rate/" + b.Scope, Tokens: 1, Rate: b.Rate, Period: cmp.Or(b.Per.Std(), time.Second), Burst: cmp.Or(b.Burst, b.Rate),
	}
}

// bucketOf is the bucket of a scope. The caller holds r.mu.
func (r *Rates) bucketOf(scope string) *bucket {
	b := r.named[scope]
	if b == nil {
		b = &bucket{}
		r.named[scope] = b
	}
	return b
}

// emptyFor is how long the bucket is known to be empty.
func (r *Rates) emptyFor(scope string, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bucketOf(scope).until.Sub(now)
}

func (r *Rates) refusal(c *Call, bound *schemas.ScopedRateLimit, wait time.Duration, now time.Time) *schemas.Error {
	l := limitOf(bound)
	r.mu.Lock()
	b := r.bucketOf(bound.Scope)
	b.until = now.Add(wait)
	if c.ExecutionID != "" {
		at := b.until
		if next := b.slot.Add(l.Period / time.Duration(l.Rate)); b.slot.After(now) && next.After(at) {
			at = next
		}
		b.slot, wait = at, at.Sub(now)
	}
	r.mu.Unlock()
	return refused(schemas.CodeRateLimited, wait,
		"the rate limit of %s is reached: %d calls in %s", bound.Scope, l.Rate, schemas.Duration(l.Period))
}
