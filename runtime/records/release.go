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
func (r *Store) GiveBack(l *store.Lease, at time.Time) {
	if l == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	wake := store.Wake{Key: l.Key}
	if places, err := r.Places(ctx, []store.Key{wake.Key}); err == nil && places[0].Wake != nil {
		wake = *places[0].Wake // its priority and its turn are the same as before
	}
	wake.At = at
	if _, err := r.Commit(ctx, store.Batch{Release: l, Wakes: []store.Wake{wake}}); err != nil {
		r.log.Debug("release", "key", l.Key, "error", err)
	}
}

// ReturnAll gives back what was claimed and is not worked on.
func (r *Store) ReturnAll(leases []store.Lease) {
	for i := range leases {
		r.GiveBack(&leases[i], Now())
	}
}
