package call

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// usedUp is the quotas that this process knows to be used up: until when, by the key of the quota. The zero value is ready.
type usedUp struct {
	some  atomic.Bool // until is not empty
	mu    sync.Mutex
	until map[string]time.Time
}

// Early is a [Wrapper] that refuses what Wrap would refuse, as far as this process knows. It comes before everything that takes
// shared resources, so that a caller that has used up its quota does not use up what it shares with others.
func (q *Quotas) Early(next Invoker) Invoker {
	return Func(func(ctx context.Context, c *Call) (*Result, error) {
		if q.known.some.Load() {
			if err := q.known.refusal(q.charges(c)); err != nil {
				return nil, err
			}
		}
		return next.Invoke(ctx, c)
	})
}

// refusal is the error of the first quota that is known to be used up, or nil.
func (u *usedUp) refusal(bills []charge) error {
	if !u.some.Load() {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	for i := range bills {
		until, known := u.until[bills[i].key]
		if known && until.After(now) {
			return bills[i].refusal(until.Sub(now))
		}
		delete(u.until, bills[i].key)
	}
	u.some.Store(len(u.until) > 0)
	return nil
}

// add records that a quota is used up for the wait. At maxKeys entries it starts over.
func (u *usedUp) add(key string, wait time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.until == nil || len(u.until) >= maxKeys {
		u.until = map[string]time.Time{}
	}
	u.until[key] = time.Now().Add(wait)
	u.some.Store(true)
}

func (u *usedUp) forget() {
	u.mu.Lock()
	defer u.mu.Unlock()
	clear(u.until)
	u.some.Store(false)
}
