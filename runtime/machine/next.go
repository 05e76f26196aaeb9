package machine

import (
	"fmt"
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

// Action is one thing that is due: an event to commit, or something that the runtime evaluates first.
type Action struct {
	Kind  ActionKind
	Unit  int            // not for Finish
	Event *schemas.Event // for Emit, without At and Seq
}

// ActionKind is what to do.
type ActionKind int

const (
	// Emit: commit the event as it is.
	Emit ActionKind = iota
	// Start: evaluate the unit's condition, list, value, time, question or inputs; then skip, fail, hold or start it.
	Start
	// Ask: a round of a node with repeat has ended. Evaluate its until; then end the node, or have the next round begin.
	Ask
	// Join: collect the outputs of a for_each node's items, or fail the node.
	Join
	// Undo: evaluate the unit's compensation and start it.
	Undo
	// Finish: every node has ended and none failed the execution; evaluate the plan's output and finish.
	Finish
)

// maxActions is the most actions that Next returns, so that a batch stays small.
const maxActions = 256

// Next returns what is due now, in order. None means that nothing is due until a call ends, a decision is made, or the time of
// [State.Wake] comes. Apply the events of all actions before calling Next again; without that it returns the same again.
func (s *State) Next(now time.Time) []Action {
	switch s.Status {
	case schemas.StatusPending:
		return s.nextPending(now)
	case schemas.StatusRunning:
		return s.nextRunning(now)
	case schemas.StatusSuspending:
		if s.counts.InFlight == 0 && s.counts.Children == s.counts.ChildrenSuspended {
			return emit(schemas.Event{Type: schemas.EventSuspended})
		}
	case schemas.StatusCancelling:
		switch {
		case s.counts.InFlight == 0 && s.counts.Children == 0:
			return s.end(schemas.StatusCancelled)
		case !now.Before(s.GraceUntil):
			return s.abandonCalls("no answer within the grace period of the cancel", now)
		}
	case schemas.StatusCompensating:
		return s.nextCompensation(now)
	}
	return nil
}

// nextPending ends an execution that has waited for a worker for too long.
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
		Error: schemas.Errorf(code, "no worker was free for the execution within %s, its %s; nothing of it has run", waited, name).
			WithOutcome(schemas.NotRun).
			WithHint("get_queue_status shows the queue; submit the plan again later, with a priority nearer to 1 or a longer %s", name),
	})
}

// QueueEnd is until when the execution may wait for its first worker; zero: without limit.
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

// end finishes an execution that did not succeed, or compensates it first.
func (s *State) end(status schemas.Status) []Action {
	if s.Undo && s.Status != schemas.StatusCompensating && s.hasCompensation() {
		return emit(schemas.Event{Type: schemas.EventCompensating, Reason: s.Reason})
	}
	e := schemas.Event{Type: schemas.EventFinished, Status: status, Error: s.Error}
	if s.Cancelled && e.Error == nil {
		e.Error = schemas.Errorf(schemas.CodeCancelled, "the execution was cancelled%s", because(s.Reason))
	}
	return emit(e)
}

func (s *State) hasCompensation() bool {
	for i := range s.Units {
		if s.Units[i].Status == schemas.NodeSucceeded && s.compensable(i) {
			return true
		}
	}
	return false
}

