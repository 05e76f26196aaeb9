package machine

import (
	"fmt"
	"slices"
	"time"

	"github.com/runplane/runplane/schemas"
)

// rule says from where an event is legal. An empty execution status is that of an execution before its first event.
type rule struct {
	from  []schemas.Status     // of the execution
	nodes []schemas.NodeStatus // of the node; nil for an event about the execution
	apply func(s *State, node int, e *schemas.Event)
}

var (
	live     = []schemas.Status{schemas.StatusRunning}
	unended  = []schemas.Status{schemas.StatusPending, schemas.StatusRunning, schemas.StatusSuspending, schemas.StatusSuspended, schemas.StatusCancelling, schemas.StatusCompensating}
	working  = []schemas.Status{schemas.StatusRunning, schemas.StatusSuspending}
	draining = []schemas.Status{schemas.StatusRunning, schemas.StatusSuspending, schemas.StatusCancelling}
)

// rules is the whole transition table; everything that is not in it is an error.
var rules = map[schemas.EventType]rule{
	schemas.EventCreated:    {from: []schemas.Status{""}, apply: created},
	schemas.EventStarted:    {from: []schemas.Status{schemas.StatusPending}, apply: started},
	schemas.EventSuspending: {from: live, apply: suspending},
	schemas.EventSuspended:  {from: []schemas.Status{schemas.StatusPending, schemas.StatusRunning, schemas.StatusSuspending}, apply: suspended},
	schemas.EventResumed:    {from: []schemas.Status{schemas.StatusSuspending, schemas.StatusSuspended}, apply: resumed},
	schemas.EventCancelling: {from: []schemas.Status{schemas.StatusPending, schemas.StatusRunning, schemas.StatusSuspending, schemas.StatusSuspended}, apply: cancelling},
	schemas.EventRecovered:  {from: draining, apply: recovered},
	schemas.EventPriority:   {from: unended, apply: func(s *State, _ int, e *schemas.Event) { s.Priority = e.Priority }},
	schemas.EventSignal:     {from: unended, apply: signalled},
	schemas.EventFinished:   {from: []schemas.Status{schemas.StatusRunning, schemas.StatusCancelling, schemas.StatusCompensating}, apply: finished},

	schemas.EventNodeReused:    {from: []schemas.Status{schemas.StatusPending}, nodes: []schemas.NodeStatus{schemas.NodePending, schemas.NodeReady}, apply: nodeReused},
	schemas.EventNodeStarted:   {from: live, nodes: []schemas.NodeStatus{schemas.NodeReady, schemas.NodeBackingOff}, apply: nodeStarted},
	schemas.EventNodeSucceeded: {from: draining, nodes: []schemas.NodeStatus{schemas.NodeReady, schemas.NodeRunning}, apply: nodeSucceeded},
	schemas.EventAttemptFailed: {from: working, nodes: []schemas.NodeStatus{schemas.NodeRunning}, apply: attemptFailed},
	schemas.EventAttemptLost:   {from: working, nodes: []schemas.NodeStatus{schemas.NodeRunning}, apply: attemptLost},
	schemas.EventNodePostponed: {from: working, nodes: []schemas.NodeStatus{schemas.NodeRunning}, apply: nodePostponed},
	schemas.EventNodeHeld:      {from: working, nodes: []schemas.NodeStatus{schemas.NodeReady, schemas.NodeRunning}, apply: nodeHeld},
	schemas.EventNodeFailed:    {from: working, nodes: []schemas.NodeStatus{schemas.NodeReady, schemas.NodeRunning, schemas.NodeBackingOff, schemas.NodeHeld}, apply: nodeFailed},
	schemas.EventNodeSkipped:   {from: live, nodes: []schemas.NodeStatus{schemas.NodePending, schemas.NodeReady}, apply: nodeSkipped},
	schemas.EventNodeCancelled: {from: draining, nodes: []schemas.NodeStatus{schemas.NodeRunning}, apply: nodeCancelled},
	schemas.EventNodePatched: {
		from:  []schemas.Status{schemas.StatusRunning, schemas.StatusSuspending, schemas.StatusSuspended},
		nodes: []schemas.NodeStatus{schemas.NodeHeld}, apply: nodePatched,
	},
}

