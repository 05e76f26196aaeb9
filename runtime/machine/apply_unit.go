package machine

import (
	"fmt"
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

func nodeReused(s *State, unit int, e *schemas.Event) {
	s.setStatus(unit, schemas.NodeSucceeded, e, false)
	u := s.result(unit, e)
	u.Reason, u.Errors = reused, e.Errors
}

func nodeStarted(s *State, unit int, e *schemas.Event) {
	n := s.Node(unit)
	calls := s.Target(unit) != nil
	u := s.setStatus(unit, schemas.NodeRunning, e, calls)
	u.Attempts, u.Error, u.Child, u.Awaits = e.Attempt, nil, e.Child, e.State
	u.KeepInputs(e, false)
	if n.Repeat != nil {
		u.BeginRound(e.At, n.Repeat.Timeout.Std())
	}
	if u.Phase == units.PhaseRun {
		u.UnknownAttempt = 0
		if u.Fallback == 0 { // a fallback is another call
			u.MayRunUntil = time.Time{}
		}
	}
	s.Calls++
	if calls {
		s.Sent++
	}
	if u.Child != "" {
		s.ChildrenMade++
		s.Bytes += e.Bytes
		u.Grant, u.Places = e.Budget, e.Places
		s.Open(u.Grant, u.Places)
	}
	u.NoteFirst(e.At)
	if d := n.TotalTimeout.Std(); d > 0 && u.TotalDue.IsZero() && u.Phase == units.PhaseRun {
		u.TotalDue = e.At.Add(d)
		s.timers.Add(u.TotalDue, unit)
	}
	if e.Due != nil {
		u.Due = *e.Due
		s.timers.Add(u.Due, unit)
	}
	if n.Kind == plan.KindWaitFor && n.Awaited == nil {
		s.takeSignal(unit)
	}
}

// takeSignal gives a wait_for unit the first signal of its event that no unit has taken, or has it wait for one.
func (s *State) takeSignal(unit int) {
	for i := range s.Signals {
		if sig := &s.Signals[i]; !sig.Taken && sig.Name == s.Node(unit).Event {
			sig.Taken = true
			s.Units[unit].Signal = i + 1
			break
		}
	}
	s.awaitSignal(unit)
}

func nodeSucceeded(s *State, unit int, e *schemas.Event) {
	s.setStatus(unit, schemas.NodeSucceeded, e, false)
	u := s.result(unit, e)
	u.Phase = units.PhaseRun
	u.Kept = nil
	if u.Expanded {
		if s.Node(unit).Compensate == nil {
			u.List, u.ListRef = nil, nil
		}
		for i := range u.Count { // the node's output has theirs
			item := &s.Units[u.FirstItem+i]
			if s.Node(u.FirstItem+i).Compensate == nil {
				item.Output, item.OutputRef = nil, nil
			}
		}
	}
}

// result stores what a unit produced.
func (s *State) result(unit int, e *schemas.Event) *units.Unit {
	u := &s.Units[unit]
	u.TakeResult(e)
	s.Bytes += u.Bytes() + u.ContentBytes()
	s.Degraded = s.Degraded || e.Degraded
	return u
}

func attemptFailed(s *State, unit int, e *schemas.Event) {
	s.noteDoubt(unit, e)
	u := s.setStatus(unit, schemas.NodeBackingOff, e, false)
	u.Failures++
	u.NoteRefusal(e.Error)
	if e.MayRunUntil != nil {
		u.UnknownAttempt = e.Attempt
	}
	u.Queued = time.Time{} // it was called
	s.backOff(unit, e)
}

func nodePostponed(s *State, unit int, e *schemas.Event) {
	u := s.setStatus(unit, schemas.NodeBackingOff, e, false)
	u.Reason = e.Reason
	s.uncountAttempt(unit)
	u.CountRefusal(e)
	u.NoteRefusal(e.Error)
	if u.Queued.IsZero() {
		u.Queued = e.At
	}
	if d := s.Node(unit).QueueTimeout.Std(); d > 0 && u.Phase != units.PhaseVerify {
		u.QueueDue = u.Queued.Add(d)
		s.timers.Add(u.QueueDue, unit)
	}
	s.backOff(unit, e)
}

// uncountAttempt uncounts an attempt that was refused before it was sent.
func (s *State) uncountAttempt(unit int) {
	s.Units[unit].Refused++
	s.Calls--
	s.Sent--
}

// backOff sets when a unit that backs off is due again.
func (s *State) backOff(unit int, e *schemas.Event) {
	u := &s.Units[unit]
	u.Error = e.Error
	u.CallMS += e.DurationMS
	u.Due = e.At
	if e.Due != nil {
		u.Due = *e.Due
	}
	s.retries.Add(u.Due, unit)
}

// attemptLost: with a reason, the worker of the attempt died. With a due time the call is repeated then, when it can no longer run.
func attemptLost(s *State, unit int, e *schemas.Event) {
	status := schemas.NodeReady
	if e.Due != nil {
		status = schemas.NodeBackingOff
	}
	s.noteDoubt(unit, e)
	u := s.setStatus(unit, status, e, false)
	if e.Reason != "" {
		u.Deaths++
	}
	if e.Due != nil {
		u.UnknownAttempt = e.Attempt
		s.backOff(unit, e)
	}
}

func nodeFellBack(s *State, unit int, e *schemas.Event) {
	s.setStatus(unit, schemas.NodeReady, e, false).FallBack(e)
}

func nodeVerifying(s *State, unit int, e *schemas.Event) {
	s.noteDoubt(unit, e)
	s.Units[unit].Phase = units.PhaseVerify
	s.setStatus(unit, schemas.NodeReady, e, false).BeginVerify(e)
}

// nodeNotDone: with a due time the unit is called again then, without one at once.
func nodeNotDone(s *State, unit int, e *schemas.Event) {
	status := schemas.NodeReady
	if e.Due != nil {
		status = schemas.NodeBackingOff
	}
	s.Units[unit].Phase = units.PhaseRun
	u := s.setStatus(unit, status, e, false)
	u.EndVerify(u.SpentBefore)
	if !u.TotalDue.IsZero() {
		s.timers.Add(u.TotalDue, unit)
	}
	if e.Due != nil {
		s.backOff(unit, e)
		return
	}
	u.Error = nil
	u.CallMS += e.DurationMS
}

func nodeHeld(s *State, unit int, e *schemas.Event) {
	s.noteDoubt(unit, e)
	u := s.setStatus(unit, schemas.NodeHeld, e, false)
	switch {
	case e.Reason != schemas.ReasonUnknown:
		u.UnknownAttempt = 0
	case u.Phase == units.PhaseVerify: // UnknownAttempt stays that of its own call
		u.Failures, u.SpentBefore = u.SpentBefore-1, 0
	default:
		u.UnknownAttempt = e.Attempt
		u.Attempts = max(u.Attempts, e.Attempt)
	}
	if len(s.UnknownAttempts) > 0 && e.Reason == schemas.ReasonUnknown {
		delete(s.UnknownAttempts, s.Name(unit))
	}
	u.Reason, u.Error, u.Question, u.Phase = e.Reason, e.Error, e.Text, units.PhaseRun
	u.TotalDue = time.Time{} // stopped until there is a decision
	if e.Reason == schemas.ReasonDrift {
		s.uncountAttempt(unit)
	}
	if e.Reason == schemas.ReasonReview {
		u.Asked = e.Seq
	}
	u.CallMS += e.DurationMS
	u.KeepInputs(e, false) // the inputs that are reviewed are those that are sent
	u.NoteFirst(e.At)
	if e.Due != nil {
		u.Due = *e.Due
		s.timers.Add(u.Due, unit)
	}
}

// Decisions of a review, in Event.Name.
const (
	Approve = "approve"
	Reject  = "reject"
)

func reviewDecided(s *State, unit int, e *schemas.Event) {
	switch {
	case e.Name != Approve:
		nodeFailed(s, unit, e)
	case s.Node(unit).Kind == plan.KindReview:
		nodeSucceeded(s, unit, e)
	default:
		u := s.setStatus(unit, schemas.NodeReady, e, false)
		u.Approved, u.First = true, e.At // max_elapsed counts from here
		u.KeepInputs(e, true)
	}
}

func nodeFailed(s *State, unit int, e *schemas.Event) {
	if e.Error == nil {
		e.Error = schemas.Errorf(schemas.CodeInternal, "no reason was given")
	}
	s.noteDoubt(unit, e)
	u := s.setStatus(unit, schemas.NodeFailed, e, false)
	if u.Error = e.Error; len(e.Output) > 0 || e.OutputRef != nil { // what the rounds of its repeat gave
		u.Output, u.OutputRef = e.Output, e.OutputRef
		s.Bytes += u.Bytes()
	}
	u.CallMS += e.DurationMS
	if s.IsItem(unit) {
		return // its node decides
	}
	p := &s.program.Nodes[unit]
	if p.OnError != schemas.OnErrorContinue && !s.Failing {
		s.Failing = true
		s.Undo = p.OnError == schemas.OnErrorCompensate
		s.Error = e.Error.With(func(c *schemas.Error) { c.Message = fmt.Sprintf("node %q: %s", e.Node, c.Message) })
	}
}

func nodeSkipped(s *State, unit int, e *schemas.Event) {
	s.setStatus(unit, schemas.NodeSkipped, e, false).Reason = e.Reason
}

func nodeCancelled(s *State, unit int, e *schemas.Event) {
	s.noteDoubt(unit, e)
	u := s.setStatus(unit, schemas.NodeCancelled, e, false)
	u.Error = e.Error
	u.CallMS += e.DurationMS
}

// nodeSuspended: the execution of a workflow unit was suspended because this one is to be.
func nodeSuspended(s *State, unit int, _ *schemas.Event) {
	s.addToCounts(unit, -1)
	s.Units[unit].ChildSuspended = true
	s.addToCounts(unit, 1)
}

// nodeGranted: the execution of a workflow unit may use more.
func nodeGranted(s *State, unit int, e *schemas.Event) {
	if u := &s.Units[unit]; u.HoldsChild() && e.Budget != nil {
		s.grant(u, e.Budget)
	}
}

func nodePatched(s *State, unit int, e *schemas.Event) {
	p := e.Patch
	switch {
	case p.Skip:
		u := s.setStatus(unit, schemas.NodeSkipped, e, false)
		u.Reason, u.MayRunUntil = units.Patched, time.Time{}
	case len(p.Output) > 0 || e.OutputRef != nil:
		s.setStatus(unit, schemas.NodeSucceeded, e, false)
		s.result(unit, &schemas.Event{At: e.At, Output: p.Output, OutputRef: e.OutputRef}).Reason = units.Patched
	case s.Units[unit].Expanded:
		s.reopen(unit, e)
	default:
		if len(p.Inputs) > 0 {
			u := &s.Units[unit]
			u.Keep(units.Kept{Inputs: p.Inputs, Changed: true})
			u.Approved = false
		}
		if u := &s.Units[unit]; e.Definition != "" { // the approval was of another definition of the tool
			u.Definition, u.Effect, u.Approved = e.Definition, e.Effect, false
		}
		s.setStatus(unit, schemas.NodeReady, e, false).Reset()
		s.Units[unit].GoOn()
	}
}

func nodeCompensating(s *State, unit int, e *schemas.Event) {
	u := s.setStatus(unit, schemas.NodeCompensating, e, true)
	s.Calls++
	s.Sent++
	if u.Phase != units.PhaseUndo {
		u.Phase, u.Failures, u.RefusedInRow = units.PhaseUndo, 0, 0 // separate from those of the node itself
	}
	u.Attempts = e.Attempt
}

// compensationFailed: with a due time the compensation is tried again then, without one it has ended. With a reason the failure
// spends no attempt.
func compensationFailed(s *State, unit int, e *schemas.Event) {
	u := s.setStatus(unit, schemas.NodeCompensating, e, false)
	u.Error = e.Error
	u.CallMS += e.DurationMS
	if e.Due != nil {
		u.NoteRefusal(e.Error)
		switch {
		case e.Reason == "":
			u.Failures++
		case e.Reason != stopped:
			s.uncountAttempt(unit)
			u.CountRefusal(e)
		}
		u.Due = *e.Due
		s.timers.Add(u.Due, unit)
		return
	}
	s.setStatus(unit, schemas.NodeSucceeded, e, false)
	u.Error, u.Phase = e.Error, units.PhaseUndone
	s.compensationEnded(unit)
}

func nodeCompensated(s *State, unit int, e *schemas.Event) {
	u := s.setStatus(unit, schemas.NodeCompensated, e, false)
	u.Phase = units.PhaseUndone
	u.CallMS += e.DurationMS
	s.compensationEnded(unit)
}

// compensationEnded removes the unit from the list, of which it is the last.
func (s *State) compensationEnded(unit int) {
	s.Recoveries = 0
	if n := len(s.toCompensate); n > 0 && s.toCompensate[n-1] == unit {
		s.toCompensate = s.toCompensate[:n-1]
	}
}
