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

// Tokens are the tokens of rate limits and quotas. They are the store's, so that replicas that share a store share them. While
// it does not answer, this process counts for itself: the bounds hold for each replica alone then, and calls go on. One call in
// a while finds out whether it is back; the others do not wait for that.
type Tokens struct {
	taker Taker
	log   hclog.Logger

	mu    sync.Mutex
	away  time.Time                // nobody asks the store before
	alone map[string]*rate.Limiter // full at first
}

// NewTokens makes tokens that taker has.
func NewTokens(taker Taker, log hclog.Logger) *Tokens {
	return &Tokens{taker: taker, log: log, alone: map[string]*rate.Limiter{}}
}

// maxAlone bounds the memory of a process that counts for itself; beyond, it begins anew.
const maxAlone = 10_000

const (
	takeWait  = 2 * time.Second // for the store's answer; calls wait for it
	takeAgain = 5 * time.Second // after one that did not come
)

// take takes l.Tokens, at most l.Burst of them. A positive wait means that none were taken and how long until it may work.
func (t *Tokens) take(ctx context.Context, l store.Limit) time.Duration {
	if t.reachable() {
		asking, cancel := context.WithTimeout(ctx, takeWait)
		wait, err := t.taker.Take(asking, l)
		cancel()
		if err == nil {
			t.back()
			return wait
		}
		if ctx.Err() == nil {
			t.log.Warn("the store does not answer for a limit: this process counts alone", "limit", l.Key, "error", err)
			t.lost()
		}
	}
	return t.count(l)
}

// reachable tells whether the store is to be asked. Where it did not answer, one caller in takeAgain finds out whether it does.
func (t *Tokens) reachable() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if t.away.IsZero() {
		return true
	}
	if now.Before(t.away) {
		return false
	}
	t.away = now.Add(takeAgain)
	return true
}

func (t *Tokens) back() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.away = time.Time{}
}

func (t *Tokens) lost() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.away = time.Now().Add(takeAgain)
}

// count takes tokens of this process alone.
func (t *Tokens) count(l store.Limit) (wait time.Duration) {
	now := time.Now()
	each := rate.Limit(float64(l.Rate) / l.Period.Seconds())
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.alone[l.Key]
	if b == nil || b.Limit() != each || b.Burst() != l.Burst {
		if len(t.alone) >= maxAlone {
			clear(t.alone)
		}
		b = rate.NewLimiter(each, l.Burst)
		t.alone[l.Key] = b
	}
	r := b.ReserveN(now, l.Tokens)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
	}
	return wait
}
