package machine

import (
	"fmt"
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

// A call may be refused for now by two kinds of limits. One of the runtime says when it has room again, and costs nothing to ask.
// A realm may say anything, or nothing: each refusal in a row is waited for longer, and every MaxRefusals of them are a failed
// attempt, so that the retry policy ends what the realm never accepts.

// minPostpone prevents a busy loop after a refusal by the runtime without a time.
const minPostpone = 100 * time.Millisecond

// postponeOrRetry sets e to the postponement of a call that was refused, or to its failed attempt.
func (s *State) postponeOrRetry(unit int, e *schemas.Event, now time.Time, random func() float64) {
	due, spent := s.refusal(unit, e, now, random)
	if spent {
		s.retryOrConclude(unit, e, now, random)
		return
	}
	e.Type, e.Reason, e.Due = schemas.EventNodePostponed, string(e.Error.Code), &due
}

// refusal is when a refused call is due again. spent reports that it is a failed attempt instead; then the error in e is not
// retried before that time.
func (s *State) refusal(unit int, e *schemas.Event, now time.Time, random func() float64) (due time.Time, spent bool) {
	err, u, t := e.Error, &s.Units[unit], s.Target(unit)
	if err.RefusedBy != schemas.RefusedByRealm || t == nil {
		return now.Add(max(err.RetryAfter(), minPostpone)), false
	}
	wait, _ := plan.Backoff(t.Retry, u.RefusedInRow, random).Next()
	wait = max(wait, jittered(err.RetryAfter(), random), minPostpone)
	due = now.Add(wait)
	n := u.RefusedInRow + 1
	switch limit := t.Retry.MaxElapsed.Std(); {
	case t.MaxRefusals > 0 && n%t.MaxRefusals == 0:
		err = err.With(func(c *schemas.Error) {
			c.Message += fmt.Sprintf("; refused %d times in a row, of which each %d are a failed attempt (max_refusals)", n, t.MaxRefusals)
		})
	case limit > 0 && u.Phase != units.PhaseUndo && due.Sub(u.AttemptsSince()) > limit: // First is that of the node itself
	default:
		return due, false
	}
	e.Error = err.WithRetryAfter(wait)
	return due, true
}

// jittered is d and up to a tenth more, so that calls that were refused together are not repeated together.
func jittered(d time.Duration, random func() float64) time.Duration {
	return d + time.Duration(float64(d)/10*random())
}
