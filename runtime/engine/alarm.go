package engine

import (
	"context"
	"errors"
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// alarmLag is by how much the time of day must be ahead of the store's time for an alarm to end a wait: otherwise the wake of the execution
// does.
const alarmLag = time.Second

// setAlarm sets a second wake for a unit that waits until a time, which is due by the time of day: when the machine's clock is set ahead, the
// store's time, by which the execution has its wake, follows slowly. A shared store has one time for both.
func (t *turn) setAlarm(unit int, due time.Time) {
	if t.r.store.TwoTimes() {
		t.batch.Wakes = append(t.batch.Wakes, store.Wake{Key: journal.AlarmKey(t.x.ID, unit, due), At: due})
	}
}

// ring handles an alarm: it ends the wait if that still lasts. The alarm of one that has ended, or of an execution that was deleted, does
// nothing.
func (r *Engine) ring(ctx context.Context, lease *store.Lease) {
	id, unit, due, ok := journal.ParseAlarm(lease.Key)
	var err error
	if ok && r.store.Day().Sub(r.store.Now()) >= alarmLag {
		err = r.Decide(ctx, id, func(s *machine.State, _ time.Time) ([]schemas.Event, error) {
			if s.Status != schemas.StatusRunning || unit >= len(s.Units) || s.Node(unit).Kind != plan.KindWait ||
				s.Units[unit].Status != schemas.NodeRunning || s.Units[unit].Due.UnixMicro() != due.UnixMicro() {
				return nil, nil
			}
			return []schemas.Event{s.Event(schemas.EventNodeSucceeded, unit)}, nil
		})
	}
	if err == nil || errors.Is(err, journal.ErrUnread) || errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
		_, err = r.store.Commit(ctx, store.Batch{Release: lease})
	}
	if err != nil && ctx.Err() == nil {
		r.log.Warn("end a wait whose time has come: trying again", "execution_id", id, "error", err)
	}
}
