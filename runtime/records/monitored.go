package records

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/runplane/runplane/store"
)

// A store may answer reads and refuse writes: a Redis whose memory or disk is full, or that became a replica. A health check that only
// reads would not notice, so the last refusal is remembered.

const kindHealth = "health"

// monitored is a store that remembers whether it refused a batch for a reason of its own, such as a full disk.
type monitored struct {
	store.Store
	refusal atomic.Pointer[lastRefusal] // nil: the last batch was written
}

// lastRefusal is the partition that was refused: a store may fail for a part of its keys only.
type lastRefusal struct{ partition string }

// Commit is the Commit of the store.
func (m *monitored) Commit(ctx context.Context, b store.Batch) (store.Committed, error) {
	done, err := m.Store.Commit(ctx, b)
	if len(b.Puts) == 0 { // a store that is full still accepts deletes and releases
		return done, err
	}
	partition := b.Puts[0].Key.Partition()
	switch {
	case err == nil:
		if r := m.refusal.Load(); r != nil && r.partition == partition {
			m.refusal.CompareAndSwap(r, nil)
		}
	case ctx.Err() != nil, errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrInvalid), errors.Is(err, store.ErrClosed):
	default:
		m.refusal.Store(&lastRefusal{partition})
	}
	return done, err
}

// CheckWrite returns nil if the store accepts writes, as far as is known. After a refusal it writes a record into the same
// partition, and returns the error of that. by distinguishes the records of replicas.
func (m *monitored) CheckWrite(ctx context.Context, by string) error {
	r := m.refusal.Load()
	if r == nil {
		return nil
	}
	trial := store.Put{Key: store.Key{Kind: kindHealth, ID: r.partition + "/" + by}, Version: store.AnyVersion, TTL: time.Minute}
	_, err := m.Commit(ctx, store.Batch{Puts: []store.Put{trial}})
	return err
}
