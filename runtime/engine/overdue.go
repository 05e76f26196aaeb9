package engine

import (
	"context"
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// overdue is the companion of an execution that may not wait in the queue for ever.
type overdue struct{ idle }

// prepare keeps the second wake as the commit needs it.
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

// expireQueued ends an execution whose time in the queue is over: [machine.State.Next] says so to whoever visits it. Where the store's clock
// is ahead of this one it is not over yet; then the lease lapses, and somebody visits it again.
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
	if err == nil || schemas.AsError(err).Code == schemas.CodeNotFound {
		_, err = r.store.Commit(ctx, store.Batch{Release: lease})
	}
	if err != nil && ctx.Err() == nil {
		r.log.Warn("end an execution that waited too long: trying again", "execution_id", id, "error", err)
	}
}
