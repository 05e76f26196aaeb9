package queue

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Config configures a Queue. Store, Log and InFlight are required.
type Config struct {
	Store     *records.Store
	Log       hclog.Logger
	MaxQueued int        // when so many executions wait, new ones are refused; 0: 10,000
	Capacity  int        // how many executions may be in memory at once
	InFlight  func() int // returns how many executions are in memory now
}

// Queue implements the contract Queue.
type Queue struct {
	store     *records.Store
	log       hclog.Logger
	maxQueued int
	capacity  int
	inFlight  func() int
	empty     atomic.Bool // whether nothing waited when this process last claimed
	pauses    pauses
	admission admission
}

// New returns a Queue; it reads nothing.
func New(c Config) *Queue {
	return &Queue{
		store: c.Store, log: c.Log, maxQueued: cmp.Or(c.MaxQueued, 10_000), capacity: c.Capacity, inFlight: c.InFlight,
		pauses: pauses{reopened: records.NewSignal()},
	}
}

// SetEmpty sets whether nothing was left waiting after the last claim of this process.
func (q *Queue) SetEmpty(empty bool) { q.empty.Store(empty) }

// Changed reads the pause again if its record changed; it is called with each key that the store's watch names.
func (q *Queue) Changed(ctx context.Context, key store.Key) {
	if key == pauseKey {
		q.pauses.invalidate()
		q.Paused(ctx)
	}
}

// Status counts the executions that wait, run and sleep, those of all principals.
func (q *Queue) Status(ctx context.Context) (schemas.QueueStatus, error) {
	stored, err := q.store.Queue(ctx, journal.KindExecution)
	if err != nil {
		return schemas.QueueStatus{}, records.StoreError(err)
	}
	pause, _, err := q.readPause(ctx)
	if err != nil {
		return schemas.QueueStatus{}, err
	}
	out := schemas.QueueStatus{
		DepthByPriority: map[string]int{}, InFlight: q.inFlight(), Leased: stored.Leased, Sleeping: stored.Sleeping,
		Capacity: q.capacity, MaxQueued: q.maxQueued, Paused: pause,
	}
	for i, n := range stored.Due {
		out.Depth += n
		out.DepthByPriority[strconv.Itoa(i+1)] = n
	}
	if !stored.Oldest.IsZero() {
		out.OldestAgeSeconds = max(0, q.store.Now().Sub(stored.Oldest).Seconds())
	}
	return out, nil
}

// Pause stops every replica from claiming executions and from starting submitted ones, until Resume; executions in memory continue. by names
// who pauses it; empty: the caller. A queue that is paused already keeps the time since when it is, and gets the new reason.
func (q *Queue) Pause(ctx context.Context, reason, by string) (schemas.QueueStatus, error) {
	if by == "" {
		by = caller.From(ctx).Principal
	}
	for {
		pause, version, err := q.readPause(ctx)
		if err != nil {
			return schemas.QueueStatus{}, err
		}
		next := schemas.QueuePause{By: by, Since: q.store.Now(), Reason: reason}
		if pause != nil {
			next.Since = pause.Since
		}
		value, err := schemas.Encode(next)
		if err != nil {
			return schemas.QueueStatus{}, err
		}
		_, err = q.store.Commit(ctx, store.Batch{Puts: []store.Put{{Key: pauseKey, Value: value, Version: version}}, Sync: true})
		if errors.Is(err, store.ErrConflict) {
			continue // another replica paused or resumed it
		}
		if err != nil {
			return schemas.QueueStatus{}, records.StoreError(err)
		}
		q.pauses.set(&next)
		q.log.Info("the queue is paused", "by", by, "reason", reason)
		return q.Status(ctx)
	}
}

// Resume ends a pause; a queue that is open stays open.
func (q *Queue) Resume(ctx context.Context) (schemas.QueueStatus, error) {
	if _, err := q.store.Commit(ctx, store.Batch{Deletes: []store.Key{pauseKey}, Sync: true}); err != nil {
		return schemas.QueueStatus{}, records.StoreError(err)
	}
	q.pauses.set(nil)
	q.log.Info("the queue is open", "by", caller.From(ctx).Principal)
	return q.Status(ctx)
}
