package machine

import (
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

// What follows is about the end of a doubt. A `once` call of unknown outcome may still be running at its realm, so that a "no" of its
// verification, or a decision to call again, may come before its effect. Until when it may run is in the event that ended the attempt:
// its start, its timeout, and the policy's settle after that; less if it is known that the call has ended.

// UnknownRules is what the operator's policies, as they are now, say about calls of a target whose outcome is unknown.
type UnknownRules struct {
	ForbidRetry bool          // a plan's on_unknown: retry counts as suspend
	Settle      time.Duration // how long a call may still run at its realm after its timeout
	Queue       time.Duration // how long an attempt that has started may wait before its call is sent
}

// Forever is until when a call without a timeout may run.
var Forever = time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)

// SetUnknownRules sets the function that returns the rules of a target. It is not part of the state; what follows from the rules is in
// the events. nil: plans may repeat, and calls settle within [schemas.DefaultSettle].
func (s *State) SetUnknownRules(of func(*plan.Target) UnknownRules) { s.rules = of }

func (s *State) unknownRules(t *plan.Target) UnknownRules {
	if s.rules == nil {
		return UnknownRules{Settle: schemas.DefaultSettle.Std()}
	}
	return s.rules(t)
}

// mayRunUntil is until when the unit's attempt in flight, which ends with an unknown outcome, may still run. seen is when the process
// that made the call stopped waiting for it; zero: that process died.
func (s *State) mayRunUntil(unit int, err *schemas.Error, seen, now time.Time) time.Time {
	t := s.Target(unit)
	switch {
	case err.Ended:
		return now
	case t.Timeout <= 0:
		return Forever
	}
	rules := s.unknownRules(t)
	return later(s.Units[unit].Since.Add(rules.Queue+t.Timeout.Std()), seen).Add(rules.Settle)
}

// noteDoubt keeps when the attempt that e ends started, and until when it may still run. Events of earlier versions do not say the latter.
func (s *State) noteDoubt(unit int, e *schemas.Event) {
	u := &s.Units[unit]
	if u.Calling && u.Phase == units.PhaseRun {
		u.UnknownSince = u.Since
	}
	switch {
	case e.MayRunUntil != nil:
		u.MayRunUntil = *e.MayRunUntil
	case u.Calling && u.Phase == units.PhaseRun && e.Error != nil && e.Error.Outcome == schemas.Unknown && s.callsOnce(unit):
		u.MayRunUntil = Forever
		if d := s.Target(unit).Timeout.Std(); d > 0 {
			u.MayRunUntil = u.Since.Add(d + schemas.DefaultSettle.Std())
		}
	}
}

// cancelled sets e to the end of a unit that is not waited for any more. seen is as for mayRunUntil.
func (s *State) cancelled(unit int, e *schemas.Event, seen, now time.Time) {
	e.Type = schemas.EventNodeCancelled
	if u := &s.Units[unit]; u.Calling && u.Phase == units.PhaseRun && e.Error.Outcome == schemas.Unknown && s.callsOnce(unit) {
		e.MayRunUntil = new(s.mayRunUntil(unit, e.Error, seen, now))
	}
}

// callsOnce reports whether the unit's current call has the effect once.
func (s *State) callsOnce(unit int) bool {
	_, effect, _ := s.CallDefinition(unit)
	return s.Target(unit) != nil && effect.Rank() >= schemas.EffectOnce.Rank()
}

// MayRunUntil is until when a call of the unit, or of an item of it that did not succeed, may still run; zero: it has ended.
func (s *State) MayRunUntil(unit int) time.Time {
	u := &s.Units[unit]
	until := u.MayRunUntil
	for i := range u.Count {
		if item := &s.Units[u.FirstItem+i]; item.Status != schemas.NodeSucceeded {
			until = later(until, item.MayRunUntil)
		}
	}
	return until
}

// longestAsk is the longest time between two verifications of one call.
const longestAsk = 5 * time.Minute

// notYet sets e to what follows when a verification found that its call did not happen, but was asked while the call may still have
// been running: it is asked again, later each time, and the last time when the call can no longer run. If no time is known from which
// it cannot, a person decides.
func (s *State) notYet(unit int, e *schemas.Event, now time.Time) {
	u, name := &s.Units[unit], s.Node(unit).Name()
	if u.MayRunUntil.Equal(Forever) {
		e.Type, e.Reason = schemas.EventNodeHeld, schemas.ReasonUnknown
		e.Error = schemas.Errorf(schemas.CodeOutcomeUnknown, "%s did not happen until now, according to its verification, but may still run: "+
			"its call has no timeout", name).WithOutcome(schemas.Unknown)
		return
	}
	due := now.Add(min(time.Second<<min(u.Verified, 20), longestAsk))
	if due.After(u.MayRunUntil) {
		due = later(u.MayRunUntil, now)
	}
	e.Type, e.Due = schemas.EventNodeNotYet, &due
	e.Error = schemas.Errorf(schemas.CodeOutcomeUnknown, "%s did not happen until now, according to its verification, but may still run until %s: "+
		"its verification is asked again", name, u.MayRunUntil.UTC().Format(time.RFC3339)).WithOutcome(schemas.Unknown)
}

// repeatLater sets when a lost attempt is repeated. A `once` call, which the plan repeats though its outcome is unknown, is repeated when
// it can no longer run, if there is such a time; everything else at once.
func (s *State) repeatLater(unit int, e *schemas.Event, seen, now time.Time) {
	if e.Error.Outcome == schemas.Unknown && s.callsOnce(unit) {
		if until := s.mayRunUntil(unit, e.Error, seen, now); until.After(now) && !until.Equal(Forever) {
			e.Due, e.MayRunUntil = &until, &until
			return
		}
	}
	e.Error = nil
}

// nodeNotYet: the verification is asked again at the due time.
func nodeNotYet(s *State, unit int, e *schemas.Event) {
	u := s.setStatus(unit, schemas.NodeBackingOff, e, false)
	u.Failures = 0
	u.Verified++
	s.backOff(unit, e)
}

// callEnded is the event that ends the doubt about attempt n of the unit: the call can no longer run, and whether it happened is still
// unknown. None if the outcome is not open, or the doubt has ended already.
func (s *State) callEnded(unit, n int, err *schemas.Error, now time.Time) []schemas.Event {
	if !s.OutcomeOpen(unit, n) || !s.Units[unit].MayRunUntil.After(now) {
		return nil
	}
	e := s.about(unit, n, err, 0)
	e.Type = schemas.EventNodeCallEnded
	return []schemas.Event{*e}
}

// nodeCallEnded: a unit that waited for the end of the doubt continues at once.
func nodeCallEnded(s *State, unit int, e *schemas.Event) {
	u := &s.Units[unit]
	waits := u.Status == schemas.NodeBackingOff && (u.Due.Equal(u.MayRunUntil) || u.Phase == units.PhaseVerify && u.Verified > 0 && u.Reason == "")
	switch {
	case u.Phase != units.PhaseVerify:
		u.MayRunUntil = time.Time{}
	default: // what is in flight was asked before
		u.MayRunUntil = e.At
	}
	if waits {
		u.Due = e.At
		s.retries.Add(u.Due, unit)
	}
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
