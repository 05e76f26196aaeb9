package engine

import (
	"context"
	"errors"
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// overdue is the companion of an execution that may wait in the queue only for a limited time.
type overdue struct{ idle }

// prepare sets a second wake, for the end of that time, when the execution enters the queue, and removes it when the execution leaves it.
func (overdue) prepare(t *turn) {
	s, was := t.x.State, t.x.Head.Status
	at := s.QueueEnd()
	waits, waited := s.Status == schemas.StatusPending, was == schemas.StatusPending
	if at.IsZero() || waits == waited {
		return
	}
	w := store.Wake{Key: journal.OverdueKey(t.x.ID)}
	if waits {
		w.At = at
	}
	t.batch.Wakes = append(t.batch.Wakes, w)
}

// expireQueued handles that second wake: [machine.State.Next] ends the execution in any step after its time in the queue. If the store's
// clock is ahead of this one, that time is still to come; then the lease expires, and some replica tries again.
func (r *Engine) expireQueued(ctx context.Context, lease *store.Lease) {
	id := lease.Key.ID
	early := false
	err := r.Decide(ctx, id, func(s *machine.State, now time.Time) ([]schemas.Event, error) {
		early = s.Status == schemas.StatusPending && now.Before(s.QueueEnd())
		return nil, nil
	})
	if early && err == nil {
		return
	}
	if err == nil || errors.Is(err, journal.ErrUnread) || errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
		_, err = r.store.Commit(ctx, store.Batch{Release: lease})
	}
	if err != nil && ctx.Err() == nil {
		r.log.Warn("end an execution that waited too long in the queue: trying again", "execution_id", id, "error", err)
	}
}
