package machine

import (
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

// Failed decides what follows when attempt n of the unit ended with the error: another attempt, a verification, a
// fallback, a hold, or the end. The event is nil if the attempt is no longer in flight, because its end was decided before.
// took is the duration of the attempt; random returns numbers in [0,1).
//
//	effect       not_run   ran_failed   unknown
//	read         retry?    retry?       retry?
//	idempotent   retry?    retry?       retry?
//	once         retry?    retry?       verify, or on_unknown
//
// A call that may still run, because its outcome is unknown, is not repeated before it can no longer run (see mayRunUntil).
//
// "retry?" is the retry policy: codes, attempts, elapsed time. If it does not allow a retry, the fallback list comes next, and
// then on_error.
func (s *State) Failed(unit, n int, err *schemas.Error, took time.Duration, now time.Time, random func() float64) *schemas.Event {
	if !s.Attempt(unit, n) {
		return nil
	}
	e := s.about(unit, n, err, took)
	switch {
	case s.Status == schemas.StatusCompensating:
		s.compensationRetry(unit, e, now, random)
	case s.Status == schemas.StatusCancelling, s.Failing && err.Code == schemas.CodeCancelled:
		s.cancelled(unit, e, now, now)
	case s.Units[unit].Dropped > 0:
		if u := &s.Units[unit]; u.Phase == units.PhaseVerify && u.Error != nil {
			e.Error = u.Error // the outcome of its call stays unknown
		}
		s.cancelled(unit, e, now, now)
	case err.Refused():
		s.postponeOrRetry(unit, e, now, random)
	case err.Code == schemas.CodeCapabilityDrift && s.Target(unit) == &s.Node(unit).Target:
		e.Type, e.Reason = schemas.EventNodeHeld, schemas.ReasonDrift
	case s.isUnknownOnce(unit, err):
		s.resolveUnknown(unit, e, now, now)
	case err.Code == schemas.CodeCancelled: // stopped by a suspend or a shutdown, not a failure of the capability
		e.Type = schemas.EventAttemptLost
		s.repeatLater(unit, e, now, now)
	default:
		s.retryOrConclude(unit, e, now, random)
	}
	return e
}

// isUnknownOnce reports whether the call has the effect once, may have happened, and must not be repeated without a decision.
func (s *State) isUnknownOnce(unit int, err *schemas.Error) bool {
	return err.Outcome == schemas.Unknown && s.callsOnce(unit) && !s.repeatable(unit)
}

// repeatable reports whether the plan repeats calls of the unit whose outcome is unknown, and no policy forbids that.
func (s *State) repeatable(unit int) bool {
	return s.Node(unit).OnUnknown == schemas.OnUnknownRetry && !s.unknownRules(s.Target(unit)).ForbidRetry
}

// HoldUnknown is the hold of a unit that backs off to repeat a call of unknown outcome, if a policy now forbids that; nil: it may
// continue.
func (s *State) HoldUnknown(unit int) *schemas.Event {
	u := &s.Units[unit]
	if u.Status != schemas.NodeBackingOff || u.Phase != units.PhaseRun || u.Error == nil || !s.isUnknownOnce(unit, u.Error) {
		return nil
	}
	e := s.about(unit, u.Attempts, unknownOutcome(s.Target(unit), u.Error), 0)
	e.Type, e.Reason = schemas.EventNodeHeld, schemas.ReasonUnknown
	if !u.MayRunUntil.IsZero() {
		e.MayRunUntil = new(u.MayRunUntil)
	}
	return e
}

func unknownOutcome(t *plan.Target, err *schemas.Error) *schemas.Error {
	return schemas.Errorf(schemas.CodeOutcomeUnknown, "%s may have happened: %s", t.Name(), err.Message).WithOutcome(schemas.Unknown)
}

func (s *State) about(unit, n int, err *schemas.Error, took time.Duration) *schemas.Event {
	e := s.event("", unit)
	e.Attempt, e.Error, e.DurationMS = n, err, milliseconds(took)
	return &e
}

// resolveUnknown sets e to what the plan wants for a `once` call that may have happened: verify it, fail, or hold for a decision. seen is
// as for mayRunUntil.
func (s *State) resolveUnknown(unit int, e *schemas.Event, seen, now time.Time) {
	n := s.Node(unit)
	e.MayRunUntil = new(s.mayRunUntil(unit, e.Error, seen, now))
	e.Error = unknownOutcome(s.Target(unit), e.Error)
	switch {
	case n.Verify != nil && s.Units[unit].Phase == units.PhaseRun && s.Units[unit].Fallback == 0:
		e.Type = schemas.EventNodeVerifying
	case n.OnUnknown == schemas.OnUnknownFail && n.OnError == schemas.OnErrorSuspend:
		e.Type, e.Reason = schemas.EventNodeHeld, schemas.ReasonError
	case n.OnUnknown == schemas.OnUnknownFail: // and no fallback: the call may have had its effect
		e.Type = schemas.EventNodeFailed
	default:
		e.Type, e.Reason = schemas.EventNodeHeld, schemas.ReasonUnknown
	}
}

// retryOrConclude sets e to the backoff before the next attempt, or to the end if the policy allows none.
func (s *State) retryOrConclude(unit int, e *schemas.Event, now time.Time, random func() float64) {
	t, u := s.policy(unit), &s.Units[unit]
	repeat := e.Error.Outcome == schemas.Unknown && s.Node(unit).OnUnknown == schemas.OnUnknownRetry
	var until time.Time
	if repeat && s.callsOnce(unit) {
		until = s.mayRunUntil(unit, e.Error, now, now)
		e.MayRunUntil = &until
	}
	if u.Failures+1 < t.MaxAttempts && (repeat || plan.Retryable(*t, s.explicit(unit), e.Error)) {
		wait, _ := plan.Backoff(*t, u.Failures, random).Next()
		if after := e.Error.RetryAfter(); after > wait {
			wait = after
		}
		due := now.Add(wait)
		if !until.Equal(Forever) { // the plan's author accepted that the call may happen twice, not that two run at once
			due = later(due, until)
		}
		if limit := t.MaxElapsed.Std(); limit == 0 || u.Phase == units.PhaseUndo || due.Sub(u.AttemptsSince()) <= limit { // First is that of the node itself
			e.Type, e.Due = schemas.EventAttemptFailed, &due
			return
		}
	}
	s.conclude(unit, e)
}

// NotDone decides what follows when verification n of the unit found that its once call did not happen. If the call may have been
// running when the verification started, it is asked again. Otherwise the call counts as a failed attempt of the unit, so that the retry
// policy limits the attempts, and another attempt, a fallback or the end follows. The event is nil if the verification is no longer in
// flight.
func (s *State) NotDone(unit, n int, took time.Duration, now time.Time, random func() float64) *schemas.Event {
	u := &s.Units[unit]
	if !s.Attempt(unit, n) || u.Phase != units.PhaseVerify {
		return nil
	}
	why := "the call was not answered"
	if u.Error != nil {
		why = u.Error.Message
	}
	err := schemas.Errorf(schemas.CodeUnavailable, "the call did not happen, according to its verification: %s", why).
		WithOutcome(schemas.NotRun)
	e := s.about(unit, n, err, took)
	switch policy := &s.Node(unit).Retry; {
	case s.Status == schemas.StatusCancelling, u.Dropped > 0:
		e.Type = schemas.EventNodeCancelled
	case u.Since.Before(u.MayRunUntil):
		s.notYet(unit, e, now)
	case u.SpentBefore < policy.MaxAttempts:
		wait, _ := plan.Backoff(*policy, u.SpentBefore-1, random).Next()
		e.Type, e.Due = schemas.EventNodeNotDone, new(now.Add(wait))
	default:
		copyEnd(e, s.failed(unit, e.Error))
	}
	return e
}

// ChildFailed decides what follows when the execution that ran a workflow unit ended without success. The event is nil if the
// unit does not wait for that child.
func (s *State) ChildFailed(unit int, child string, err *schemas.Error, now time.Time, random func() float64) *schemas.Event {
	u := &s.Units[unit]
	if u.Status != schemas.NodeRunning || u.Child != child {
		return nil
	}
	e := s.about(unit, u.Attempts, err.WithOutcome(schemas.RanFailed), 0)
	if s.Status == schemas.StatusCancelling || s.Failing || u.Dropped > 0 {
		e.Type = schemas.EventNodeCancelled
		return e
	}
	if !s.Node(unit).RetryExplicit { // the plan may have had any effect: it runs again only if the node asks for retries
		s.conclude(unit, e)
		return e
	}
	s.retryOrConclude(unit, e, now, random)
	return e
}

// conclude sets e to the end of a unit that failed for good.
func (s *State) conclude(unit int, e *schemas.Event) { copyEnd(e, s.final(unit, e.Error)) }

// copyEnd copies the type and the error of another event about the same attempt to e.
func copyEnd(e, other *schemas.Event) {
	e.Type, e.Reason, e.Error, e.Fallback, e.Capability = other.Type, other.Reason, other.Error, other.Fallback, other.Capability
}

// policy is the retry policy of the unit's current call, or of the workflow node.
func (s *State) policy(unit int) *schemas.Retry {
	if t := s.Target(unit); t != nil {
		return &t.Retry
	}
	return &s.Node(unit).Retry
}

func (s *State) explicit(unit int) bool {
	if t := s.Target(unit); t != nil {
		return t.RetryExplicit
	}
	return s.Node(unit).RetryExplicit
}

// Final is the event of a unit that failed for good with the error: the next fallback, a hold with on_error: suspend, or its
// failure. A verification that fails for good holds the unit: its call may have happened.
func (s *State) Final(unit int, err *schemas.Error) schemas.Event { return *s.final(unit, err) }

func (s *State) final(unit int, err *schemas.Error) *schemas.Event {
	if s.Units[unit].Phase == units.PhaseVerify { // its outcome stays unknown
		e := s.event(schemas.EventNodeHeld, unit)
		e.Reason = schemas.ReasonUnknown
		e.Error = schemas.Errorf(schemas.CodeOutcomeUnknown, "the call may have happened, and its verification failed: %s", err.Message).
			WithOutcome(schemas.Unknown)
		return &e
	}
	return s.failed(unit, err)
}

// failed is the event of a unit whose failure is certain.
func (s *State) failed(unit int, err *schemas.Error) *schemas.Event {
	n, u := s.Node(unit), &s.Units[unit]
	var e schemas.Event
	switch {
	case u.Fallback < len(n.Fallbacks) && !u.Reviewed() && !(n.ForEach != nil && !s.IsItem(unit)):
		e = s.event(schemas.EventNodeFellBack, unit)
		e.Fallback = u.Fallback + 1
		if t := n.Fallbacks[u.Fallback].Target; t != nil {
			e.Capability = t.Name()
		}
	case n.OnError == schemas.OnErrorSuspend && !u.Reviewed():
		e = s.event(schemas.EventNodeHeld, unit)
		e.Reason = schemas.ReasonError
	default:
		e = s.event(schemas.EventNodeFailed, unit)
	}
	e.Error = err
	return &e
}

// timeoutEvent is the event of a unit whose total_timeout or queue_timeout has passed.
func (s *State) timeoutEvent(unit int, total bool, now time.Time) *schemas.Event {
	n, u := s.Node(unit), &s.Units[unit]
	if !total {
		why := ""
		if u.Status == schemas.NodeBackingOff && u.Error != nil {
			why = ": " + u.Error.Message
		}
		return s.final(unit, schemas.Errorf(schemas.CodeQueueTimeout,
			"the node could not start within %s, its queue_timeout%s", n.QueueTimeout, why).
			WithOutcome(schemas.NotRun))
	}
	err := schemas.Errorf(schemas.CodeTimeout, "the node did not end within %s, its total_timeout", n.TotalTimeout)
	if !u.Calling {
		return s.final(unit, err)
	}
	e := s.about(unit, u.Attempts, err.WithOutcome(schemas.Unknown), now.Sub(u.Since))
	if s.isUnknownOnce(unit, e.Error) {
		s.resolveUnknown(unit, e, now, now)
		return e
	}
	s.conclude(unit, e)
	return e
}

// DefaultMaxRecoveries is how often an execution may be taken over after a crash without one of its nodes ending, and how many
// workers in a row may die while one node's call is in flight, before the execution is suspended: a plan that kills its worker
// must not kill every worker, even if other nodes make progress meanwhile.
const DefaultMaxRecoveries = 5

// Recover decides about the attempts in flight of an execution whose worker died: an attempt that may be repeated is lost and
// made again without spending an attempt; a `once` call is verified or handled by on_unknown. Attempts for which alive is true
// are made by the new worker itself and stay in flight; a nil alive means none. Without attempts in flight there are no events.
// Apply the events in order.
func (s *State) Recover(by string, now time.Time, maxRecoveries int, alive func(unit, attempt int) bool) []schemas.Event {
	if s.counts.InFlight == 0 {
		return nil
	}
	events := []schemas.Event{{Type: schemas.EventRecovered, By: by}}
	var lost []int
	for i := range s.Units {
		if !s.Units[i].Calling || alive != nil && alive(i, s.Units[i].Attempts) {
			continue
		}
		gone := schemas.Errorf(schemas.CodeOutcomeUnknown, "the runtime stopped while the call was in flight").WithOutcome(schemas.Unknown)
		e := s.about(i, s.Units[i].Attempts, gone, 0)
		_, effect, _ := s.CallDefinition(i)
		repeat := effect.Rank() < schemas.EffectOnce.Rank()
		switch {
		case s.Status == schemas.StatusCompensating:
			e.Type = schemas.EventCompensationFailed
			if repeat && s.Recoveries < maxRecoveries {
				e.Due, e.Reason = new(now), stopped
			}
		case s.Status == schemas.StatusCancelling || s.Failing || s.Units[i].Dropped > 0:
			s.cancelled(i, e, time.Time{}, now)
		case repeat || s.repeatable(i):
			e.Type, e.Reason = schemas.EventAttemptLost, died
			s.repeatLater(i, e, time.Time{}, now)
		default:
			s.resolveUnknown(i, e, time.Time{}, now)
		}
		events = append(events, *e)
		lost = append(lost, i)
	}
	if len(events) == 1 {
		return nil
	}
	if reason := s.killers(lost, maxRecoveries); reason != "" && s.Status == schemas.StatusRunning && len(lost) == s.counts.InFlight {
		// Not suspended at once: workflow nodes may be running.
		events = append(events, schemas.Event{Type: schemas.EventSuspending, Name: SuspendDrain, Reason: reason})
	}
	return events
}

// died is the reason of an attempt that was lost because its worker died.
const died = "its worker died"

// killers is the reason to suspend: it names the units that seem to kill their workers; empty: none does yet.
func (s *State) killers(lost []int, most int) string {
	var names []string
	deaths := 0
	for _, unit := range lost {
		if u := &s.Units[unit]; u.Deaths >= most {
			names, deaths = append(names, s.Name(unit)), max(deaths, u.Deaths+1)
		}
	}
	if len(names) == 0 && s.Recoveries >= most {
		deaths = s.Recoveries + 1
		for _, unit := range lost {
			names = append(names, s.Name(unit))
		}
	}
	return units.Killers(names, deaths)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
