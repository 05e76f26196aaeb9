package machine

import (
	"fmt"
	"slices"

	"github.com/runplane/runplane/schemas"
)

// rule is the states in which an event is legal, and what it does. The empty execution status is that before the first event.
type rule struct {
	from  []schemas.Status     // of the execution
	nodes []schemas.NodeStatus // of the node or item; nil for an event about the execution
	apply func(s *State, unit int, e *schemas.Event)
}

// Statuses of an execution in which events are legal.
var (
	running               = []schemas.Status{schemas.StatusRunning}
	runningOrSuspending   = []schemas.Status{schemas.StatusRunning, schemas.StatusSuspending}
	suspendingOrSuspended = []schemas.Status{schemas.StatusSuspending, schemas.StatusSuspended}
	compensatingOnly      = []schemas.Status{schemas.StatusCompensating}
	// takesDecisions: a person, or the end of a workflow node's execution, may decide about a node.
	takesDecisions = []schemas.Status{schemas.StatusRunning, schemas.StatusSuspending, schemas.StatusSuspended}
	takesResults   = append([]schemas.Status{schemas.StatusCancelling}, takesDecisions...)
	suspendable    = append([]schemas.Status{schemas.StatusPending}, takesDecisions...)
	recoverable    = append([]schemas.Status{schemas.StatusCancelling, schemas.StatusCompensating}, runningOrSuspending...)
	finishable     = []schemas.Status{schemas.StatusPending, schemas.StatusRunning, schemas.StatusCancelling, schemas.StatusCompensating}
	active         = append([]schemas.Status{schemas.StatusCancelling, schemas.StatusCompensating}, suspendable...)
)

// Statuses of a node in which events are legal.
var (
	unstartedNode   = []schemas.NodeStatus{schemas.NodePending, schemas.NodeReady}
	runningNode     = []schemas.NodeStatus{schemas.NodeRunning}
	heldNode        = []schemas.NodeStatus{schemas.NodeHeld}
	undecidedNode   = []schemas.NodeStatus{schemas.NodeReady, schemas.NodeRunning, schemas.NodeBackingOff, schemas.NodeHeld}
	cancellableNode = append([]schemas.NodeStatus{schemas.NodePending}, undecidedNode...)
	compensableNode = []schemas.NodeStatus{schemas.NodeSucceeded, schemas.NodeCompensating}
)

