package machine

import (
	"fmt"
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

func nodeReused(s *State, unit int, e *schemas.Event) {
	s.change(unit, schemas.NodeSucceeded, e, false)
	s.result(unit, e).Reason = reused
}

func nodeStarted(s *State, unit int, e *schemas.Event) {
	n := s.Node(unit)
	calls := s.Target(unit) != nil
	u := s.change(unit, schemas.NodeRunning, e, calls)
	u.Attempts, u.Error, u.Child, u.Awaits = e.Attempt, nil, e.Child, e.State
	u.fix(e, false)
	if u.Phase == PhaseRun {
		u.Doubt = 0
	}
	s.Calls++
	if u.First.IsZero() {
		u.First = e.At
	}
	if d := n.TotalTimeout.Std(); d > 0 && u.TotalDue.IsZero() && u.Phase == PhaseRun {
		u.TotalDue = e.At.Add(d)
		s.timers.push(u.TotalDue, unit)
	}
	if e.Due != nil {
		u.Due = *e.Due
		s.timers.push(u.Due, unit)
	}
	if n.Kind == plan.KindWaitFor && n.Awaited == nil {
		s.take(unit)
	}
}

// take gives a wait_for unit the first signal of its event that nobody has, or has it listen.
func (s *State) take(unit int) {
	for i := range s.Signals {
		if sig := &s.Signals[i]; !sig.Taken && sig.Name == s.Node(unit).Event {
			sig.Taken = true
			s.Units[unit].Signal = i + 1
			break
		}
	}
	s.listen(unit)
}

func nodeSucceeded(s *State, unit int, e *schemas.Event) {
	s.change(unit, schemas.NodeSucceeded, e, false)
	u := s.result(unit, e)
	u.Phase = PhaseRun
	u.Kept = nil
	if u.Expanded {
		if s.Node(unit).Compensate == nil {
			u.List, u.ListRef = nil, nil
		}
		for i := range u.Count { // the list has them now
			item := &s.Units[u.FirstItem+i]
			if s.Node(u.FirstItem+i).Compensate == nil {
				item.Output, item.OutputRef, item.Text, item.TextRef = nil, nil, "", nil
			}
		}
	}
}

// result takes over what a unit produced.
func (s *State) result(unit int, e *schemas.Event) *Unit {
	u := &s.Units[unit]
	u.TextRef = e.TextRef
	u.Output, u.Text, u.OutputRef, u.ServedBy, u.Degraded = e.Output, e.Text, e.OutputRef, e.ServedBy, e.Degraded
	u.Age, u.Error = e.AgeSeconds, nil
	u.CallMS += e.DurationMS
	if u.First.IsZero() {
		u.First = e.At
	}
	s.Bytes += u.bytes()
	s.Degraded = s.Degraded || e.Degraded
	return u
}

func attemptFailed(s *State, unit int, e *schemas.Event) {
	u := s.change(unit, schemas.NodeBackingOff, e, false)
	u.Failures++
	u.Queued = time.Time{} // it was called
	s.later(unit, e)
}

func nodePostponed(s *State, unit int, e *schemas.Event) {
	u := s.change(unit, schemas.NodeBackingOff, e, false)
	u.Reason = e.Reason
	s.unmade(unit)
	u.turnedAway(e)
	if u.Queued.IsZero() {
		u.Queued = e.At
	}
	if d := s.Node(unit).QueueTimeout.Std(); d > 0 && u.Phase != PhaseVerify {
		u.QueueDue = u.Queued.Add(d)
		s.timers.push(u.QueueDue, unit)
	}
	s.later(unit, e)
}

// unmade takes back an attempt that was turned away before it left.
func (s *State) unmade(unit int) {
	s.Units[unit].Refused++
	s.Calls--
}

// turnedAway counts what a call was turned away by.
func (u *Unit) turnedAway(e *schemas.Event) {
	if e.Error == nil {
		return
	}
	if u.TurnedAway == nil {
		u.TurnedAway = map[schemas.Code]int{}
	}
	u.TurnedAway[e.Error.Code]++
}

// later makes a unit that backs off due again.
func (s *State) later(unit int, e *schemas.Event) {
	u := &s.Units[unit]
	u.Error = e.Error
	u.CallMS += e.DurationMS
	u.Due = e.At
	if e.Due != nil {
		u.Due = *e.Due
	}
	s.retries.push(u.Due, unit)
}

// attemptLost with a reason: its worker died.
func attemptLost(s *State, unit int, e *schemas.Event) {
	if u := s.change(unit, schemas.NodeReady, e, false); e.Reason != "" {
		u.Deaths++
	}
}

func nodeFellBack(s *State, unit int, e *schemas.Event) {
	u := s.change(unit, schemas.NodeReady, e, false)
	u.Fallback, u.Failures, u.Phase, u.Error, u.Doubt = e.Fallback, 0, PhaseRun, e.Error, 0
	u.Approved = false       // that was another call
	u.TotalDue = time.Time{} // it has its own
	u.CallMS += e.DurationMS
}

func nodeVerifying(s *State, unit int, e *schemas.Event) {
	s.Units[unit].Phase = PhaseVerify
	u := s.change(unit, schemas.NodeReady, e, false)
	u.Failures, u.Spent, u.Error, u.Doubt = 0, u.Failures+1, e.Error, e.Attempt
	u.CallMS += e.DurationMS
}

// nodeNotDone with a due time calls the unit again then; without one at once.
func nodeNotDone(s *State, unit int, e *schemas.Event) {
	status := schemas.NodeReady
	if e.Due != nil {
		status = schemas.NodeBackingOff
	}
	s.Units[unit].Phase = PhaseRun
	u := s.change(unit, status, e, false)
	u.Failures, u.Spent = u.Spent, 0
	if !u.TotalDue.IsZero() {
		s.timers.push(u.TotalDue, unit)
	}
	if e.Due != nil {
		s.later(unit, e)
		return
	}
	u.Error = nil
	u.CallMS += e.DurationMS
}

func nodeHeld(s *State, unit int, e *schemas.Event) {
	u := s.change(unit, schemas.NodeHeld, e, false)
	switch {
	case e.Reason != schemas.ReasonUnknown:
		u.Doubt = 0
	case u.Phase == PhaseVerify: // the doubt is about its own call still
		u.Failures, u.Spent = u.Spent-1, 0
	default:
		u.Doubt = e.Attempt
		u.Attempts = max(u.Attempts, e.Attempt)
	}
	if len(s.Doubts) > 0 && e.Reason == schemas.ReasonUnknown {
		delete(s.Doubts, s.Name(unit))
	}
	u.Reason, u.Error, u.Question, u.Phase = e.Reason, e.Error, e.Text, PhaseRun
	u.TotalDue = time.Time{} // it stands still until somebody decides
	if e.Reason == schemas.ReasonDrift {
		s.unmade(unit)
	}
	if e.Reason == schemas.ReasonReview {
		u.Asked = e.Seq
	}
	u.CallMS += e.DurationMS
	u.fix(e, false) // what a person is asked about is what runs
	if u.First.IsZero() {
		u.First = e.At
	}
	if e.Due != nil {
		u.Due = *e.Due
		s.timers.push(u.Due, unit)
	}
}

// Decisions of a review, as Event.Name.
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
		u := s.change(unit, schemas.NodeReady, e, false)
		u.Approved, u.First = true, e.At // its time begins here
		u.fix(e, true)
	}
}

