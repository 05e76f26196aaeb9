package call

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// usedUp is what this process knows to be used up: until when there is not enough, by the key of a quota. The zero value is ready.
type usedUp struct {
	some  atomic.Bool // it is not empty
	mu    sync.Mutex
	until map[string]time.Time
}

// Early is a [Wrapper] that refuses what Wrap would refuse as far as this process knows. It stands before everything that costs
// others something, so that who has used up his quota and calls on does not use up what he shares with them.
func (q *Quotas) Early(next Invoker) Invoker {
	return Func(func(ctx context.Context, c *Call) (*Result, error) {
		if q.known.some.Load() {
			if err := q.known.refusal(q.bills(c)); err != nil {
				return nil, err
			}
		}
		return next.Invoke(ctx, c)
	})
}

// refusal is the error of the first quota that is known to be used up; nil: none is.
func (u *usedUp) refusal(bills []bill) error {
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

// note remembers that a quota is used up for so long; beyond maxKeys it begins anew.
func (u *usedUp) note(key string, wait time.Duration) {
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
