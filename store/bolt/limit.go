package bolt

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/runplane/runplane/store"
)

// limits holds a token bucket for each key that is not full: a full one is as good as none, and falls away.
type limits struct {
	mu      sync.Mutex
	buckets map[string]*rate.Limiter
	sweepAt int // size at which to look for full ones
	closed  bool
}

// minSweep is the least number of buckets worth a sweep.
const minSweep = 1024

func (ls *limits) init() { ls.buckets = map[string]*rate.Limiter{} }

// Take takes tokens or says when to try again; see store.Store. Buckets live in memory and start full.
func (s *Store) Take(ctx context.Context, l store.Limit) (wait time.Duration, err error) {
	if l, err = l.Filled(); err != nil {
		return 0, err
	}
	if ctx.Err() != nil {
		return 0, store.Ended(ctx)
	}
	return s.limits.take(l, time.Now())
}

func (ls *limits) take(l store.Limit, now time.Time) (time.Duration, error) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.closed {
		return 0, store.ErrClosed
	}
	each := rate.Limit(float64(l.Rate) / l.Period.Seconds())
	b := ls.buckets[l.Key]
	if b == nil {
		ls.makeRoom(now)
		b = rate.NewLimiter(each, l.Burst)
		ls.buckets[l.Key] = b
	}
	if b.Limit() != each {
		b.SetLimitAt(now, each)
	}
	if b.Burst() != l.Burst {
		b.SetBurstAt(now, l.Burst)
	}
	r := b.ReserveN(now, l.Tokens)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait, nil
}

// makeRoom drops full buckets each time their number doubled, so that a sweep is paid for by as many new keys.
func (ls *limits) makeRoom(now time.Time) {
	if len(ls.buckets) < max(ls.sweepAt, minSweep) {
		return
	}
	for key, b := range ls.buckets {
		if b.TokensAt(now) >= float64(b.Burst()) {
			delete(ls.buckets, key)
		}
	}
	ls.sweepAt = 2 * len(ls.buckets)
}

func (ls *limits) close() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.closed = true
	ls.buckets = nil
}
