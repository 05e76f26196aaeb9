package machine

import (
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

// nextCompensation compensates one unit after the other, the one that ended last first. A compensation that fails for good
// keeps its error and does not stop the others.
func (s *State) nextCompensation(now time.Time) []Action {
	if s.counts.InFlight > 0 {
		return nil
	}
	if n := len(s.toCompensate); n > 0 {
		unit := s.toCompensate[n-1]
		if u := &s.Units[unit]; u.Status == schemas.NodeCompensating && u.Due.After(now) {
			return nil
		}
		return []Action{{Kind: Undo, Unit: unit}}
	}
	status := schemas.StatusFailed
	if s.Cancelled {
		status = schemas.StatusCancelled
	}
	actions := s.end(status)
	if left := s.failedCompensations(); left != "" {
		e := actions[0].Event
		e.Error = e.Error.With(func(c *schemas.Error) {
			c.Message += "; not undone: " + left
			c.Hint = "undo the listed nodes by hand; get_execution_status with view failures has each error"
		})
	}
	return actions
}

// failedCompensations lists the units whose compensation failed.
func (s *State) failedCompensations() string {
	var list string
	for i := range s.Units {
		if u := &s.Units[i]; u.Phase == units.PhaseUndone && u.Status == schemas.NodeSucceeded {
			if list != "" {
				list += ", "
			}
			list += s.Name(i)
		}
	}
	return list
}

// stopped is the reason of an attempt that is repeated because the runtime itself ended it, on purpose or by a crash.
const stopped = "stopped"

// compensationRetry decides what follows a failed compensation: it has its own retry policy, and a `once` call of unknown
// outcome is not repeated.
func (s *State) compensationRetry(unit int, e *schemas.Event, now time.Time, random func() float64) {
	t, u := s.Target(unit), &s.Units[unit]
	e.Type = schemas.EventCompensationFailed
	if e.Error.Outcome == schemas.Unknown && t.Effect.Rank() >= schemas.EffectOnce.Rank() {
		return
	}
	if e.Error.Refused() {
		due, spent := s.refusal(unit, e, now, random)
		if !spent {
			e.Due, e.Reason = &due, string(e.Error.Code)
			return
		}
	}
	if e.Error.Code == schemas.CodeCancelled { // the runtime stopped: the next worker repeats it
		e.Due, e.Reason = new(now), stopped
		return
	}
	if u.Failures+1 >= t.Retry.MaxAttempts || !plan.Retryable(t.Retry, t.RetryExplicit, e.Error) {
		return
	}
	wait, _ := plan.Backoff(t.Retry, u.Failures, random).Next()
	e.Due = new(now.Add(max(wait, e.Error.RetryAfter())))
}