// fix keeps the inputs that an event says for the attempts to come, be they the plan's or a person's.
func (u *Unit) fix(e *schemas.Event, mended bool) {
	if len(e.Data) > 0 || e.DataRef != nil {
		u.keep(Kept{Of: u.Fallback, Inputs: schemas.Object(e.Data), Ref: e.DataRef, Mended: mended})
	}
}

// keep takes the place of what was kept for the same call; what a person has mended once stays a person's.
func (u *Unit) keep(k Kept) {
	if old := u.kept(k.Of); old != nil {
		k.Mended = k.Mended || old.Mended
		*old = k
		return
	}
	u.Kept = append(u.Kept, k)
}

// kept is what is kept for a call of the unit; nil: nothing.
func (u *Unit) kept(of int) *Kept {
	for i := range u.Kept {
		if u.Kept[i].Of == of {
			return &u.Kept[i]
		}
	}
	return nil
}

func nodeFailed(s *State, unit int, e *schemas.Event) {
	if e.Error == nil {
		e.Error = schemas.Errorf(schemas.CodeInternal, "no reason was given")
	}
	u := s.change(unit, schemas.NodeFailed, e, false)
	u.Error = e.Error
	u.CallMS += e.DurationMS
	if s.IsItem(unit) {
		return // its node judges
	}
	p := &s.program.Nodes[unit]
	if p.OnError != schemas.OnErrorContinue && !s.Failing {
		s.Failing = true
		s.Undo = p.OnError == schemas.OnErrorCompensate
		s.Error = e.Error.With(func(c *schemas.Error) { c.Message = fmt.Sprintf("node %q: %s", e.Node, c.Message) })
	}
}

