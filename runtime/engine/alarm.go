package engine

import (
	"context"
	"errors"
	"slices"
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

// alarms is the companion of an execution that waits until times: an alarm is removed in the commit that ends its wait.
type alarms struct {
	idle
	looked, any bool // whether the plan has such nodes, once it was looked at
}

func (a *alarms) applying(t *turn, e *schemas.Event) func() {
	if !t.r.store.TwoTimes() || !a.has(t.x.State.Program()) {
		return nil
	}
	s := t.x.State
	switch {
	case e.Type == schemas.EventFinished, e.Type == schemas.EventCompensating: // ends all of them
		for unit := range s.Units {
			if isWaiting(s, unit) {
				t.removeAlarm(unit, s.Units[unit].Due)
			}
		}
	case machine.AboutNode(e.Type) && e.Type != schemas.EventNodeStarted:
		unit, ok := s.Unit(e.Node, e.Item)
		if !ok || !isWaiting(s, unit) {
			return nil
		}
		due := s.Units[unit].Due
		return func() {
			if !isWaiting(s, unit) {
				t.removeAlarm(unit, due)
			}
		}
	}
	return nil
}

func (a *alarms) has(p *plan.Program) bool {
	if !a.looked {
		a.looked = true
		a.any = slices.ContainsFunc(p.Nodes, func(n plan.Node) bool { return n.Kind == plan.KindWait })
	}
	return a.any
}

// isWaiting reports whether a unit waits until a time, or for a duration.
func isWaiting(s *machine.State, unit int) bool {
	u := &s.Units[unit]
	return u.Status == schemas.NodeRunning && !u.Due.IsZero() && s.Node(unit).Kind == plan.KindWait
}

// removeAlarm removes the alarm of a wait, which has none if it is for a duration.
func (t *turn) removeAlarm(unit int, due time.Time) {
	t.batch.Wakes = append(t.batch.Wakes, store.Wake{Key: journal.AlarmKey(t.x.ID, unit, due)})
}

// setAlarm sets a second wake for a unit that waits until a time, which is due by the time of day: when the machine's clock is set ahead,
// the store's time, by which the execution has its wake, follows slowly. A shared store has one time for both.
func (t *turn) setAlarm(unit int, due time.Time) {
	if t.r.store.TwoTimes() {
		t.batch.Wakes = append(t.batch.Wakes, store.Wake{Key: journal.AlarmKey(t.x.ID, unit, due), At: due})
	}
}

// rings has the statuses in which an alarm ends a wait. The others end all waits.
var rings = map[schemas.Status]bool{schemas.StatusRunning: true, schemas.StatusSuspending: true, schemas.StatusSuspended: true}

// ring handles an alarm: it ends the wait if that still lasts, also while the execution is suspended, as it rings once. The alarm of an
// execution that was deleted does nothing.
func (r *Engine) ring(ctx context.Context, lease *store.Lease) {
	id, unit, due, ok := journal.ParseAlarm(lease.Key)
	var err error
	if ok && r.store.Day().Sub(r.store.Now()) >= alarmLag {
		err = r.Decide(ctx, id, func(s *machine.State, _ time.Time) ([]schemas.Event, error) {
			if !rings[s.Status] || unit >= len(s.Units) || !isWaiting(s, unit) || s.Units[unit].Due.UnixMicro() != due.UnixMicro() {
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