func (s *State) nextRunning(now time.Time) []Action {
	if !s.Deadline.IsZero() && !now.Before(s.Deadline) {
		if s.counts.InFlight+s.counts.Children > 0 {
			return s.abandonCalls("the execution's timeout passed", now)
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
		if s.counts.InFlight > 0 {
			return nil
		}
		return s.end(schemas.StatusFailed)
	}
	if out := s.nextLimit(now); len(out) > 0 {
		return out
	}
	if out := s.cancelDropped(); len(out) > 0 {
		return out // before any of them starts
	}
	if out := s.immediate(); len(out) > 0 {
		return out // more may be due after these
	}
	out, free := s.nextStarts(now)
	out = append(out, s.dueTimers(now, maxActions-len(out), out)...)
	if !s.holdStarts {
		out = append(out, s.dueRetries(now, min(free, maxActions-len(out)), out)...)
	}
	if len(out) > 0 {
		return out
	}
	return s.nextIdle()
}

// immediate returns what follows without evaluating the plan: nodes that can never start, waits whose signal has come, for_each
// nodes whose outcome is decided.
func (s *State) immediate() []Action {
	var out []Action
	s.dropStale(&s.unstartable, schemas.NodePending)
	for i := 0; i < s.unstartable.Len() && len(out) < maxActions; i++ {
		if unit := s.unstartable.At(i); s.Units[unit].Status == schemas.NodePending {
			e := s.event(schemas.EventNodeSkipped, unit)
			e.Reason = fmt.Sprintf("trigger_rule %s cannot hold", s.program.Nodes[unit].Rule)
			out = append(out, Action{Kind: Emit, Unit: unit, Event: &e})
		}
	}
	s.dropStale(&s.delivered, schemas.NodeRunning)
	for i := 0; i < s.delivered.Len() && len(out) < maxActions; i++ {
		if unit := s.delivered.At(i); s.Units[unit].Status == schemas.NodeRunning {
			e := s.event(schemas.EventNodeSucceeded, unit)
			e.Output = s.Signals[s.Units[unit].Signal-1].Data
			out = append(out, Action{Kind: Emit, Unit: unit, Event: &e})
		}
	}
	s.dropStale(&s.joins, schemas.NodeRunning)
	for i := 0; i < s.joins.Len() && len(out) < maxActions; i++ {
		unit := s.joins.At(i)
		if u := &s.Units[unit]; u.Status == schemas.NodeRunning && u.Dropped == 0 && s.itemsEnded(unit) { // it may have been reopened
			out = append(out, Action{Kind: Join, Unit: unit})
		}
	}
	return s.nextAsks(out)
}

// dropStale removes entries at the head of a queue whose units no longer have the status.
func (s *State) dropStale(q *units.Queue, status schemas.NodeStatus) {
	for q.Len() > 0 && s.Units[q.At(0)].Status != status {
		switch u := &s.Units[q.At(0)]; q {
		case &s.joins:
			u.Joined = false
		case &s.unstartable, &s.delivered:
		default:
			u.InQueue = false
		}
		q.Pop()
	}
}

// dueTimers returns the actions of timers that are due. Units in started have their action already.
func (s *State) dueTimers(now time.Time, limit int, started []Action) (out []Action) {
	var kept []units.Timer
	for t, ok := s.timers.First(); ok && !t.Due.After(now) && len(out) < limit; t, ok = s.timers.First() {
		s.timers.Remove()
		u := &s.Units[t.Unit]
		if !t.IsTimerOf(u) {
			continue
		}
		kept = append(kept, t) // until its event is applied, so that Next returns the same again
		if hasAction(started, t.Unit) || hasAction(out, t.Unit) {
			continue
		}
		a := Action{Kind: Emit, Unit: t.Unit}
		if total := t.Due.Equal(u.TotalDue) && u.Phase != units.PhaseVerify; total || t.Due.Equal(u.QueueDue) {
			a.Event = s.timeoutEvent(t.Unit, total, now)
		} else {
			a.Event = s.timerEvent(t.Unit, now)
		}
		out = append(out, a)
	}
	for _, t := range kept {
		s.timers.Add(t.Due, t.Unit)
	}
	return out
}

// dueRetries starts units whose backoff is over, as many as max_parallel allows.
func (s *State) dueRetries(now time.Time, most int, started []Action) (out []Action) {
	var kept []units.Timer
	for t, ok := s.retries.First(); ok && !t.Due.After(now) && len(out) < most; t, ok = s.retries.First() {
		s.retries.Remove()
		if !t.IsBackoffOf(&s.Units[t.Unit]) {
			continue
		}
		kept = append(kept, t)
		if !hasAction(started, t.Unit) && !hasAction(out, t.Unit) {
			out = append(out, s.startOrHold(t.Unit, now))
		}
	}
	for _, t := range kept {
		s.retries.Add(t.Due, t.Unit)
	}
	return out
}

// hasAction reports whether the unit has an action already: several of its timers may be due at once.
func hasAction(actions []Action, unit int) bool {
	for i := range actions {
		if actions[i].Unit == unit {
			return true
		}
	}
	return false
}

// timerEvent is the event of a unit whose Due has passed, by the kind of its node.
func (s *State) timerEvent(unit int, now time.Time) *schemas.Event {
	n, u := s.Node(unit), &s.Units[unit]
	switch {
	case u.Calling && u.Dropped > 0:
		return s.abandon(unit, s.WhyDropped(unit).Message, now)
	case u.Status == schemas.NodeHeld:
		return s.final(unit, schemas.Errorf(schemas.CodeDenied, "the review was not decided within %s", u.Due.Sub(u.Since)).
			WithHint("a review without a decision counts as rejected; raise expires, or run the plan again"))
	case n.Awaited != nil && u.Awaits != nil:
		return s.final(unit, schemas.Errorf(schemas.CodeTimeout, "state %q of type %q did not meet the condition of the node within %s",
			u.Awaits.Key, u.Awaits.Type, u.Due.Sub(u.Since)).
			WithHint("get_state shows the state, set_state sets it; or raise the timeout of wait_for"))
	case n.Kind == plan.KindWaitFor:
		return s.final(unit, schemas.Errorf(schemas.CodeTimeout, "event %q was not received within %s", n.Event, u.Due.Sub(u.Since)).
			WithHint("signal_execution sends it; or raise the timeout of wait_for"))
	}
	e := s.event(schemas.EventNodeSucceeded, unit)
	return &e
}

// nextIdle decides what follows when nothing can start.
func (s *State) nextIdle() []Action {
	switch {
	case s.counts.InFlight > 0 || s.counts.WithoutCall > 0 || s.counts.BackingOff > 0:
		return nil
	case s.counts.Held > 0 && !units.AnyReviewed(s.Units):
		return emit(schemas.Event{Type: schemas.EventSuspended, Reason: heldSuspends})
	case s.counts.Held > 0 || s.counts.Ready > 0 || s.Count(schemas.NodePending)+s.Count(schemas.NodeRunning) > 0:
		return nil // a review is open, or there are events to apply first
	}
	return []Action{{Kind: Finish}}
}

// OnlyHeld reports whether nothing of the execution can go on before a held unit is decided.
func (s *State) OnlyHeld() bool {
	c := &s.counts
	return c.Held > 0 && c.InFlight+c.WithoutCall+c.BackingOff+c.Ready == 0 && !units.AnyReviewed(s.Units)
}

// abandonCalls ends calls in flight without an answer, and workflow units.
func (s *State) abandonCalls(why string, now time.Time) []Action {
	var out []Action
	for i := range s.Units {
		u := &s.Units[i]
		if !u.Calling && (u.Status != schemas.NodeRunning || u.Child == "") || len(out) == maxActions {
			continue
		}
		out = append(out, Action{Kind: Emit, Event: s.abandon(i, why, now)})
	}
	return out
}

// abandon is the end of a unit whose call in flight, or child, is not waited for any more.
func (s *State) abandon(unit int, why string, now time.Time) *schemas.Event {
	e := s.about(unit, s.Units[unit].Attempts, schemas.Errorf(schemas.CodeOutcomeUnknown, "the call was given up while it was in flight: %s", why).
		WithOutcome(schemas.Unknown).WithHint("it may have happened: check where its effect would show"), 0)
	s.cancelled(unit, e, now, now)
	return e
}

// Wake is when Next returns something new if nothing else happens after now; zero: never. What is due at now and waits for
// max_parallel does not count: it can start when a call ends.
func (s *State) Wake(now time.Time) time.Time {
	switch s.Status {
	case schemas.StatusRunning, schemas.StatusCompensating:
		at := s.Deadline
		if s.Status == schemas.StatusCompensating {
			at = time.Time{}
		}
		if due := s.limitDue(); due.After(now) && s.Status == schemas.StatusRunning && (at.IsZero() || due.Before(at)) {
			at = due
		}
		s.timers.Drop(s.Units, units.Timer.IsTimerOf)
		s.retries.Drop(s.Units, units.Timer.IsBackoffOf)
		for _, h := range []*units.Timers{&s.timers, &s.retries} {
			if first, ok := h.First(); ok && first.Due.After(now) && (at.IsZero() || first.Due.Before(at)) {
				at = first.Due
			}
		}
		return at
	case schemas.StatusCancelling:
		return s.GraceUntil
	}
	return time.Time{}
}

// Waiting reports whether nothing can run before a timer, an event or a decision.
func (s *State) Waiting() bool {
	switch s.Status {
	case schemas.StatusSuspended:
		return true
	case schemas.StatusRunning:
		return s.counts.InFlight == 0 && s.counts.Ready == 0 && s.counts.WithoutCall+s.counts.BackingOff+s.counts.Held > 0
	}
	return false
}

func emit(e schemas.Event) []Action { return []Action{{Kind: Emit, Event: &e}} }