// Legal tells whether an event of the type may happen to an execution in the status, and, where the event is about a
// node, to a node in the node status.
func Legal(t schemas.EventType, execution schemas.Status, node schemas.NodeStatus) bool {
	r, ok := rules[t]
	return ok && slices.Contains(r.from, execution) && (r.nodes == nil || slices.Contains(r.nodes, node))
}

// AboutNode tells whether events of the type name a node.
func AboutNode(t schemas.EventType) bool { return rules[t].nodes != nil }

// Apply changes the state as the event says. An event that is illegal here, out of sequence or about an unknown node is an
// error and changes nothing; the log then is not one of this plan, or a defect tried to write it.
func (s *State) Apply(e schemas.Event) error {
	r, ok := rules[e.Type]
	if !ok {
		return fmt.Errorf("apply: unknown event %q", e.Type)
	}
	if e.Seq != s.Seq+1 {
		return fmt.Errorf("apply: %s has sequence number %d, want %d", e.Type, e.Seq, s.Seq+1)
	}
	if !slices.Contains(r.from, s.Status) {
		return fmt.Errorf("apply: %s is illegal in an execution that is %q", e.Type, s.Status)
	}
	node := -1
	if r.nodes != nil {
		if node, ok = s.program.Index(e.Node); !ok {
			return fmt.Errorf("apply: %s names node %q, which the plan does not have", e.Type, e.Node)
		}
		if !slices.Contains(r.nodes, s.Nodes[node].Status) {
			return fmt.Errorf("apply: %s is illegal for node %q that is %q", e.Type, e.Node, s.Nodes[node].Status)
		}
	}
	s.Seq = e.Seq
	r.apply(s, node, &e)
	return nil
}

func created(s *State, _ int, e *schemas.Event) {
	s.Status, s.Created, s.Priority = schemas.StatusPending, e.At, e.Priority
	if e.Due != nil {
		s.Deadline = *e.Due
	}
}

func started(s *State, _ int, e *schemas.Event) { s.Status, s.Started = schemas.StatusRunning, e.At }

func suspending(s *State, _ int, e *schemas.Event) {
	s.Status, s.Reason, s.Now = schemas.StatusSuspending, e.Reason, e.Name == SuspendNow
}

// Modes of a suspend, as Event.Name.
const (
	SuspendDrain = "drain"
	SuspendNow   = "now"
)

func suspended(s *State, _ int, e *schemas.Event) {
	s.Status, s.Suspended, s.Now = schemas.StatusSuspended, e.At, false
	if e.Reason != "" {
		s.Reason = e.Reason
	}
}

func resumed(s *State, _ int, e *schemas.Event) {
	if !s.Suspended.IsZero() && !s.Deadline.IsZero() {
		s.Deadline = s.Deadline.Add(e.At.Sub(s.Suspended))
	}
	s.Suspended, s.Now, s.Reason, s.Recoveries = time.Time{}, false, e.Reason, 0
	s.Status = schemas.StatusRunning
	if s.Started.IsZero() {
		s.Started = e.At
	}
}

func cancelling(s *State, _ int, e *schemas.Event) {
	s.Status, s.Reason, s.Suspended = schemas.StatusCancelling, e.Reason, time.Time{}
	if e.Due != nil {
		s.GraceUntil = *e.Due
	}
}

func recovered(s *State, _ int, _ *schemas.Event) {
	s.Recoveries++
	s.Takeovers++
}

func signalled(s *State, _ int, e *schemas.Event) {
	s.Signals = append(s.Signals, Signal{e.Name, e.At, e.Data})
}

func finished(s *State, _ int, e *schemas.Event) {
	for i := range s.Nodes {
		if n := &s.Nodes[i]; !n.Status.Ended() {
			s.count[nodeRank(n.Status)]--
			s.count[nodeRank(schemas.NodeCancelled)]++
			n.Status, n.Since, n.Ended, n.Due, n.Reason = schemas.NodeCancelled, e.At, e.At, time.Time{}, ""
		}
	}
	s.inFlight = 0
	s.ready, s.local, s.doomed, s.timers = queue{}, queue{}, queue{}, nil
	s.Status, s.Finished, s.Output, s.OutputRef, s.Error = e.Status, e.At, e.Output, e.OutputRef, e.Error
	s.GraceUntil, s.Suspended = time.Time{}, time.Time{}
}

