package records

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/store"
)

// A store may answer reads and refuse writes: a Redis whose memory or disk is full, or that became a replica. A health check that only
// reads would not notice, so the last refusal is remembered.

const kindHealth = "health"

// monitored is a store that remembers whether it refused a batch for a reason of its own, such as a full disk.
type monitored struct {
	store.Store
	log     hclog.Logger
	refusal atomic.Pointer[lastRefusal] // nil: the last batch was written
}

// lastRefusal is the batch that was refused: a store may fail for a part of its keys only, and a full disk may have room for less.
type lastRefusal struct {
	partition string
	bytes     int
}

// The trial of CheckWrite writes more than was refused, within bounds: a store whose disk is full may still find room for a little in its
// own file, and is not well again.
const (
	trialMore = 256 << 10
	trialMost = 1 << 20
)

// Commit is the Commit of the store.
func (m *monitored) Commit(ctx context.Context, b store.Batch) (store.Committed, error) {
	done, err := m.Store.Commit(ctx, b)
	if len(b.Puts) == 0 { // a store that is full still accepts deletes and releases
		return done, err
	}
	switch {
	case err == nil:
		if r := m.refusal.Load(); r != nil && r.partition == b.Puts[0].Key.Partition() && size(&b) >= r.bytes &&
			m.refusal.CompareAndSwap(r, nil) {
			m.log.Info("the store accepts what is written again")
		}
	case ctx.Err() != nil, errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrInvalid), errors.Is(err, store.ErrClosed):
	default:
		r := &lastRefusal{b.Puts[0].Key.Partition(), size(&b)}
		if m.refusal.Swap(r) == nil {
			m.log.Warn("the store refuses what is written: trying again until it accepts it", "error", err)
		}
	}
	return done, err
}

// size is about how much a batch adds to a store.
func size(b *store.Batch) (n int) {
	for i := range b.Puts {
		n += len(b.Puts[i].Value)
	}
	for i := range b.Appends {
		n += len(b.Appends[i].Value)
	}
	return n
}

// CheckWrite returns nil if the store accepts writes, as far as is known. After a refusal it writes more than was refused into the same
// partition, and returns the error of that. by distinguishes the records of replicas.
func (m *monitored) CheckWrite(ctx context.Context, by string) error {
	r := m.refusal.Load()
	if r == nil {
		return nil
	}
	trial := store.Put{
		Key: store.Key{Kind: kindHealth, ID: r.partition + "/" + by}, Value: make([]byte, min(r.bytes+trialMore, trialMost)),
		Version: store.AnyVersion, TTL: time.Minute,
	}
	_, err := m.Commit(ctx, store.Batch{Puts: []store.Put{trial}})
	if err == nil { // it need not stay until it expires
		trial.Value = nil
		_, _ = m.Store.Commit(ctx, store.Batch{Puts: []store.Put{trial}})
	}
	return err
}

// Conditions returns what an operator should see of the store.
func (m *monitored) Conditions() []store.Condition {
	if c, ok := m.Store.(store.Conditioned); ok {
		return c.Conditions()
	}
	return nil
}
