package machine

import (
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/units"
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
	success := s.Succeeded(unit)
	if e.Type, e.Round = success.Type, success.Round; e.Type == schemas.EventNodeSucceeded {
		e.Type = schemas.EventNodeSettled
	}
	return append([]schemas.Event{*e}, s.resumeHeld(unit, by)...)
}

// LateFailure is the events after the late failure of attempt n, whose OutcomeOpen holds; none if nothing follows. A call that did not
// run, or ran and failed, is handled as if its result had come in time, but without a backoff. If it is only known that the call has
// ended, or the call is to be repeated whether it happened or not, the doubt ends.
func (s *State) LateFailure(unit, n int, err *schemas.Error, took time.Duration, by string, now time.Time) []schemas.Event {
	u := &s.Units[unit]
	switch {
	case err.Outcome == schemas.Unknown && !err.Ended:
		return nil
	case err.Outcome == schemas.Unknown, u.Status != schemas.NodeHeld && u.Phase != units.PhaseVerify:
		return s.callEnded(unit, n, err, now)
	}
	e := s.about(unit, n, err, took)
	policy, explicit, failures := s.policy(unit), s.explicit(unit), u.Failures
	if u.Phase == units.PhaseVerify { // of the call, not of its verification
		t := &s.Node(unit).Target
		policy, explicit, failures = &t.Retry, t.RetryExplicit, u.SpentBefore-1
	}
	switch {
	case err.Code == schemas.CodeCancelled || err.Refused():
		e.Type, e.Reason = schemas.EventNodeSettled, stopped
	case failures+1 < policy.MaxAttempts && plan.Retryable(*policy, explicit, err):
		e.Type = schemas.EventNodeSettled
	default:
		copyEnd(e, s.failed(unit, err))
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
	u := &s.Units[unit]
	if u.Phase == units.PhaseVerify {
		u.Failures, u.SpentBefore = u.SpentBefore-1, 0
		if !u.TotalDue.IsZero() { // it counts again
			s.timers.Add(u.TotalDue, unit)
		}
	}
	u.Phase = units.PhaseRun
	s.setStatus(unit, schemas.NodeReady, e, false)
	if u.Error = e.Error; e.Reason == "" {
		u.Failures++
	}
	u.UnknownAttempt, u.MayRunUntil = 0, time.Time{}
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
