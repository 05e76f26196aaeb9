package runtime

import (
	"context"
	"time"

	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// An execution that waits in the queue and may not wait for ever (the plan has a queue_timeout or a timeout) has a second
// key with a wake at that time. Whoever claims it ends the execution if it waits still, however full the queue is and though it
// is paused. Who starts the execution takes the wake away.

func overdueKey(id string) store.Key { return store.Key{Kind: kindOverdue, ID: id} }

// expires keeps the second wake as the commit needs it.
func (t *turn) expires() {
	s, was := t.x.state, t.x.head.Status
	at := s.QueueEnd()
	waits, waited := s.Status == schemas.StatusPending, was == schemas.StatusPending
	if at.IsZero() || waits == waited {
		return
	}
	w := store.Wake{Key: overdueKey(t.x.id)}
	if waits {
		w.At = at
	}
	t.batch.Wakes = append(t.batch.Wakes, w)
}

// expire ends an execution whose time in the queue is over: [machine.State.Next] says so to whoever visits it. Where the store's clock
// is ahead of this one it is not over yet; then the lease lapses, and somebody visits it again.
func (r *Runtime) expire(ctx context.Context, lease *store.Lease) {
	id := lease.Key.ID
	early := false
	err := r.transition(ctx, id, func(s *machine.State, now time.Time) ([]schemas.Event, error) {
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
