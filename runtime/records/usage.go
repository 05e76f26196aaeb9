package records

import (
	"context"
	"sync"
	"time"
)

// UsageAge is how old a count of what a principal keeps may be.
const UsageAge = time.Minute

const (
	usageShare = 100    // a count that takes long is made so seldom that it takes one part in so many of the time
	maxCounts  = 10_000 // remembered at once
)

// Usage counts what principals keep, so that one that never ends anything does not fill the store. A count is read from the store
// once and then goes on in memory; what other replicas make and what expires is in the next one. So a limit holds as nearly
// as a count is old, and no commit waits for another one's. The zero value is ready.
type Usage struct {
	mu     sync.Mutex
	counts map[Owner]*count
}

// Owner is a principal as the owner of records of one kind.
type Owner struct {
	Kind      string
	Principal string
}

type count struct {
	mu   sync.Mutex
	n    int
	at   time.Time // when it was read; zero: never
	took time.Duration
}

func (u *Usage) countOf(o Owner) *count {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.counts == nil || len(u.counts) >= maxCounts {
		u.counts = map[Owner]*count{}
	}
	c := u.counts[o]
	if c == nil {
		c = &count{}
		u.counts[o] = c
	}
	return c
}

// Add keeps a count true between two readings: n more records, or fewer.
func (u *Usage) Add(o Owner, n int) {
	c := u.countOf(o)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n = max(0, c.n+n)
}

// Room reports whether the owner may keep one more than the number that is returned. read counts the owner's records in the store.
func (u *Usage) CanAdd(ctx context.Context, o Owner, limit int, read func(context.Context, string) (int, error)) (kept int, ok bool, err error) {
	c := u.countOf(o)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() || time.Since(c.at) >= max(UsageAge, usageShare*c.took) {
		began := time.Now()
		n, err := read(ctx, o.Principal)
		if err != nil {
			return 0, false, err
		}
		c.n, c.at, c.took = n, time.Now(), time.Since(began)
	}
	return c.n, c.n < limit, nil
}
