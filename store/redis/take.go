package redis

import (
	"context"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/runplane/runplane/store"
)

// limiter is redis_rate, which sends its own script through the client and does not use lanes.
type limiter struct{ rate *redis_rate.Limiter }

func (l *limiter) init(s *Store) {
	if s.cluster != nil {
		l.rate = redis_rate.NewLimiter(s.cluster)
	} else {
		l.rate = redis_rate.NewLimiter(s.single)
	}
}

// Take takes tokens or returns how long to wait; see store.Store. Buckets are shared by all processes and start full.
func (s *Store) Take(ctx context.Context, l store.Limit) (wait time.Duration, err error) {
	if l, err = l.Filled(); err != nil {
		return 0, err
	}
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	type answer struct {
		result *redis_rate.Result
		err    error
	}
	done := make(chan answer, 1)
	key := s.shardOf(l.Key).bucket(l.Key)
	if err := s.background(func() {
		s.trips.Add(1)
		r, err := s.limiter.rate.AllowN(s.life, key, redis_rate.Limit{Rate: l.Rate, Burst: l.Burst, Period: l.Period}, l.Tokens)
		done <- answer{r, err}
	}); err != nil {
		return 0, err
	}
	select {
	case a := <-done:
		if a.err != nil {
			return 0, classify(a.err)
		}
		return max(a.result.RetryAfter, 0), nil
	case <-ctx.Done():
		return 0, store.Ended(ctx)
	}
}
