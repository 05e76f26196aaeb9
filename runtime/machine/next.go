package machine

import (
	"fmt"
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// Action is one thing that is due. Either Event stands for itself, or the runtime has to evaluate something first.
type Action struct {
	Kind  ActionKind
	Unit  int            // that it is about; of no meaning for Finish
	Event *schemas.Event // for Emit: without At and Seq
}

// ActionKind says what an Action asks for.
type ActionKind int

const (
	// Emit: commit the event as it is.
	Emit ActionKind = iota
	// Start: evaluate the unit's condition, list, value, time, question or inputs; then skip, fail, hold or start it.
	Start
	// Join: put the outputs of a for_each node's items together, or fail it.
	Join
	// Undo: evaluate the unit's compensation and start it.
	Undo
	// Finish: every node ended well enough; evaluate the plan's output and finish.
	Finish
)

// maxActions bounds one answer of Next, so that a batch stays small.
const maxActions = 256

// Next says what is due now, in order. An empty answer means that nothing is until a call ends, somebody decides, or
// the time of [State.Wake] comes. Apply the events of all answers before asking again; asking twice gives the same.
func (s *State) Next(now time.Time) []Action {
	switch s.Status {
	case schemas.StatusPending:
		return s.nextPending(now)
	case schemas.StatusRunning:
		return s.nextRunning(now)
	case schemas.StatusSuspending:
		if s.inFlight == 0 && s.children == s.asleep {
			return emit(schemas.Event{Type: schemas.EventSuspended})
		}
	case schemas.StatusCancelling:
		switch {
		case s.inFlight == 0 && s.children == 0:
			return s.end(schemas.StatusCancelled)
		case !now.Before(s.GraceUntil):
			return s.giveUp("no answer within the grace period of the cancel")
		}
	case schemas.StatusCompensating:
		return s.nextUndo(now)
	}
	return nil
}

// nextPending ends an execution that has waited for a worker longer than it may.
func (s *State) nextPending(now time.Time) []Action {
	end := s.QueueEnd()
	if end.IsZero() || now.Before(end) {
		return nil
	}
	waited, name, code := s.program.Definition.Plan.QueueTimeout, "queue_timeout", schemas.CodeQueueTimeout
	if end.Equal(s.Deadline) {
		waited, name, code = s.program.Definition.Plan.Timeout, "timeout", schemas.CodeTimeout
	}
	return emit(schemas.Event{
		Type: schemas.EventFinished, Status: schemas.StatusTimedOut,
		Error: schemas.Errorf(code, "no worker had room for the execution within %s, its %s; nothing of it has run", waited, name).WithOutcome(schemas.NotRun).
			WithHint("get_queue_status tells how full the queue is; submit it again later, with a priority nearer to 1 or a longer %s", name),
	})
}

// QueueEnd is until when the execution may wait for its first worker; zero: for ever.
func (s *State) QueueEnd() time.Time {
	if s.QueueDue.IsZero() || !s.Deadline.IsZero() && s.Deadline.Before(s.QueueDue) {
		return s.Deadline
	}
	return s.QueueDue
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// end finishes an execution that did not succeed, or first undoes what it did.
func (s *State) end(status schemas.Status) []Action {
	if s.Undo && s.Status != schemas.StatusCompensating && s.hasUndo() {
		return emit(schemas.Event{Type: schemas.EventCompensating, Reason: s.Reason})
	}
	e := schemas.Event{Type: schemas.EventFinished, Status: status, Error: s.Error}
	if s.Cancelled && e.Error == nil {
		e.Error = schemas.Errorf(schemas.CodeCancelled, "the execution was cancelled%s", because(s.Reason))
	}
	return emit(e)
}

func (s *State) hasUndo() bool {
	for i := range s.Units {
		if s.Units[i].Status == schemas.NodeSucceeded && s.undoable(i) {
			return true
		}
	}
	return false
}

func (s *State) nextRunning(now time.Time) []Action {
	if !s.Deadline.IsZero() && !now.Before(s.Deadline) {
		if s.inFlight+s.children > 0 {
			return s.giveUp("the execution's timeout passed")
		}
		if !s.Failing {
			return emit(schemas.Event{
				Type: schemas.EventFinished, Status: schemas.StatusTimedOut,
				Error: schemas.Errorf(schemas.CodeTimeout, "the execution's timeout of %s passed", s.program.Definition.Plan.Timeout).
					WithHint("raise the plan's timeout, or rerun_execution with from_node to keep what succeeded"),
			})
		}
	}
	if s.Failing {
		if s.inFlight > 0 {
			return nil
		}
		return s.end(schemas.StatusFailed)
	}
	if out := s.decided(); len(out) > 0 {
		return out // these may free others: look again
	}
	var out []Action
	s.drain(&s.local, schemas.NodeReady)
	for i := 0; i < s.local.len() && len(out) < maxActions; i++ {
		if unit := s.local.at(i); s.startable(unit, now) {
			out = append(out, s.offer(unit))
		}
	}
	room := s.limit - s.inFlight
	for p := range s.ready {
		q := &s.ready[p]
		s.drain(q, schemas.NodeReady)
		for i := 0; i < q.len() && room > 0 && len(out) < maxActions; i++ {
			if unit := q.at(i); s.startable(unit, now) {
				out = append(out, s.offer(unit))
				room--
			}
		}
	}
	out = append(out, s.due(now, maxActions-len(out), out)...)
	out = append(out, s.retry(now, min(room, maxActions-len(out)), out)...)
	if len(out) > 0 {
		return out
	}
	return s.rest()
}

// startable tells whether a unit is ready, and its total_timeout not over.
func (s *State) startable(unit int, now time.Time) bool {
	u := &s.Units[unit]
	return u.Status == schemas.NodeReady && (u.TotalDue.IsZero() || now.Before(u.TotalDue) || u.Phase == PhaseVerify)
}

// decided lists what follows without any evaluation of the plan: nodes that can never start, waits whose signal is
// there, for_each nodes whose outcome is clear.
func (s *State) decided() []Action {
	var out []Action
	s.drain(&s.doomed, schemas.NodePending)
	for i := 0; i < s.doomed.len() && len(out) < maxActions; i++ {
		if unit := s.doomed.at(i); s.Units[unit].Status == schemas.NodePending {
			e := s.event(schemas.EventNodeSkipped, unit)
			e.Reason = fmt.Sprintf("trigger_rule %s cannot hold", s.program.Nodes[unit].Rule)
			out = append(out, Action{Kind: Emit, Unit: unit, Event: &e})
		}
	}
	s.drain(&s.delivered, schemas.NodeRunning)
	for i := 0; i < s.delivered.len() && len(out) < maxActions; i++ {
		if unit := s.delivered.at(i); s.Units[unit].Status == schemas.NodeRunning {
			e := s.event(schemas.EventNodeSucceeded, unit)
			e.Output = s.Signals[s.Units[unit].Signal-1].Data
			out = append(out, Action{Kind: Emit, Unit: unit, Event: &e})
		}
	}
	s.drain(&s.joins, schemas.NodeRunning)
	for i := 0; i < s.joins.len() && len(out) < maxActions; i++ {
		if unit := s.joins.at(i); s.Units[unit].Status == schemas.NodeRunning && s.itemsEnded(unit) { // it may run anew
			out = append(out, Action{Kind: Join, Unit: unit})
		}
	}
	return out
}

// offer starts a ready unit, unless it is an item of a node that can no longer succeed.
func (s *State) offer(unit int) Action {
	if !s.IsItem(unit) || !s.itemsFailed(s.Units[unit].Node) {
		return s.begin(unit)
	}
	e := s.event(schemas.EventNodeSkipped, unit)
	e.Reason = "other items failed"
	return Action{Kind: Emit, Unit: unit, Event: &e}
}

// begin starts a unit, unless it may have been called in a history that is lost.
func (s *State) begin(unit int) Action {
	if held := s.doubted(unit); held != nil {
		return *held
	}
	return Action{Kind: Start, Unit: unit}
}

// drain removes the entries at the head of a queue whose units have moved on.
func (s *State) drain(q *queue, status schemas.NodeStatus) {
	for q.len() > 0 && s.Units[q.at(0)].Status != status {
		switch u := &s.Units[q.at(0)]; q {
		case &s.joins:
			u.joined = false
		case &s.doomed, &s.delivered:
		default:
			u.queued = false
		}
		q.pop()
	}
}

// due lists what the timers that have come mean. Units in started have their action already.
func (s *State) due(now time.Time, limit int, started []Action) (out []Action) {
	var kept []timer
	for len(s.timers) > 0 && !s.timers[0].due.After(now) && len(out) < limit {
		t := s.timers[0]
		s.timers.pop()
		u := &s.Units[t.unit]
		if !t.of(u) {
			continue
		}
		kept = append(kept, t) // it stays until its event is applied: asking twice gives the same
		if mentioned(started, t.unit) || mentioned(out, t.unit) {
			continue
		}
		a := Action{Kind: Emit, Unit: t.unit}
		if total := t.due.Equal(u.TotalDue) && u.Phase != PhaseVerify; total || t.due.Equal(u.QueueDue) {
			a.Event = s.overdue(t.unit, total, now)
		} else {
			a.Event = s.elapsed(t.unit)
		}
		out = append(out, a)
	}
	for _, t := range kept {
		s.timers.push(t.due, t.unit)
	}
	return out
}

// retry lists the units whose backoff is over, as many as there is room for.
func (s *State) retry(now time.Time, room int, started []Action) (out []Action) {
	var kept []timer
	for len(s.retries) > 0 && !s.retries[0].due.After(now) && len(out) < room {
		t := s.retries[0]
		s.retries.pop()
		if !t.retries(&s.Units[t.unit]) {
			continue
		}
		kept = append(kept, t)
		if !mentioned(started, t.unit) && !mentioned(out, t.unit) {
			out = append(out, s.begin(t.unit))
		}
	}
	for _, t := range kept {
		s.retries.push(t.due, t.unit)
	}
	return out
}

// mentioned tells whether the unit has its action already: several of its times may have come at once.
func mentioned(actions []Action, unit int) bool {
	for i := range actions {
		if actions[i].Unit == unit {
			return true
		}
	}
	return false
}

// retries tells whether the unit backs off until then still.
func (t timer) retries(u *Unit) bool {
	return u.Status == schemas.NodeBackingOff && t.due.Equal(u.Due)
}

// of tells whether the timer is one of the unit's own still. A backoff is not, see retries, and total_timeout does not end
// a verification: it counts again once that has said that nothing happened.
func (t timer) of(u *Unit) bool {
	return t.due.Equal(u.Due) && u.Status != schemas.NodeBackingOff || t.due.Equal(u.TotalDue) && u.Phase != PhaseVerify || t.due.Equal(u.QueueDue)
}

// elapsed is what the end of a unit's time means by its kind.
func (s *State) elapsed(unit int) *schemas.Event {
	n, u := s.Node(unit), &s.Units[unit]
	switch {
	case u.Status == schemas.NodeHeld:
		return s.final(unit, schemas.Errorf(schemas.CodeDenied, "nobody decided within %s", u.Due.Sub(u.Since)).
			WithHint("a review without a decision counts as rejected; raise expires, or ask again"))
	case n.Awaited != nil && u.Awaits != nil:
		return s.final(unit, schemas.Errorf(schemas.CodeTimeout, "state %q of type %q was not as the node waits for it within %s", u.Awaits.Key, u.Awaits.Type, u.Due.Sub(u.Since)).
			WithHint("get_state shows it, set_state sets it; raise the timeout of wait_for"))
	case n.Kind == plan.KindWaitFor:
		return s.final(unit, schemas.Errorf(schemas.CodeTimeout, "event %q did not come within %s", n.Event, u.Due.Sub(u.Since)).
			WithHint("signal_execution sends it; raise the timeout of wait_for"))
	}
	e := s.event(schemas.EventNodeSucceeded, unit)
	return &e
}

// rest decides what an execution does in which nothing can start.
func (s *State) rest() []Action {
	switch {
	case s.inFlight > 0 || s.timing > 0 || s.backing > 0:
		return nil
	case s.held > 0 && s.deciding() == 0:
		return emit(schemas.Event{Type: schemas.EventSuspended, Reason: heldSuspends})
	case s.held > 0 || s.readies > 0 || s.Count(schemas.NodePending)+s.Count(schemas.NodeRunning) > 0:
		return nil // a review is open, or more is to be applied first
	}
	return []Action{{Kind: Finish}}
}

// deciding counts the held units that a review holds: they have their own way on, and the execution just waits.
func (s *State) deciding() int {
	n := 0
	for i := range s.Units {
		if s.Units[i].Status == schemas.NodeHeld && s.Units[i].Reason == schemas.ReasonReview {
			n++
		}
	}
	return n
}

// giveUp ends the calls in flight without an answer, and workflows that run elsewhere.
func (s *State) giveUp(why string) []Action {
	var out []Action
	for i := range s.Units {
		u := &s.Units[i]
		if !u.Calling && (u.Status != schemas.NodeRunning || u.Child == "") || len(out) == maxActions {
			continue
		}
		e := s.event(schemas.EventNodeCancelled, i)
		e.Attempt = u.Attempts
		e.Error = schemas.Errorf(schemas.CodeOutcomeUnknown, "the call was in flight when it was given up: %s", why).WithOutcome(schemas.Unknown).
			WithHint("it may have happened: look where it would show")
		out = append(out, Action{Kind: Emit, Event: &e})
	}
	return out
}

// Wake is when Next has something new to say though nothing else happens after now; zero: never. What is due at now and
// waits for room does not count: the end of a call makes room.
func (s *State) Wake(now time.Time) time.Time {
	switch s.Status {
	case schemas.StatusRunning, schemas.StatusCompensating:
		at := s.Deadline
		if s.Status == schemas.StatusCompensating {
			at = time.Time{}
		}
		for len(s.timers) > 0 && !s.timers[0].of(&s.Units[s.timers[0].unit]) {
			s.timers.pop()
		}
		for len(s.retries) > 0 && !s.retries[0].retries(&s.Units[s.retries[0].unit]) {
			s.retries.pop()
		}
		for _, h := range []timers{s.timers, s.retries} {
			if len(h) > 0 && h[0].due.After(now) && (at.IsZero() || h[0].due.Before(at)) {
				at = h[0].due
			}
		}
		return at
	case schemas.StatusCancelling:
		return s.GraceUntil
	}
	return time.Time{}
}

// Waiting reports whether nothing can run until a timer, an event or a decision.
func (s *State) Waiting() bool {
	switch s.Status {
	case schemas.StatusSuspended:
		return true
	case schemas.StatusRunning:
		return s.inFlight == 0 && s.readies == 0 && s.timing+s.backing+s.held > 0
	}
	return false
}

func emit(e schemas.Event) []Action { return []Action{{Kind: Emit, Event: &e}} }
