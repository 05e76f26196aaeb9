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

// Config is what a Queue is made of. Store, Log and InFlight are required.
type Config struct {
	Store     *records.Store
	Log       hclog.Logger
	MaxQueued int        // executions that wait when new ones are refused; 0: 10,000
	Capacity  int        // executions in memory at once
	InFlight  func() int // executions that are in memory now
}

// Queue is the contract Queue.
type Queue struct {
	store     *records.Store
	log       hclog.Logger
	maxQueued int
	capacity  int
	inFlight  func() int
	empty     atomic.Bool // nothing waited when this process last claimed
	pauses    pauses
	admission admission
}

// New makes a Queue; it reads nothing.
func New(c Config) *Queue {
	return &Queue{
		store: c.Store, log: c.Log, maxQueued: cmp.Or(c.MaxQueued, 10_000), capacity: c.Capacity, inFlight: c.InFlight, pauses: pauses{reopened: records.NewSignal()},
	}
}

// SetVacant says whether a claim of this process found nothing more that waits.
func (q *Queue) SetVacant(vacant bool) { q.empty.Store(vacant) }

// Changed takes note that a record was changed, perhaps by another replica.
func (q *Queue) Changed(ctx context.Context, key store.Key) {
	if key == pauseKey {
		q.pauses.invalidate()
		q.Paused(ctx)
	}
}

// Status tells how full the queue is. The numbers count everybody's executions.
func (q *Queue) Status(ctx context.Context) (schemas.QueueStatus, error) {
	stored, err := q.store.Queue(ctx, journal.KindExecution)
	if err != nil {
		return schemas.QueueStatus{}, records.Error(err)
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
		out.OldestAgeSeconds = max(0, records.Now().Sub(stored.Oldest).Seconds())
	}
	return out, nil
}

// Pause keeps every replica from claiming and from starting what is submitted, until ResumeQueue; by names who wants it, empty
// means the caller. What is in memory goes on. A queue that is paused already keeps its time and takes the new reason.
func (q *Queue) Pause(ctx context.Context, reason, by string) (schemas.QueueStatus, error) {
	if by == "" {
		by = caller.From(ctx).Principal
	}
	for {
		pause, version, err := q.readPause(ctx)
		if err != nil {
			return schemas.QueueStatus{}, err
		}
		next := schemas.QueuePause{By: by, Since: records.Now(), Reason: reason}
		if pause != nil {
			next.Since = pause.Since
		}
		value, err := schemas.Encode(next)
		if err != nil {
			return schemas.QueueStatus{}, err
		}
		_, err = q.store.Commit(ctx, store.Batch{Puts: []store.Put{{Key: pauseKey, Value: value, Version: version}}, Sync: true})
		if errors.Is(err, store.ErrConflict) {
			continue // somebody else paused or resumed it
		}
		if err != nil {
			return schemas.QueueStatus{}, records.Error(err)
		}
		q.pauses.set(&next)
		q.log.Info("the queue is paused", "by", by, "reason", reason)
		return q.Status(ctx)
	}
}

// Resume ends a pause; without one it changes nothing.
func (q *Queue) Resume(ctx context.Context) (schemas.QueueStatus, error) {
	if _, err := q.store.Commit(ctx, store.Batch{Deletes: []store.Key{pauseKey}, Sync: true}); err != nil {
		return schemas.QueueStatus{}, records.Error(err)
	}
	q.pauses.set(nil)
	q.log.Info("the queue is open", "by", caller.From(ctx).Principal)
	return q.Status(ctx)
}
