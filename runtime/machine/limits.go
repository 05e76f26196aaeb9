package machine

import (
	"time"

	"github.com/runplane/runplane/schemas"
)

// What follows is about the limits of a plan, its own budget beside that of the tree. Calls and bytes are asked about before something
// starts, so that an execution which needs no more of them ends as usual; the time is over at a time. A compensation counts and is never
// refused: what was done is undone.

// PlanLimits returns the limits of the plan as they are now.
func (s *State) PlanLimits() schemas.PlanLimits {
	if own := s.program.Definition.Plan.Limits; own != nil {
		return own.With(s.Raised)
	}
	return s.Raised
}

// PlanUsed returns what counts against the limits of the plan at the time.
func (s *State) PlanUsed(now time.Time) schemas.PlanLimits {
	used := s.Account().Used
	return schemas.PlanLimits{Calls: int(used.Sent), Bytes: int(used.Bytes), Time: schemas.Duration(s.ran(now))}
}

// ran is how long the execution has been running.
func (s *State) ran(now time.Time) time.Duration {
	switch {
	case s.Started.IsZero():
		return 0
	case !s.Finished.IsZero():
		now = s.Finished
	case !s.Suspended.IsZero():
		now = s.Suspended
	}
	return now.Sub(s.Started) - s.Paused
}

// limitDue is when the time of the plan's limits is over; zero: there is no such limit, or one is reached already.
func (s *State) limitDue() time.Time {
	limit := s.PlanLimits().Time.Std()
	if limit == 0 || s.Limit != nil || s.Started.IsZero() {
		return time.Time{}
	}
	return s.Started.Add(s.Paused + limit)
}

// ReachedBy returns the event of a limit of the plan by which a unit may not start now; nil: it may.
func (s *State) ReachedBy(unit int, now time.Time) *schemas.Event {
	limits := s.PlanLimits()
	if limits == (schemas.PlanLimits{}) {
		return nil
	}
	n := s.Node(unit)
	calls := n.ForEach == nil || s.IsItem(unit)
	return s.reached(limits.Reached(s.PlanUsed(now), true, calls && (s.Target(unit) != nil || s.startsChild(unit))))
}

func (s *State) reached(r *schemas.ReachedLimit) *schemas.Event {
	if r == nil {
		return nil
	}
	e := &schemas.Event{Type: schemas.EventLimitReached, Limit: r, Reason: r.Reason()}
	if s.program.Definition.Plan.OnLimit == schemas.OnLimitFail {
		e.Error = r.Error()
	}
	return e
}

// nextLimit has an execution suspended that has reached a limit of its plan, or has it reach that of its time.
func (s *State) nextLimit(now time.Time) []Action {
	if s.Limit != nil {
		return emit(schemas.Event{Type: schemas.EventSuspending, Name: SuspendDrain, Reason: s.Limit.Reason(), Hold: schemas.ReasonBudget})
	}
	due := s.limitDue()
	if due.IsZero() || now.Before(due) || s.counts.Unended() == 0 {
		return nil
	}
	return emit(*s.reached(s.PlanLimits().Reached(s.PlanUsed(now), false, false)))
}

// limitReached: with an error the execution fails once the calls in flight have ended; without one it is suspended next.
func limitReached(s *State, _ int, e *schemas.Event) {
	if e.Error != nil {
		s.Failing, s.Error = true, e.Error
		return
	}
	s.Limit = e.Limit
}

func limitsRaised(s *State, _ int, e *schemas.Event) {
	if e.Limits != nil {
		s.Raised = s.Raised.With(*e.Limits)
	}
}
