package call

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/time/rate"

	"github.com/runplane/runplane/store"
)

// Taker takes tokens of a limit, as [store.Store] does.
type Taker interface {
	Take(ctx context.Context, l store.Limit) (wait time.Duration, err error)
}

// Tokens are the token buckets of rate limits and quotas. They are in the store, so replicas share them. While the store does not
// answer, this process counts by itself: the limits then hold for each replica separately, and calls continue. One call every
// storeRetry asks the store again; the others do not wait for it.
type Tokens struct {
	taker Taker
	log   hclog.Logger

	mu      sync.Mutex
	retryAt time.Time                // when to ask the store again; zero: now
	local   map[string]*rate.Limiter // used while the store does not answer
}

// NewTokens returns token buckets in taker.
func NewTokens(taker Taker, log hclog.Logger) *Tokens {
	return &Tokens{taker: taker, log: log, local: map[string]*rate.Limiter{}}
}

// maxLocal is the most entries of Tokens.local; then they start over.
const maxLocal = 10_000

const (
	storeTimeout = 2 * time.Second // for the answer of the store, for which calls wait
	storeRetry   = 5 * time.Second // after the store did not answer
)

// take takes l.Tokens, at most l.Burst. A positive wait means that none were taken, and is the time until there may be enough.
func (t *Tokens) take(ctx context.Context, l store.Limit) time.Duration {
	if t.askStore() {
		asking, cancel := context.WithTimeout(ctx, storeTimeout)
		wait, err := t.taker.Take(asking, l)
		cancel()
		if err == nil {
			t.answered()
			return wait
		}
		if ctx.Err() == nil {
			t.log.Warn("the store did not answer for a limit; this process counts by itself and will ask again", "limit", l.Key, "error", err)
			t.failed()
		}
	}
	return t.takeLocal(l)
}

// askStore reports whether to ask the store. After it did not answer, one caller every storeRetry does.
func (t *Tokens) askStore() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if t.retryAt.IsZero() {
		return true
	}
	if now.Before(t.retryAt) {
		return false
	}
	t.retryAt = now.Add(storeRetry)
	return true
}

func (t *Tokens) answered() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retryAt = time.Time{}
}

func (t *Tokens) failed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retryAt = time.Now().Add(storeRetry)
}

// takeLocal takes tokens that this process counts.
func (t *Tokens) takeLocal(l store.Limit) (wait time.Duration) {
	now := time.Now()
	each := rate.Limit(float64(l.Rate) / l.Period.Seconds())
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.local[l.Key]
	if b == nil || b.Limit() != each || b.Burst() != l.Burst {
		if len(t.local) >= maxLocal {
			clear(t.local)
		}
		b = rate.NewLimiter(each, l.Burst)
		t.local[l.Key] = b
	}
	r := b.ReserveN(now, l.Tokens)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
	}
	return wait
}
