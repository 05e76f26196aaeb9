package machine

import (
	"fmt"
	"slices"

	"github.com/runplane/runplane/schemas"
)

// rule says from where an event is legal. An empty execution status is that of an execution before its first event.
type rule struct {
	from  []schemas.Status     // of the execution
	nodes []schemas.NodeStatus // of the node or item; nil for an event about the execution
	apply func(s *State, unit int, e *schemas.Event)
}

var (
	live    = []schemas.Status{schemas.StatusRunning}
	unended = []schemas.Status{schemas.StatusPending, schemas.StatusRunning, schemas.StatusSuspending, schemas.StatusSuspended, schemas.StatusCancelling, schemas.StatusCompensating}
	working = []schemas.Status{schemas.StatusRunning, schemas.StatusSuspending}
	results = append([]schemas.Status{schemas.StatusCancelling}, decided...)
	undoing = []schemas.Status{schemas.StatusCompensating}
	decided = []schemas.Status{schemas.StatusRunning, schemas.StatusSuspending, schemas.StatusSuspended} // by a person, or by a workflow that ends when it ends
)

// rules is the whole transition table; everything that is not in it is an error.
var rules = map[schemas.EventType]rule{
	schemas.EventCreated:      {from: []schemas.Status{""}, apply: created},
	schemas.EventStarted:      {from: []schemas.Status{schemas.StatusPending}, apply: started},
	schemas.EventSuspending:   {from: working, apply: suspending},
	schemas.EventSuspended:    {from: append([]schemas.Status{schemas.StatusPending}, decided...), apply: suspended},
	schemas.EventResumed:      {from: []schemas.Status{schemas.StatusSuspending, schemas.StatusSuspended}, apply: resumed},
	schemas.EventCancelling:   {from: []schemas.Status{schemas.StatusPending, schemas.StatusRunning, schemas.StatusSuspending, schemas.StatusSuspended}, apply: cancelling},
	schemas.EventRecovered:    {from: []schemas.Status{schemas.StatusRunning, schemas.StatusSuspending, schemas.StatusCancelling, schemas.StatusCompensating}, apply: recovered},
	schemas.EventPriority:     {from: unended, apply: func(s *State, _ int, e *schemas.Event) { s.Priority = e.Priority }},
	schemas.EventRolledBack:   {from: unended, apply: rolledBack},
	schemas.EventSignal:       {from: unended, apply: signalled},
	schemas.EventCompensating: {from: []schemas.Status{schemas.StatusRunning, schemas.StatusCancelling}, apply: compensating},
	schemas.EventFinished:     {from: []schemas.Status{schemas.StatusPending, schemas.StatusRunning, schemas.StatusCancelling, schemas.StatusCompensating}, apply: finished},

	schemas.EventNodeReused:    {from: []schemas.Status{schemas.StatusPending}, nodes: []schemas.NodeStatus{schemas.NodePending, schemas.NodeReady}, apply: nodeReused},
	schemas.EventNodeExpanded:  {from: live, nodes: []schemas.NodeStatus{schemas.NodeReady}, apply: func(s *State, unit int, e *schemas.Event) { s.expand(unit, e) }},
	schemas.EventNodeStarted:   {from: live, nodes: []schemas.NodeStatus{schemas.NodeReady, schemas.NodeBackingOff}, apply: nodeStarted},
	schemas.EventNodeSucceeded: {from: results, nodes: []schemas.NodeStatus{schemas.NodeReady, schemas.NodeRunning}, apply: nodeSucceeded},
	schemas.EventAttemptFailed: {from: working, nodes: []schemas.NodeStatus{schemas.NodeRunning}, apply: attemptFailed},
	schemas.EventAttemptLost:   {from: working, nodes: []schemas.NodeStatus{schemas.NodeRunning}, apply: attemptLost},
	schemas.EventNodePostponed: {from: working, nodes: []schemas.NodeStatus{schemas.NodeRunning}, apply: nodePostponed},
	schemas.EventNodeFellBack:  {from: decided, nodes: []schemas.NodeStatus{schemas.NodeReady, schemas.NodeRunning, schemas.NodeBackingOff, schemas.NodeHeld}, apply: nodeFellBack},
	schemas.EventNodeVerifying: {from: working, nodes: []schemas.NodeStatus{schemas.NodeRunning}, apply: nodeVerifying},
	schemas.EventNodeNotDone:   {from: working, nodes: []schemas.NodeStatus{schemas.NodeRunning}, apply: nodeNotDone},
	schemas.EventNodeHeld:      {from: decided, nodes: []schemas.NodeStatus{schemas.NodeReady, schemas.NodeRunning, schemas.NodeBackingOff, schemas.NodeHeld}, apply: nodeHeld},
	schemas.EventNodeSettled:   {from: decided, nodes: []schemas.NodeStatus{schemas.NodeReady, schemas.NodeRunning, schemas.NodeBackingOff, schemas.NodeHeld}, apply: nodeSettled},
	schemas.EventReviewDecided: {from: decided, nodes: []schemas.NodeStatus{schemas.NodeHeld}, apply: reviewDecided},
	schemas.EventNodeFailed:    {from: decided, nodes: []schemas.NodeStatus{schemas.NodeReady, schemas.NodeRunning, schemas.NodeBackingOff, schemas.NodeHeld}, apply: nodeFailed},
	schemas.EventNodeSkipped:   {from: live, nodes: []schemas.NodeStatus{schemas.NodePending, schemas.NodeReady}, apply: nodeSkipped},
	schemas.EventNodeCancelled: {from: results, nodes: []schemas.NodeStatus{schemas.NodeRunning}, apply: nodeCancelled},
	schemas.EventNodeSuspended: {from: []schemas.Status{schemas.StatusSuspending}, nodes: []schemas.NodeStatus{schemas.NodeRunning}, apply: nodeSuspended},
	schemas.EventNodePatched:   {from: decided, nodes: []schemas.NodeStatus{schemas.NodeHeld}, apply: nodePatched},

	schemas.EventNodeCompensating:   {from: undoing, nodes: []schemas.NodeStatus{schemas.NodeSucceeded, schemas.NodeCompensating}, apply: nodeCompensating},
	schemas.EventCompensationFailed: {from: undoing, nodes: []schemas.NodeStatus{schemas.NodeSucceeded, schemas.NodeCompensating}, apply: compensationFailed},
	schemas.EventNodeCompensated:    {from: undoing, nodes: []schemas.NodeStatus{schemas.NodeCompensating}, apply: nodeCompensated},
}

