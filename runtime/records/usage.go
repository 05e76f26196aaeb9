package records

import (
	"context"
	"sync"
	"time"
)

// UsageAge is how old a count of a principal's records may be.
const UsageAge = time.Minute

const (
	usageShare = 100    // counting takes at most one part in so many of the time: slow counts are read less often
	maxCounts  = 10_000 // in memory at once
)

// Usage counts the records of principals, so that one that never deletes anything does not fill the store. A count is read from the store
// and then continued in memory; records of other replicas and records that expire appear in the next reading. So limits hold
// approximately, within UsageAge, and no commit waits for another one. The zero value is ready.
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
	at   time.Time     // when it was read from the store; zero: never
	took time.Duration // that reading it took
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

// Add adds n, which may be negative, to a count between two readings.
func (u *Usage) Add(o Owner, n int) {
	c := u.countOf(o)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n = max(0, c.n+n)
}

// CanAdd reports whether the owner may keep one more record than the kept ones; it may not once it keeps limit. read counts the records of
// a principal in the store.
func (u *Usage) CanAdd(
	ctx context.Context, o Owner, limit int, read func(ctx context.Context, principal string) (int, error),
) (kept int, ok bool, err error) {
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
