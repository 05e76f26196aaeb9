package call

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/time/rate"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Taker takes tokens of a limit, as [store.Store] does.
type Taker interface {
	Take(ctx context.Context, l store.Limit) (wait time.Duration, err error)
}

// Rates hold calls to the rate limits of their realm and capability. The tokens are the store's, so that replicas that
// share a store share the limits; a store that does not answer leaves each replica with a bucket of its own.
//
// A call is refused with rate_limited and the time until a token may be there. Calls of executions come back by
// themselves, so each gets a time of its own, one token apart: a thousand refused nodes do not come back at once.
type Rates struct {
	taker Taker
	log   hclog.Logger

	mu    sync.Mutex
	named map[string]*bucket
}

// NewRates makes limits whose tokens taker has.
func NewRates(taker Taker, log hclog.Logger) *Rates {
	return &Rates{taker: taker, log: log, named: map[string]*bucket{}}
}

// bucket is what this process knows of one limit.
type bucket struct {
	until time.Time     // no token before
	slot  time.Time     // the last time that was given to a refused call of an execution
	local *rate.Limiter // stands in for the store
}

// Wrap is the [Wrapper].
func (r *Rates) Wrap(next Invoker) Invoker {
	return Func(func(ctx context.Context, c *Call) (*Result, error) {
		rates := c.rules().Rates
		now := time.Now()
		for i := range rates { // a bucket that is known to be empty costs no token of another
			if wait := r.known(&rates[i], now); wait > 0 {
				return nil, r.refusal(c, &rates[i], wait, now)
			}
		}
		for i := range rates {
			if wait := r.take(ctx, &rates[i], now); wait > 0 {
				return nil, r.refusal(c, &rates[i], wait, now)
			}
		}
		return next.Invoke(ctx, c)
	})
}

func (r *Rates) of(scope string) *bucket {
	b := r.named[scope]
	if b == nil {
		b = &bucket{}
		r.named[scope] = b
	}
	return b
}

// known is how long the bucket is known to be empty.
func (r *Rates) known(bound *schemas.RateBound, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of(bound.Scope).until.Sub(now)
}

func limitOf(bound *schemas.RateBound) store.Limit {
	l := store.Limit{Key: "rate/" + bound.Scope, Tokens: 1, Rate: bound.Rate, Period: bound.Per.Std(), Burst: bound.Burst}
	if l.Period == 0 {
		l.Period = time.Second
	}
	if l.Burst == 0 {
		l.Burst = l.Rate
	}
	return l
}

// takeWait is how long the store may take to answer before this process counts for itself.
const takeWait = time.Second

func (r *Rates) take(ctx context.Context, bound *schemas.RateBound, now time.Time) time.Duration {
	l := limitOf(bound)
	asking, cancel := context.WithTimeout(ctx, takeWait)
	wait, err := r.taker.Take(asking, l)
	cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.of(bound.Scope)
	if err != nil {
		if ctx.Err() == nil {
			r.log.Warn("the store does not answer for a rate limit: counting here", "scope", bound.Scope, "error", err)
		}
		wait = b.alone(l, now)
	}
	if wait > 0 {
		b.until = now.Add(wait)
	}
	return wait
}

// alone takes a token of this process's own bucket.
func (b *bucket) alone(l store.Limit, now time.Time) time.Duration {
	each := rate.Limit(float64(l.Rate) / l.Period.Seconds())
	if b.local == nil || b.local.Limit() != each || b.local.Burst() != l.Burst {
		b.local = rate.NewLimiter(each, l.Burst)
	}
	reserved := b.local.ReserveN(now, 1)
	wait := reserved.DelayFrom(now)
	if wait > 0 {
		reserved.CancelAt(now)
	}
	return wait
}

func (r *Rates) refusal(c *Call, bound *schemas.RateBound, wait time.Duration, now time.Time) *schemas.Error {
	l := limitOf(bound)
	if c.ExecutionID != "" {
		r.mu.Lock()
		b := r.of(bound.Scope)
		at := now.Add(wait)
		if next := b.slot.Add(l.Period / time.Duration(l.Rate)); b.slot.After(now) && next.After(at) {
			at = next
		}
		b.slot = at
		wait = at.Sub(now)
		r.mu.Unlock()
	}
	return refused(schemas.CodeRateLimited, wait, "%s is called as often as its rate limit allows: %d in %s", bound.Scope, l.Rate, schemas.Duration(l.Period))
}