func nodeReused(s *State, node int, e *schemas.Event) {
	s.move(node, schemas.NodeSucceeded, e.At)
	s.result(node, e)
	s.Nodes[node].Reason = "reused"
}

func nodeStarted(s *State, node int, e *schemas.Event) {
	s.move(node, schemas.NodeRunning, e.At)
	n := &s.Nodes[node]
	n.Attempts = e.Attempt
	n.Error = nil
	if n.First.IsZero() {
		n.First = e.At
	}
	if e.Due != nil {
		n.Due = *e.Due
		s.timers.push(n.Due, node)
	}
}

func nodeSucceeded(s *State, node int, e *schemas.Event) {
	s.move(node, schemas.NodeSucceeded, e.At)
	s.result(node, e)
}

// result takes over what a node produced.
func (s *State) result(node int, e *schemas.Event) {
	n := &s.Nodes[node]
	n.Output, n.Text, n.OutputRef, n.ServedBy, n.Degraded = e.Output, e.Text, e.OutputRef, e.ServedBy, e.Degraded
	n.Error = nil
	n.CallMS += e.DurationMS
	if n.First.IsZero() {
		n.First = e.At
	}
	s.Degraded = s.Degraded || e.Degraded
}

func attemptFailed(s *State, node int, e *schemas.Event) {
	s.move(node, schemas.NodeBackingOff, e.At)
	n := &s.Nodes[node]
	n.Failures++
	s.later(node, e)
}

func nodePostponed(s *State, node int, e *schemas.Event) {
	s.move(node, schemas.NodeBackingOff, e.At)
	s.Nodes[node].Reason = e.Reason
	s.later(node, e)
}

// later makes a node that backs off due again.
func (s *State) later(node int, e *schemas.Event) {
	n := &s.Nodes[node]
	n.Error = e.Error
	n.CallMS += e.DurationMS
	n.Due = e.At
	if e.Due != nil {
		n.Due = *e.Due
	}
	s.timers.push(n.Due, node)
}

func attemptLost(s *State, node int, e *schemas.Event) { s.move(node, schemas.NodeReady, e.At) }

func nodeHeld(s *State, node int, e *schemas.Event) {
	s.move(node, schemas.NodeHeld, e.At)
	n := &s.Nodes[node]
	n.Reason, n.Error = e.Reason, e.Error
	n.CallMS += e.DurationMS
}

func nodeFailed(s *State, node int, e *schemas.Event) {
	if e.Error == nil {
		e.Error = schemas.Errorf(schemas.CodeInternal, "no reason was given")
	}
	s.move(node, schemas.NodeFailed, e.At)
	n := &s.Nodes[node]
	n.Error = e.Error
	n.CallMS += e.DurationMS
	if s.program.Nodes[node].OnError != schemas.OnErrorContinue && !s.Failing {
		s.Failing = true
		s.Error = e.Error.With(func(c *schemas.Error) { c.Message = fmt.Sprintf("node %q: %s", e.Node, c.Message) })
	}
}

func nodeSkipped(s *State, node int, e *schemas.Event) {
	s.move(node, schemas.NodeSkipped, e.At)
	s.Nodes[node].Reason = e.Reason
}

func nodeCancelled(s *State, node int, e *schemas.Event) {
	s.move(node, schemas.NodeCancelled, e.At)
	s.Nodes[node].Error = e.Error
	s.Nodes[node].CallMS += e.DurationMS
}

func nodePatched(s *State, node int, e *schemas.Event) {
	p := e.Patch
	switch {
	case p.Skip:
		s.move(node, schemas.NodeSkipped, e.At)
		s.Nodes[node].Reason = "patched"
	case len(p.Output) > 0 || e.OutputRef != nil:
		s.move(node, schemas.NodeSucceeded, e.At)
		s.result(node, &schemas.Event{At: e.At, Output: p.Output, OutputRef: e.OutputRef})
		s.Nodes[node].Reason = "patched"
	default:
		if len(p.Inputs) > 0 {
			s.Nodes[node].Inputs = p.Inputs
		}
		s.move(node, schemas.NodeReady, e.At)
		s.Nodes[node].Failures = 0
	}
}