func nodeSkipped(s *State, unit int, e *schemas.Event) {
	s.change(unit, schemas.NodeSkipped, e, false).Reason = e.Reason
}

func nodeCancelled(s *State, unit int, e *schemas.Event) {
	u := s.change(unit, schemas.NodeCancelled, e, false)
	u.Error = e.Error
	u.CallMS += e.DurationMS
}

// nodeSuspended: the execution of a workflow unit came to rest because this one is to be suspended.
func nodeSuspended(s *State, unit int, _ *schemas.Event) {
	s.tally(unit, -1)
	s.Units[unit].Asleep = true
	s.tally(unit, 1)
}

func nodePatched(s *State, unit int, e *schemas.Event) {
	p := e.Patch
	switch {
	case p.Skip:
		s.change(unit, schemas.NodeSkipped, e, false).Reason = patched
	case len(p.Output) > 0 || e.OutputRef != nil:
		s.change(unit, schemas.NodeSucceeded, e, false)
		s.result(unit, &schemas.Event{At: e.At, Output: p.Output, OutputRef: e.OutputRef}).Reason = patched
	case s.Units[unit].Expanded:
		s.reopen(unit, e)
	default:
		if len(p.Inputs) > 0 {
			u := &s.Units[unit]
			u.keep(Kept{Inputs: p.Inputs, Mended: true})
			u.Approved = false
		}
		if u := &s.Units[unit]; e.Definition != "" { // whoever approved the call knew another tool
			u.Definition, u.Effect, u.Approved = e.Definition, e.Effect, false
		}
		s.change(unit, schemas.NodeReady, e, false).again()
	}
}

// again has a unit begin anew, with its own call and all of its retries.
func (u *Unit) again() {
	u.Approved = u.Approved && u.Fallback == 0
	u.Failures, u.Fallback, u.Phase, u.TotalDue, u.First, u.Doubt = 0, 0, PhaseRun, time.Time{}, time.Time{}, 0
}

func nodeCompensating(s *State, unit int, e *schemas.Event) {
	u := s.change(unit, schemas.NodeCompensating, e, true)
	if u.Phase != PhaseUndo {
		u.Phase, u.Failures = PhaseUndo, 0 // what the node itself spent is another matter
	}
	u.Attempts = e.Attempt
}

// compensationFailed with a due time is tried again then; without one it is over. A reason says why it spent no attempt.
func compensationFailed(s *State, unit int, e *schemas.Event) {
	u := s.change(unit, schemas.NodeCompensating, e, false)
	u.Error = e.Error
	u.CallMS += e.DurationMS
	if e.Due != nil {
		switch {
		case e.Reason == "":
			u.Failures++
		case e.Reason != stopped:
			u.Refused++
			u.turnedAway(e)
		}
		u.Due = *e.Due
		s.timers.push(u.Due, unit)
		return
	}
	s.change(unit, schemas.NodeSucceeded, e, false)
	u.Error, u.Phase = e.Error, PhaseUndone
	s.undone(unit)
}

func nodeCompensated(s *State, unit int, e *schemas.Event) {
	u := s.change(unit, schemas.NodeCompensated, e, false)
	u.Phase = PhaseUndone
	u.CallMS += e.DurationMS
	s.undone(unit)
}

// undone takes the unit off the list: it is always the last one.
func (s *State) undone(unit int) {
	s.Recoveries = 0
	if n := len(s.undo); n > 0 && s.undo[n-1] == unit {
		s.undo = s.undo[:n-1]
	}
}
