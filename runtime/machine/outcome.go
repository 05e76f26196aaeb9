package machine

import (
	"fmt"
	"strings"
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// Failed decides what follows when attempt n of the unit ended with the error: another attempt, a verification, a
// fallback, a hold, the end. The event is nil where the attempt is not in flight any more: its end was decided without
// it. took is the attempt's length; random gives numbers in [0,1).
//
//	effect       not_run   ran_failed   unknown
//	read         retry?    retry?       retry?
//	idempotent   retry?    retry?       retry?
//	once         retry?    retry?       verify, or on_unknown
//
// "retry?" is the retry policy: codes, attempts, elapsed time. Where it says no, the fallback list comes next, and then
// on_error.
func (s *State) Failed(unit, n int, err *schemas.Error, took time.Duration, now time.Time, random func() float64) *schemas.Event {
	if !s.Attempt(unit, n) {
		return nil
	}
	e := s.about(unit, n, err, took)
	switch {
	case s.Status == schemas.StatusCompensating:
		s.undoFailed(unit, e, now, random)
	case s.Status == schemas.StatusCancelling, s.Failing && err.Code == schemas.CodeCancelled:
		e.Type = schemas.EventNodeCancelled
	case err.Refused():
		e.Type, e.Reason = schemas.EventNodePostponed, string(err.Code)
		e.Due = postponed(err, now)
	case err.Code == schemas.CodeCapabilityDrift && s.Target(unit) == &s.Node(unit).Target:
		e.Type, e.Reason = schemas.EventNodeHeld, schemas.ReasonDrift
	case s.undecidedCall(unit, err):
		s.undecided(unit, e)
	case err.Code == schemas.CodeCancelled: // stopped by a suspend or a shutdown: not the capability's failure
		e.Type, e.Error = schemas.EventAttemptLost, nil
	default:
		s.again(unit, e, now, random)
	}
	return e
}

// minPostpone keeps a refusal without a time from becoming a busy loop.
const minPostpone = 100 * time.Millisecond

func postponed(err *schemas.Error, now time.Time) *time.Time {
	return new(now.Add(max(time.Duration(err.RetryAfterSeconds*float64(time.Second)), minPostpone)))
}

// undecidedCall: a `once` call that may have happened, and nobody said that it may be repeated.
func (s *State) undecidedCall(unit int, err *schemas.Error) bool {
	_, effect, _ := s.Goes(unit)
	return err.Outcome == schemas.Unknown && s.Target(unit) != nil && effect.Rank() >= schemas.EffectOnce.Rank() && !s.repeatable(unit)
}

// repeatable tells whether the plan has a call of the unit repeated whose outcome is unknown, and no rule forbids that.
func (s *State) repeatable(unit int) bool {
	return s.Node(unit).OnUnknown == schemas.OnUnknownRetry && (s.forbids == nil || !s.forbids(s.Target(unit)))
}

// Withheld is the hold of a unit that backs off to repeat a call of unknown outcome, where a rule forbids that by now; nil:
// it may go on.
func (s *State) Withheld(unit int) *schemas.Event {
	u := &s.Units[unit]
	if u.Status != schemas.NodeBackingOff || u.Phase != PhaseRun || u.Error == nil || !s.undecidedCall(unit, u.Error) {
		return nil
	}
	e := s.about(unit, u.Attempts, mayHave(s.Target(unit), u.Error), 0)
	e.Type, e.Reason = schemas.EventNodeHeld, schemas.ReasonUnknown
	return e
}

func mayHave(t *plan.Target, err *schemas.Error) *schemas.Error {
	return schemas.Errorf(schemas.CodeOutcomeUnknown, "%s may have happened: %s", t.Name(), err.Message).WithOutcome(schemas.Unknown)
}

func (s *State) about(unit, n int, err *schemas.Error, took time.Duration) *schemas.Event {
	e := s.event("", unit)
	e.Attempt, e.Error, e.DurationMS = n, err, milliseconds(took)
	return &e
}

// undecided makes e what the plan says of a `once` call that may have happened: verify it, fail, or hold for a decision.
func (s *State) undecided(unit int, e *schemas.Event) {
	n := s.Node(unit)
	e.Error = mayHave(s.Target(unit), e.Error)
	switch {
	case n.Verify != nil && s.Units[unit].Phase == PhaseRun && s.Units[unit].Fallback == 0:
		e.Type = schemas.EventNodeVerifying
	case n.OnUnknown == schemas.OnUnknownFail && n.OnError == schemas.OnErrorSuspend:
		e.Type, e.Reason = schemas.EventNodeHeld, schemas.ReasonError
	case n.OnUnknown == schemas.OnUnknownFail: // and no fallback: the call may have had its effect
		e.Type = schemas.EventNodeFailed
	default:
		e.Type, e.Reason = schemas.EventNodeHeld, schemas.ReasonUnknown
	}
}

// again makes e the next attempt's backoff, or the end where the policy allows none.
func (s *State) again(unit int, e *schemas.Event, now time.Time, random func() float64) {
	t, u := s.policy(unit), &s.Units[unit]
	if u.Failures+1 < t.MaxAttempts && (Retryable(*t, s.explicit(unit), e.Error) || e.Error.Outcome == schemas.Unknown && s.Node(unit).OnUnknown == schemas.OnUnknownRetry) {
		wait, _ := Backoff(*t, u.Failures, random).Next()
		if after := time.Duration(e.Error.RetryAfterSeconds * float64(time.Second)); after > wait {
			wait = after
		}
		due := now.Add(wait)
		if limit := t.MaxElapsed.Std(); limit == 0 || due.Sub(u.First) <= limit {
			e.Type, e.Due = schemas.EventAttemptFailed, &due
			return
		}
	}
	s.conclude(unit, e)
}

// NotDone decides what follows when verification n of the unit said that its once call had not happened: that call counts
// as a failed attempt of the unit, so that the retry policy bounds the tries, and there is another one, a fallback or the
// end. The event is nil where the verification is not in flight any more.
func (s *State) NotDone(unit, n int, took time.Duration, now time.Time, random func() float64) *schemas.Event {
	u := &s.Units[unit]
	if !s.Attempt(unit, n) || u.Phase != PhaseVerify {
		return nil
	}
	why := "the call was not answered"
	if u.Error != nil {
		why = u.Error.Message
	}
	e := s.about(unit, n, schemas.Errorf(schemas.CodeUnavailable, "it did not happen, as its verification says: %s", why).WithOutcome(schemas.NotRun), took)
	switch policy := &s.Node(unit).Retry; {
	case s.Status == schemas.StatusCancelling:
		e.Type = schemas.EventNodeCancelled
	case u.Spent < policy.MaxAttempts:
		wait, _ := Backoff(*policy, u.Spent-1, random).Next()
		e.Type, e.Due = schemas.EventNodeNotDone, new(now.Add(wait))
	default:
		become(e, s.failed(unit, e.Error))
	}
	return e
}

// ChildFailed decides what follows when the execution that ran a workflow unit ended without success. The event is nil
// where the unit does not wait for that child.
func (s *State) ChildFailed(unit int, child string, err *schemas.Error, now time.Time, random func() float64) *schemas.Event {
	u := &s.Units[unit]
	if u.Status != schemas.NodeRunning || u.Child != child {
		return nil
	}
	e := s.about(unit, u.Attempts, err.WithOutcome(schemas.RanFailed), 0)
	if s.Status == schemas.StatusCancelling || s.Failing {
		e.Type = schemas.EventNodeCancelled
		return e
	}
	if !s.Node(unit).RetryExplicit { // a plan within may have done anything: it runs again only where somebody asked for that
		s.conclude(unit, e)
		return e
	}
	s.again(unit, e, now, random)
	return e
}

// conclude makes e the end of a unit that failed for good.
func (s *State) conclude(unit int, e *schemas.Event) { become(e, s.final(unit, e.Error)) }

// become makes e say what the other event says, of the same attempt.
func become(e, other *schemas.Event) {
	e.Type, e.Reason, e.Error, e.Fallback, e.Capability = other.Type, other.Reason, other.Error, other.Fallback, other.Capability
}

// policy is the retry policy of what the unit calls now; a workflow node has its own.
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

// Final is the event for a unit that failed for good with the error: the next fallback, a hold under on_error: suspend,
// or its failure. A verification that fails for good holds the unit: its call may still have happened.
func (s *State) Final(unit int, err *schemas.Error) schemas.Event { return *s.final(unit, err) }

func (s *State) final(unit int, err *schemas.Error) *schemas.Event {
	if s.Units[unit].Phase == PhaseVerify { // nobody can tell whether it happened
		e := s.event(schemas.EventNodeHeld, unit)
		e.Reason = schemas.ReasonUnknown
		e.Error = schemas.Errorf(schemas.CodeOutcomeUnknown, "the call may have happened, and its verification failed: %s", err.Message).WithOutcome(schemas.Unknown)
		return &e
	}
	return s.failed(unit, err)
}

// failed is the event for a unit whose failure is certain.
func (s *State) failed(unit int, err *schemas.Error) *schemas.Event {
	n, u := s.Node(unit), &s.Units[unit]
	var e schemas.Event
	switch {
	case u.Fallback < len(n.Fallbacks) && !u.reviewed() && !(n.ForEach != nil && !s.IsItem(unit)):
		e = s.event(schemas.EventNodeFellBack, unit)
		e.Fallback = u.Fallback + 1
		if t := n.Fallbacks[u.Fallback].Target; t != nil {
			e.Capability = t.Name()
		}
	case n.OnError == schemas.OnErrorSuspend && !u.reviewed():
		e = s.event(schemas.EventNodeHeld, unit)
		e.Reason = schemas.ReasonError
	default:
		e = s.event(schemas.EventNodeFailed, unit)
	}
	e.Error = err
	return &e
}

// reviewed tells whether a person was asked about the unit: no then is the end of it.
func (u *Unit) reviewed() bool {
	return u.Status == schemas.NodeHeld && u.Reason == schemas.ReasonReview
}

// overdue is what the end of total_timeout or queue_timeout means for a unit.
func (s *State) overdue(unit int, total bool, now time.Time) *schemas.Event {
	n, u := s.Node(unit), &s.Units[unit]
	if !total {
		why := ""
		if u.Status == schemas.NodeBackingOff && u.Error != nil {
			why = ": " + u.Error.Message
		}
		return s.final(unit, schemas.Errorf(schemas.CodeQueueTimeout, "no room to start within %s, the queue_timeout of the node%s", n.QueueTimeout, why).WithOutcome(schemas.NotRun))
	}
	err := schemas.Errorf(schemas.CodeTimeout, "the node did not end within %s, its total_timeout", n.TotalTimeout)
	if !u.Calling {
		return s.final(unit, err)
	}
	e := s.about(unit, u.Attempts, err.WithOutcome(schemas.Unknown), now.Sub(u.Since))
	if s.undecidedCall(unit, e.Error) {
		s.undecided(unit, e)
		return e
	}
	s.conclude(unit, e)
	return e
}

// DefaultMaxRecoveries is how often an execution may be taken over after a crash without one of its nodes ending, and how many
// workers in a row may die while one node's call is in flight, before it is suspended: a plan that kills its worker must not
// kill every worker for ever, whatever else of it makes progress meanwhile.
const DefaultMaxRecoveries = 5

// Recover decides about the attempts in flight of an execution whose worker is gone: what may be repeated is lost and
// runs again without spending an attempt, a `once` call is verified or up to on_unknown. Attempts that are alive, because
// the new worker makes them itself, are left alone; nil: none is. Nothing in flight needs no event. The events are to be
// applied in order.
func (s *State) Recover(by string, now time.Time, maxRecoveries int, alive func(unit, attempt int) bool) []schemas.Event {
	if s.inFlight == 0 {
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
		_, effect, _ := s.Goes(i)
		repeat := effect.Rank() < schemas.EffectOnce.Rank()
		switch {
		case s.Status == schemas.StatusCompensating:
			e.Type = schemas.EventCompensationFailed
			if repeat && s.Recoveries < maxRecoveries {
				e.Due, e.Reason = new(now), stopped
			}
		case s.Status == schemas.StatusCancelling || s.Failing:
			e.Type = schemas.EventNodeCancelled
		case repeat || s.repeatable(i):
			e.Type, e.Error, e.Reason = schemas.EventAttemptLost, nil, died
		default:
			s.undecided(i, e)
		}
		events = append(events, *e)
		lost = append(lost, i)
	}
	if len(events) == 1 {
		return nil
	}
	if reason := s.deadly(lost, maxRecoveries); reason != "" && s.Status == schemas.StatusRunning && len(lost) == s.inFlight {
		events = append(events, schemas.Event{Type: schemas.EventSuspending, Name: SuspendDrain, Reason: reason}) // workflows may be under way
	}
	return events
}

// died is why an attempt was lost whose worker was gone.
const died = "its worker died"

// deadly says which of the units whose worker has just died seem to be what kills it; empty: it is too early to tell.
func (s *State) deadly(lost []int, most int) string {
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
	switch len(names) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("the runtime died %d times in a row while node %s ran, which may be the cause; resume_execution tries again", deaths, names[0])
	}
	return fmt.Sprintf("the runtime died %d times in a row while nodes %s ran, one of which may be the cause; resume_execution tries again",
		deaths, strings.Join(names[:min(len(names), maxDeadly)], ", "))
}

// maxDeadly is how many nodes the reason names at most.
const maxDeadly = 5