// rules is the whole transition table; every event that is not in it is an error.
var rules = map[schemas.EventType]rule{
	schemas.EventCreated:      {from: []schemas.Status{""}, apply: created},
	schemas.EventStarted:      {from: []schemas.Status{schemas.StatusPending}, apply: started},
	schemas.EventSuspending:   {from: runningOrSuspending, apply: suspending},
	schemas.EventSuspended:    {from: suspendable, apply: suspended},
	schemas.EventResumed:      {from: suspendingOrSuspended, apply: resumed},
	schemas.EventCancelling:   {from: suspendable, apply: cancelling},
	schemas.EventRecovered:    {from: recoverable, apply: recovered},
	schemas.EventPriority:     {from: active, apply: prioritised},
	schemas.EventRolledBack:   {from: active, apply: rolledBack},
	schemas.EventGranted:      {from: active, apply: granted},
	schemas.EventCalled:       {from: active, apply: called},
	schemas.EventLimitReached: {from: running, apply: limitReached},
	schemas.EventLimitsRaised: {from: takesDecisions, apply: limitsRaised},
	schemas.EventSignal:       {from: active, apply: signalled},
	schemas.EventCompensating: {from: []schemas.Status{schemas.StatusRunning, schemas.StatusCancelling}, apply: compensating},
	schemas.EventFinished:     {from: finishable, apply: finished},

	schemas.EventNodeReused:    {from: []schemas.Status{schemas.StatusPending}, nodes: unstartedNode, apply: nodeReused},
	schemas.EventNodeExpanded:  {from: running, nodes: []schemas.NodeStatus{schemas.NodeReady}, apply: (*State).expand},
	schemas.EventNodeStarted:   {from: running, nodes: []schemas.NodeStatus{schemas.NodeReady, schemas.NodeBackingOff}, apply: nodeStarted},
	schemas.EventNodeSucceeded: {from: takesResults, nodes: []schemas.NodeStatus{schemas.NodeReady, schemas.NodeRunning}, apply: nodeSucceeded},
	schemas.EventRoundEnded:    {from: takesResults, nodes: undecidedNode, apply: roundEnded},
	schemas.EventNodeRepeated:  {from: running, nodes: runningNode, apply: nodeRepeated},
	schemas.EventAttemptFailed: {from: runningOrSuspending, nodes: runningNode, apply: attemptFailed},
	schemas.EventAttemptLost:   {from: runningOrSuspending, nodes: runningNode, apply: attemptLost},
	schemas.EventNodePostponed: {from: runningOrSuspending, nodes: runningNode, apply: nodePostponed},
	schemas.EventNodeFellBack:  {from: takesDecisions, nodes: undecidedNode, apply: nodeFellBack},
	schemas.EventNodeVerifying: {from: runningOrSuspending, nodes: runningNode, apply: nodeVerifying},
	schemas.EventNodeNotDone:   {from: runningOrSuspending, nodes: runningNode, apply: nodeNotDone},
	schemas.EventNodeNotYet:    {from: runningOrSuspending, nodes: runningNode, apply: nodeNotYet},
	schemas.EventNodeCallEnded: {from: takesDecisions, nodes: undecidedNode, apply: nodeCallEnded},
	schemas.EventNodeHeld:      {from: takesDecisions, nodes: undecidedNode, apply: nodeHeld},
	schemas.EventNodeSettled:   {from: takesDecisions, nodes: undecidedNode, apply: nodeSettled},
	schemas.EventReviewDecided: {from: takesDecisions, nodes: heldNode, apply: reviewDecided},
	schemas.EventNodeFailed:    {from: takesDecisions, nodes: undecidedNode, apply: nodeFailed},
	schemas.EventNodeSkipped:   {from: running, nodes: unstartedNode, apply: nodeSkipped},
	schemas.EventNodeCancelled: {from: takesResults, nodes: cancellableNode, apply: nodeCancelled},
	schemas.EventNodeSuspended: {from: []schemas.Status{schemas.StatusSuspending}, nodes: runningNode, apply: nodeSuspended},
	schemas.EventNodeGranted:   {from: takesResults, nodes: runningNode, apply: nodeGranted},
	schemas.EventNodePatched:   {from: takesDecisions, nodes: heldNode, apply: nodePatched},

	schemas.EventNodeCompensating:   {from: compensatingOnly, nodes: compensableNode, apply: nodeCompensating},
	schemas.EventCompensationFailed: {from: compensatingOnly, nodes: compensableNode, apply: compensationFailed},
	schemas.EventNodeCompensated:    {from: compensatingOnly, nodes: []schemas.NodeStatus{schemas.NodeCompensating}, apply: nodeCompensated},
}

// ends is the statuses in which an execution may finish, by its current one.
var ends = map[schemas.Status][]schemas.Status{
	schemas.StatusPending:      {schemas.StatusTimedOut}, // in the queue
	schemas.StatusRunning:      {schemas.StatusSucceeded, schemas.StatusFailed, schemas.StatusTimedOut, schemas.StatusHalted},
	schemas.StatusCancelling:   {schemas.StatusCancelled},
	schemas.StatusCompensating: {schemas.StatusFailed, schemas.StatusCancelled}, // cancelled: a cancel asked to compensate
}

// Legal reports whether an event of the type may happen to an execution in the status and, if the event is about a node, to a
// node in the node status.
func Legal(t schemas.EventType, execution schemas.Status, node schemas.NodeStatus) bool {
	r, ok := rules[t]
	return ok && slices.Contains(r.from, execution) && (r.nodes == nil || slices.Contains(r.nodes, node))
}

// AboutNode reports whether events of the type are about a node.
func AboutNode(t schemas.EventType) bool { return rules[t].nodes != nil }

// Apply applies an event to the state. An event that is illegal, out of sequence or about an unknown node is an error and
// changes nothing: the log is of another plan, or there is a bug in what wrote it. The state keeps no pointer to the event.
func (s *State) Apply(e *schemas.Event) error {
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
	s.EvaluatedMS += e.EvaluatedMS
	s.Bytes += e.Apart()
	r.apply(s, unit, e)
	return nil
}
