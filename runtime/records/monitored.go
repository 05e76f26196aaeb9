package records

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/runplane/runplane/store"
)

// A store may answer what is read and refuse what is written: a Redis whose memory is full, whose disk is, or that became a
// replica. Who reads for his health would not see it, so the last refusal is remembered.

const kindHealth = "health"

// monitored is a store, and the last refusal of a batch for the store's own sake.
type monitored struct {
	store.Store
	refusal atomic.Pointer[lastRefusal] // nil: the last batch was written
}

// lastRefusal is where it was: a store may be in trouble with a part of its keys alone.
type lastRefusal struct{ partition string }

func (m *monitored) Commit(ctx context.Context, b store.Batch) (store.Committed, error) {
	done, err := m.Store.Commit(ctx, b)
	if len(b.Puts) == 0 { // what only deletes and releases is taken by a full memory too
		return done, err
	}
	partition := b.Puts[0].Key.Partition()
	switch {
	case err == nil:
		if r := m.refusal.Load(); r != nil && r.partition == partition {
			m.refusal.CompareAndSwap(r, nil)
		}
	case ctx.Err() == nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrClosed):
		m.refusal.Store(&lastRefusal{partition})
	}
	return done, err
}

// Refuses says why something cannot be written; nil: it can. After a refusal it writes beside what was refused, to find out whether that is over.
func (m *monitored) CheckWrite(ctx context.Context, by string) error {
	r := m.refusal.Load()
	if r == nil {
		return nil
	}
	_, err := m.Commit(ctx, store.Batch{Puts: []store.Put{{Key: store.Key{Kind: kindHealth, ID: r.partition + "/" + by}, Version: store.AnyVersion, TTL: time.Minute}}})
	return err
}
