package bolt

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/runplane/runplane/store"
)

// limits holds the token buckets that are not full. A full bucket is dropped: a missing one counts as full.
type limits struct {
	mu      sync.Mutex
	buckets map[string]*rate.Limiter
	sweepAt int // number of buckets at which full ones are dropped next
	closed  bool
}

// minSweep is the least number of buckets at which full ones are dropped.
const minSweep = 1024

func (ls *limits) init() { ls.buckets = map[string]*rate.Limiter{} }

// Take takes tokens or returns how long to wait; see store.Store. Buckets are in memory and start full.
func (s *Store) Take(ctx context.Context, l store.Limit) (wait time.Duration, err error) {
	if l, err = l.Filled(); err != nil {
		return 0, err
	}
	if ctx.Err() != nil {
		return 0, store.Ended(ctx)
	}
	if err := s.file.usable(); err != nil {
		return 0, err
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
		ls.dropFull(now)
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

// dropFull drops full buckets each time their number has doubled, so that the cost is shared by as many new keys.
func (ls *limits) dropFull(now time.Time) {
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
