package records

import (
	"context"
	"time"

	"github.com/runplane/runplane/store"
)

// The shortest and the longest delay before a request to a store that does not answer is tried again.
const (
	minRetryDelay = 100 * time.Millisecond
	maxRetryDelay = 5 * time.Second
)

// NextDelay is the delay before the next try of a request to a store that does not answer, after a delay of d; 0: before the first.
func NextDelay(d time.Duration) time.Duration { return min(max(2*d, minRetryDelay), maxRetryDelay) }

// Pause waits for d, or until ctx ends.
func Pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// Release releases a lease whose key cannot be handled here; the key is due again at the time, never if that is zero. It tries once, for
// a second at most: if that fails, the lease expires. A nil lease is ignored.
func (s *Store) Release(l *store.Lease, at time.Time) {
	if l == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	wake := store.Wake{Key: l.Key}
	if places, err := s.Places(ctx, []store.Key{wake.Key}); err == nil && places[0].Wake != nil {
		wake = *places[0].Wake // with the same priority and fairness as before
	}
	wake.At = at
	if _, err := s.Commit(ctx, store.Batch{Release: l, Wakes: []store.Wake{wake}}); err != nil {
		s.log.Debug("release a lease: it will expire", "key", l.Key, "error", err)
	}
}

// ReleaseAll releases leases that were claimed and not used; their keys are due at once.
func (s *Store) ReleaseAll(leases []store.Lease) {
	for i := range leases {
		s.Release(&leases[i], Now())
	}
}
