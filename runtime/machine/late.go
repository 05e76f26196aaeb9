package machine

import (
	"time"

	"github.com/runplane/runplane/schemas"
)

// What follows is about evidence: a call whose worker was thought dead, or whose time was over, ends after all. Its result is believed as
// long as nobody has decided about the unit, and changes nothing that was decided.

// Undecided tells whether attempt n of the unit is the call of unknown outcome that the unit is held for, or that is
// being verified, or that its verification denied while the next call has not started.
func (s *State) Undecided(unit, n int) bool {
	u := &s.Units[unit]
	return n > 0 && u.Doubt == n && Legal(schemas.EventNodeSettled, s.Status, u.Status)
}

// Settled are the events behind the late success of attempt n, which is Undecided: the first is the unit's, for the output.
func (s *State) Settled(unit, n int, took time.Duration, by string) []schemas.Event {
	e := s.about(unit, n, nil, took)
	e.Type = schemas.EventNodeSettled
	return append([]schemas.Event{*e}, s.unsuspended(unit, by)...)
}

// SettledFailed are the events behind the late failure of attempt n, which is Undecided; none where it tells nothing new. A
// call that did not run, or ran and failed, goes the way that it would have gone in time, but for the backoff, which is over.
func (s *State) SettledFailed(unit, n int, err *schemas.Error, took time.Duration, by string) []schemas.Event {
	u := &s.Units[unit]
	if err.Outcome == schemas.Unknown || u.Status != schemas.NodeHeld { // a verification finds out by itself
		return nil
	}
	e := s.about(unit, n, err, took)
	switch policy := s.policy(unit); {
	case err.Code == schemas.CodeCancelled || err.Refused():
		e.Type, e.Reason = schemas.EventNodeSettled, stopped
	case u.Failures+1 < policy.MaxAttempts && Retryable(*policy, s.explicit(unit), err):
		e.Type = schemas.EventNodeSettled
	default:
		s.conclude(unit, e)
	}
	if e.Type == schemas.EventNodeHeld {
		return []schemas.Event{*e} // for another reason now
	}
	return append([]schemas.Event{*e}, s.unsuspended(unit, by)...)
}

// nodeSettled with an error has the call made again; a reason says why that spends no attempt.
func nodeSettled(s *State, unit int, e *schemas.Event) {
	if e.Error == nil {
		nodeSucceeded(s, unit, e)
		return
	}
	s.Units[unit].Phase = PhaseRun
	u := s.change(unit, schemas.NodeReady, e, false)
	if u.Error = e.Error; e.Reason == "" {
		u.Failures++
	}
	u.Doubt = 0
	u.CallMS += e.DurationMS
}

// heldSuspends is why an execution is suspended whose last way on is a held unit.
const heldSuspends = "a held node needs a decision: resume_execution with a patch for it"

// unsuspended resumes an execution that was suspended for nothing but this held unit.
func (s *State) unsuspended(unit int, by string) []schemas.Event {
	if s.Status != schemas.StatusSuspended || s.Reason != heldSuspends {
		return nil
	}
	for i := range s.Units {
		if u := &s.Units[i]; i != unit && u.Status == schemas.NodeHeld && u.Reason != schemas.ReasonReview {
			return nil
		}
	}
	return []schemas.Event{{Type: schemas.EventResumed, By: by, Reason: "the result that was missing came late"}}
}
