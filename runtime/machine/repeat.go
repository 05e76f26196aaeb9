package machine

import (
	"fmt"
	"time"

	"github.com/runplane/runplane/schemas"
)

// What follows is about nodes with repeat. A round is a call with all of its attempts, its verification and its fallbacks. When it has its
// answer, the unit asks what follows (Ask): the runtime evaluates until, and the unit succeeds, or the next round is due.

// Succeeded is the event of a unit whose call, or whose child, has given its answer, which it takes: it succeeds, or a round has ended.
func (s *State) Succeeded(unit int) schemas.Event {
	e := s.event(schemas.EventNodeSucceeded, unit)
	if n := s.Node(unit); n.Repeat != nil && s.Status != schemas.StatusCompensating {
		e.Type = schemas.EventRoundEnded
		e.Round = new(s.Round(unit))
	}
	return e
}

// Round is the number of the round of the unit, from 0.
func (s *State) Round(unit int) int { return s.Units[unit].Round() }

// Exhausted returns the error of a unit whose next round would begin at the time, if its repeat allows none then; nil: it may begin.
func (s *State) Exhausted(unit int, next time.Time) *schemas.Error {
	repeat, r := s.Node(unit).Repeat, s.Units[unit].Rounds
	if repeat == nil || r == nil {
		return nil
	}
	made := r.Done - r.From
	var why string
	switch {
	case made >= repeat.Max:
		why = fmt.Sprintf("until did not hold after %d rounds, repeat.max", made)
	case !r.Due.IsZero() && next.After(r.Due):
		why = fmt.Sprintf("until did not hold within %s, repeat.timeout, in %d rounds", repeat.Timeout, made)
	default:
		return nil
	}
	return schemas.Errorf(schemas.CodeRepeatExhausted, "%s", why).WithOutcome(schemas.RanFailed)
}

// RepeatFailed is the event of a unit whose rounds end without success: its failure, or a hold with on_error: suspend. Fallbacks replace
// calls that fail, and none has.
func (s *State) RepeatFailed(unit int, err *schemas.Error) schemas.Event {
	e := s.event(schemas.EventNodeFailed, unit)
	if s.Node(unit).OnError == schemas.OnErrorSuspend {
		e.Type, e.Reason = schemas.EventNodeHeld, schemas.ReasonError
	}
	e.Error = err
	return e
}

// roundEnded: a round has its answer. Whether it is the last is decided next.
func roundEnded(s *State, unit int, e *schemas.Event) {
	u := s.setStatus(unit, schemas.NodeRunning, e, false)
	s.addToCounts(unit, -1) // it may have waited for a child
	u.EndRound(e)
	s.addToCounts(unit, 1)
	repeat := s.Node(unit).Repeat
	u.TakeRound(e, repeat != nil && repeat.Collect != nil)
	s.Bytes += u.Rounds.Last.Bytes() + u.ContentBytes()
	s.Recoveries = 0
	s.asking.Push(unit)
}

// nodeRepeated: the next round begins at the due time, or at once.
func nodeRepeated(s *State, unit int, e *schemas.Event) {
	later := e.Due != nil && e.Due.After(e.At)
	status := schemas.NodeReady
	if later {
		status = schemas.NodeBackingOff
	}
	u := s.setStatus(unit, status, e, false)
	if u.NextRound(e); later {
		u.Due = *e.Due
		s.retries.Add(u.Due, unit)
	}
}

// nextAsks has the units asked whose rounds have ended.
func (s *State) nextAsks(out []Action) []Action {
	for s.asking.Len() > 0 && !s.Units[s.asking.At(0)].IsAsking() {
		s.asking.Pop()
	}
	for i := 0; i < s.asking.Len() && len(out) < maxActions; i++ {
		if unit := s.asking.At(i); s.Units[unit].IsAsking() && !hasAction(out, unit) {
			out = append(out, Action{Kind: Ask, Unit: unit})
		}
	}
	return out
}
