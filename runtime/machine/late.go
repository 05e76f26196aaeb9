package machine

import (
	"time"

	"github.com/runplane/runplane/schemas"
)

// What follows is about late results: a call whose worker was thought dead, or whose time was over, ends after all. Its result
// counts as long as there was no decision about the unit, and changes nothing that was decided.

// OutcomeOpen reports whether attempt n of the unit is the call of unknown outcome for which the unit is held, or which is being
// verified, or which according to its verification did not happen while the next call has not started.
func (s *State) OutcomeOpen(unit, n int) bool {
	u := &s.Units[unit]
	return n > 0 && u.UnknownAttempt == n && Legal(schemas.EventNodeSettled, s.Status, u.Status)
}

// LateSuccess is the events after the late success of attempt n, whose OutcomeOpen holds. The first is about the unit and takes the output.
func (s *State) LateSuccess(unit, n int, took time.Duration, by string) []schemas.Event {
	e := s.about(unit, n, nil, took)
	e.Type = schemas.EventNodeSettled
	return append([]schemas.Event{*e}, s.resumeHeld(unit, by)...)
}

// LateFailure is the events after the late failure of attempt n, whose OutcomeOpen holds; none if the outcome is still unknown. A
// call that did not run, or ran and failed, is handled as if its result had come in time, but without a backoff.
func (s *State) LateFailure(unit, n int, err *schemas.Error, took time.Duration, by string) []schemas.Event {
	u := &s.Units[unit]
	if err.Outcome == schemas.Unknown || u.Status != schemas.NodeHeld { // a verification determines the outcome itself
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
		return []schemas.Event{*e} // held for another reason now
	}
	return append([]schemas.Event{*e}, s.resumeHeld(unit, by)...)
}

// nodeSettled: with an error the call is made again; with a reason too, that spends no attempt.
func nodeSettled(s *State, unit int, e *schemas.Event) {
	if e.Error == nil {
		nodeSucceeded(s, unit, e)
		return
	}
	s.Units[unit].Phase = PhaseRun
	u := s.setStatus(unit, schemas.NodeReady, e, false)
	if u.Error = e.Error; e.Reason == "" {
		u.Failures++
	}
	u.UnknownAttempt = 0
	u.CallMS += e.DurationMS
}

// heldSuspends is the reason of an execution that is suspended because only held units are left. It is stored and compared: keep it.
const heldSuspends = "a held node needs a decision: resume_execution with a patch for it"

// resumeHeld resumes an execution that was suspended only because of this held unit.
func (s *State) resumeHeld(unit int, by string) []schemas.Event {
	if s.Status != schemas.StatusSuspended || s.Reason != heldSuspends {
		return nil
	}
	for i := range s.Units {
		if u := &s.Units[i]; i != unit && u.Status == schemas.NodeHeld && u.Reason != schemas.ReasonReview {
			return nil
		}
	}
	return []schemas.Event{{Type: schemas.EventResumed, By: by, Reason: "the missing result arrived late"}}
}
