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
	Node  int            // for Start
	Event *schemas.Event // for Emit: without At and Seq
}

// ActionKind says what an Action asks for.
type ActionKind int

const (
	// Emit: commit the event as it is.
	Emit ActionKind = iota
	// Start: evaluate the node's condition and inputs; then skip, fail or start it.
	Start
	// Finish: every node ended well enough; evaluate the plan's output and finish.
	Finish
)

// maxActions bounds one answer of Next, so that a batch stays small.
const maxActions = 256

// Next says what is due now, in order. An empty answer means that nothing is until a call ends, somebody decides, or
// the time of [State.Wake] comes. Apply the events of all answers before asking again; asking twice gives the same.
func (s *State) Next(now time.Time) []Action {
	switch s.Status {
	case schemas.StatusRunning:
		return s.nextRunning(now)
	case schemas.StatusSuspending:
		if s.inFlight == 0 {
			return emit(schemas.Event{Type: schemas.EventSuspended})
		}
	case schemas.StatusCancelling:
		if s.inFlight == 0 {
			return emit(schemas.Event{
				Type: schemas.EventFinished, Status: schemas.StatusCancelled,
				Error: schemas.Errorf(schemas.CodeCancelled, "the execution was cancelled%s", because(s.Reason)),
			})
		}
		if !now.Before(s.GraceUntil) {
			return s.giveUp("no answer within the grace period of the cancel")
		}
	}
	return nil
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func (s *State) nextRunning(now time.Time) []Action {
	if !s.Deadline.IsZero() && !now.Before(s.Deadline) {
		if s.inFlight > 0 {
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
		return emit(schemas.Event{Type: schemas.EventFinished, Status: schemas.StatusFailed, Error: s.Error})
	}

	var out []Action
	s.drop(&s.doomed, schemas.NodePending)
	for i := 0; i < s.doomed.len() && len(out) < maxActions; i++ {
		if node := s.doomed.at(i); s.Nodes[node].Status == schemas.NodePending {
			out = append(out, Action{Kind: Emit, Event: &schemas.Event{
				Type: schemas.EventNodeSkipped, Node: s.program.Nodes[node].ID,
				Reason: fmt.Sprintf("trigger_rule %s cannot hold", s.program.Nodes[node].Rule),
			}})
		}
	}
	if len(out) > 0 {
		return out // skipping may doom or free others: look again
	}
	s.drop(&s.local, schemas.NodeReady)
	for i := 0; i < s.local.len() && len(out) < maxActions; i++ {
		if node := s.local.at(i); s.Nodes[node].Status == schemas.NodeReady {
			out = append(out, Action{Kind: Start, Node: node})
		}
	}
	room := s.limit - s.inFlight
	s.drop(&s.ready, schemas.NodeReady)
	for i := 0; i < s.ready.len() && room > 0 && len(out) < maxActions; i++ {
		if node := s.ready.at(i); s.Nodes[node].Status == schemas.NodeReady {
			out = append(out, Action{Kind: Start, Node: node})
			room--
		}
	}
	due, more := s.due(now, room, maxActions-len(out))
	out = append(out, due...)
	if len(out) > 0 || more {
		return out
	}
	return s.rest()
}

// drop removes the entries at the head of a queue whose nodes have moved on.
func (s *State) drop(q *queue, status schemas.NodeStatus) {
	for q.len() > 0 && s.Nodes[q.at(0)].Status != status {
		s.Nodes[q.at(0)].queued = false
		q.pop()
	}
}

// due lists timers that have come: wait nodes succeed, nodes that back off start again where there is room. more tells
// that a node is due and waits for room.
func (s *State) due(now time.Time, room, limit int) (out []Action, more bool) {
	var kept []timer
	for len(s.timers) > 0 && !s.timers[0].due.After(now) && len(out) < limit {
		t := s.timers[0]
		s.timers.pop()
		n := &s.Nodes[t.node]
		if !n.Due.Equal(t.due) || n.Due.IsZero() {
			continue
		}
		kept = append(kept, t) // it stays until its event is applied: asking twice gives the same
		switch {
		case n.Status == schemas.NodeRunning:
			out = append(out, Action{Kind: Emit, Event: &schemas.Event{Type: schemas.EventNodeSucceeded, Node: s.program.Nodes[t.node].ID}})
		case room > 0 || s.program.Nodes[t.node].Kind != plan.KindCapability:
			out = append(out, Action{Kind: Start, Node: t.node})
			room--
		default:
			more = true
		}
		if more {
			break
		}
	}
	for _, t := range kept {
		s.timers.push(t.due, t.node)
	}
	return out, more
}

// rest decides what an execution does in which nothing can start.
func (s *State) rest() []Action {
	switch {
	case s.inFlight > 0 || s.Count(schemas.NodeRunning) > 0 || s.Count(schemas.NodeBackingOff) > 0:
		return nil
	case s.Count(schemas.NodeHeld) > 0:
		return emit(schemas.Event{Type: schemas.EventSuspended, Reason: "a held node needs a decision: resume_execution with a patch for it"})
	case s.Count(schemas.NodePending)+s.Count(schemas.NodeReady) > 0:
		return nil // room is short, or more is to be applied first
	}
	return []Action{{Kind: Finish}}
}

// giveUp ends the calls in flight without an answer.
func (s *State) giveUp(why string) []Action {
	var out []Action
	for i := range s.Nodes {
		if s.calling(i) && len(out) < maxActions {
			out = append(out, Action{Kind: Emit, Event: &schemas.Event{
				Type: schemas.EventNodeCancelled, Node: s.program.Nodes[i].ID, Attempt: s.Nodes[i].Attempts,
				Error: schemas.Errorf(schemas.CodeOutcomeUnknown, "the call was in flight when it was given up: %s", why).WithOutcome(schemas.Unknown),
			}})
		}
	}
	return out
}

// Wake is when Next has something new to say though nothing else happens after now; zero: never. What is due at now and
// waits for room does not count: the end of a call makes room.
func (s *State) Wake(now time.Time) time.Time {
	switch s.Status {
	case schemas.StatusRunning:
		at := s.Deadline
		for len(s.timers) > 0 && !s.Nodes[s.timers[0].node].Due.Equal(s.timers[0].due) {
			s.timers.pop()
		}
		if len(s.timers) > 0 && s.timers[0].due.After(now) && (at.IsZero() || s.timers[0].due.Before(at)) {
			at = s.timers[0].due
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
		return s.inFlight == 0 && s.Count(schemas.NodeReady) == 0
	}
	return false
}

func emit(e schemas.Event) []Action { return []Action{{Kind: Emit, Event: &e}} }
