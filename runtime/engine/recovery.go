package engine

import (
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/schemas"
)

// maxDeaths is how many processes in a row may die with a mark on an execution before it is held, unless a mark says that it was by its own
// expressions. A process can also be killed by something else in just that moment.
const maxDeaths = 2

// takeOver starts a pending execution, or decides on what its last owner left: on the calls in flight, and on an execution by which that
// owner died. A crash counts as a recovery, also without calls in flight, in a commit before anything is evaluated.
func (o *owner) takeOver(s *machine.State, now time.Time) ([]schemas.Event, error) {
	x, last := o.x, o.x.Head.Worker
	mark := x.Head.Evaluating
	if mark != nil && mark.Worker == o.r.worker {
		mark = nil
	}
	if mark == nil && x.died && last == "" {
		mark = &journal.Mark{} // it died between its claim and its first commit, perhaps by this execution; others may have been there too
	}
	kills := mark != nil && (mark.Own || mark.Deaths+1 >= maxDeaths)
	if s.Status == schemas.StatusPending && !kills {
		if len(s.Next(now)) > 0 { // its time in the queue is over
			return nil, nil
		}
		events := []schemas.Event{{Type: schemas.EventStarted, By: o.r.worker}}
		if mark != nil {
			events = append(events, schemas.Event{Type: schemas.EventRecovered, By: o.r.worker})
			x.recovering, x.Head.Deaths = true, mark.Deaths+1
		}
		return events, nil
	}
	events := s.Recover(o.r.worker, now, o.r.limits.MaxRecoveries, o.isCalling)
	if crashed := mark != nil || last != "" && last != o.r.worker; crashed {
		if len(events) == 0 && machine.Legal(schemas.EventRecovered, s.Status, "") {
			events = []schemas.Event{{Type: schemas.EventRecovered, By: o.r.worker}}
		}
		x.recovering = len(events) > 0
	}
	switch {
	case mark == nil:
	case kills:
		o.r.log.Error("a process died while it evaluated an execution: the execution is held until it is resumed or cancelled",
			"execution_id", x.ID, "name", x.Head.Name, "worker", mark.Worker)
		events = append(events, holdForRecovery(s, now, o.r.worker)...)
	default:
		x.Head.Deaths = mark.Deaths + 1
	}
	return events, nil
}

// holdForRecovery returns the events that hold an execution by which a process died: it is suspended before anything of it is evaluated
// again. A compensation is not held: that of the unit that was next fails instead, and is listed in the error.
func holdForRecovery(s *machine.State, now time.Time, by string) []schemas.Event {
	const reason = "the runtime died while it evaluated this execution, which may be the cause; resume_execution tries again"
	e := schemas.Event{Type: schemas.EventSuspended, By: by, Reason: reason, Hold: schemas.ReasonRecovery}
	switch s.Status {
	case schemas.StatusRunning, schemas.StatusSuspending: // workflow nodes may be running
		e.Type, e.Name = schemas.EventSuspending, machine.SuspendDrain
	case schemas.StatusPending:
	case schemas.StatusCompensating:
		next := s.Next(now)
		if len(next) == 0 || next[0].Kind != machine.Undo {
			return nil
		}
		e = s.Event(schemas.EventCompensationFailed, next[0].Unit)
		e.Error = schemas.Errorf(schemas.CodeInternal, "the runtime died while it evaluated the compensation").WithOutcome(schemas.NotRun)
	default:
		return nil
	}
	return []schemas.Event{e}
}