// ends says with which status an execution may finish, by the one that it has.
var ends = map[schemas.Status][]schemas.Status{
	schemas.StatusPending:      {schemas.StatusTimedOut}, // in the queue
	schemas.StatusRunning:      {schemas.StatusSucceeded, schemas.StatusFailed, schemas.StatusTimedOut, schemas.StatusHalted},
	schemas.StatusCancelling:   {schemas.StatusCancelled},
	schemas.StatusCompensating: {schemas.StatusFailed, schemas.StatusCancelled}, // cancelled: a cancel asked to compensate
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
	if e.Type == schemas.EventFinished && !slices.Contains(ends[s.Status], e.Status) {
		return fmt.Errorf("apply: an execution that is %q cannot end as %q", s.Status, e.Status)
	}
	unit := -1
	if r.nodes != nil {
		if unit, ok = s.Unit(e.Node, e.Item); !ok {
			return fmt.Errorf("apply: %s names node %q, or an item of it, which the execution does not have", e.Type, e.Node)
		}
		if !slices.Contains(r.nodes, s.Units[unit].Status) {
			return fmt.Errorf("apply: %s is illegal for node %q that is %q", e.Type, s.Name(unit), s.Units[unit].Status)
		}
	}
	s.Seq = e.Seq
	r.apply(s, unit, &e)
	return nil
}
