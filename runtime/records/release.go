package records

import (
	"context"
	"time"

	"github.com/runplane/runplane/store"
)

// The shortest and the longest pause between two tries of a commit to a store that does not answer.
const (
	MinDelay = 100 * time.Millisecond
	MaxDelay = 5 * time.Second
)

// GiveBack releases what cannot be worked on here, so that it is tried again at the time, or never with a zero one, and
// blocks nothing until then. A nil lease is none.
func (s *Store) GiveBack(l *store.Lease, at time.Time) {
	if l == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	wake := store.Wake{Key: l.Key}
	if places, err := s.Places(ctx, []store.Key{wake.Key}); err == nil && places[0].Wake != nil {
		wake = *places[0].Wake // its priority and its turn are the same as before
	}
	wake.At = at
	if _, err := s.Commit(ctx, store.Batch{Release: l, Wakes: []store.Wake{wake}}); err != nil {
		s.log.Debug("release", "key", l.Key, "error", err)
	}
}

// ReturnAll gives back what was claimed and is not worked on.
func (s *Store) ReturnAll(leases []store.Lease) {
	for i := range leases {
		s.GiveBack(&leases[i], Now())
	}
}
