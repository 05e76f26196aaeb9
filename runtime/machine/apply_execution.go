package machine

import (
	"cmp"
	"time"

	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

func created(s *State, _ int, e *schemas.Event) {
	s.Status, s.Created, s.Priority = schemas.StatusPending, e.At, e.Priority
	if e.Due != nil {
		s.Deadline = *e.Due
	}
	if e.QueueDue != nil {
		s.QueueDue = *e.QueueDue
	}
	s.OwnPlaces = e.Places
	granted(s, -1, e)
}

// granted: the execution may use what its parent grants it.
func granted(s *State, _ int, e *schemas.Event) {
	if e.Budget != nil {
		s.Allowance = *e.Budget
	}
}

// called: a call of its tree came back to this runtime, which made an execution of it.
func called(s *State, _ int, _ *schemas.Event) { s.ChildrenMade++ }

func prioritised(s *State, _ int, e *schemas.Event) { s.Priority = e.Priority }

func started(s *State, _ int, e *schemas.Event) {
	s.Status, s.Started = schemas.StatusRunning, e.At
	s.queueClocks(e.At)
}

func suspending(s *State, _ int, e *schemas.Event) {
	s.Status, s.Reason, s.Now, s.WithParent = schemas.StatusSuspending, e.Reason, e.Name == SuspendNow, e.Parent != ""
	s.Held = cmp.Or(e.Hold, s.Held)
}

// Modes of a suspend, in Event.Name.
const (
	SuspendDrain = "drain"
	SuspendNow   = "now"
)

// suspended ends a suspending, whose reason it keeps, or comes without one.
func suspended(s *State, _ int, e *schemas.Event) {
	s.Held = cmp.Or(e.Hold, s.Held)
	switch s.Status {
	case schemas.StatusSuspended: // it is to stay suspended when its parent is resumed
		s.Reason, s.WithParent = e.Reason, e.Parent != ""
		return
	case schemas.StatusSuspending:
		s.Reason = cmp.Or(e.Reason, s.Reason)
	default:
		s.Reason, s.WithParent = e.Reason, e.Parent != ""
	}
	s.Status, s.Suspended, s.Now = schemas.StatusSuspended, e.At, false
}

func resumed(s *State, _ int, e *schemas.Event) {
	if !s.Suspended.IsZero() && !s.Deadline.IsZero() {
		s.Deadline = s.Deadline.Add(e.At.Sub(s.Suspended))
	}
	if !s.Suspended.IsZero() && !s.Started.IsZero() {
		s.Paused += e.At.Sub(s.Suspended)
	}
	suspended := s.Suspended
	s.Suspended, s.Now, s.WithParent, s.Reason, s.Recoveries = time.Time{}, false, false, e.Reason, 0
	s.Held, s.Limit = "", nil
	s.Status = schemas.StatusRunning
	if s.Started.IsZero() {
		s.Started = e.At
	}
	for i := range s.Units {
		u := &s.Units[i]
		u.Deaths, u.ChildSuspended = 0, false
		if r := u.Rounds; r != nil && !r.Due.IsZero() && u.Status != schemas.NodeHeld && !suspended.IsZero() { // a hold is counted when it ends
			r.Due = r.Due.Add(e.At.Sub(suspended))
		}
	}
	s.counts.ChildrenSuspended = 0
	s.queueClocks(e.At)
}

func cancelling(s *State, _ int, e *schemas.Event) {
	s.Status, s.Reason, s.Suspended, s.WithParent, s.Cancelled = schemas.StatusCancelling, e.Reason, time.Time{}, false, true
	s.Undo, s.Held, s.Limit = e.Name == CancelUndo, "", nil
	if e.Due != nil {
		s.GraceUntil = *e.Due
	}
}

// CancelUndo is the Event.Name of a cancel that compensates what succeeded.
const CancelUndo = "compensate"

func recovered(s *State, _ int, _ *schemas.Event) {
	s.Recoveries++
	s.Takeovers++
}

// signalled delivers the signal to every node that waits for it; if none does, the signal is kept for the next one that will.
func signalled(s *State, _ int, e *schemas.Event) {
	waiting := s.listening[e.Name]
	delete(s.listening, e.Name)
	s.Signals = append(s.Signals, units.Signal{Name: e.Name, At: e.At, Data: e.Data})
	for _, unit := range waiting {
		if u := &s.Units[unit]; u.Status == schemas.NodeRunning && u.Signal == 0 { // others have stopped waiting since
			u.Signal = len(s.Signals)
			s.Signals[u.Signal-1].Taken = true
			s.delivered.Push(unit)
		}
	}
}

func compensating(s *State, _ int, e *schemas.Event) {
	s.Status, s.GraceUntil = schemas.StatusCompensating, time.Time{}
	for i := range s.Units {
		if u := &s.Units[i]; !u.Status.Ended() {
			s.cancelUnended(i, e)
		}
	}
	s.clearQueues()
	s.listCompensations()
}

func (s *State) clearQueues() {
	s.ready, s.readyWithoutCall, s.unstartable, s.joins, s.delivered = [schemas.PriorityLast]units.Queue{}, units.Queue{}, units.Queue{}, units.Queue{}, units.Queue{}
	s.asking = units.Queue{}
	s.timers, s.retries, s.dropped = units.Timers{}, units.Timers{}, units.Queue{}
}

// cancelUnended marks a unit as cancelled because its execution has ended, without notifying its dependents.
func (s *State) cancelUnended(unit int, e *schemas.Event) {
	u := &s.Units[unit]
	if u.HoldsChild() {
		s.settle(u, nil)
	}
	s.addToCounts(unit, -1)
	u.CancelUnended(e.At)
	s.addToCounts(unit, 1)
}

func finished(s *State, _ int, e *schemas.Event) {
	for i := range s.Units {
		if u := &s.Units[i]; !u.Status.Ended() {
			s.cancelUnended(i, e)
		}
	}
	s.clearQueues()
	s.toCompensate = nil
	s.Status, s.Finished, s.Output, s.OutputRef, s.Error = e.Status, e.At, e.Output, e.OutputRef, e.Error
	s.GraceUntil, s.Suspended = time.Time{}, time.Time{}
}
