package machine

import (
	"fmt"
	"slices"
	"time"

	"github.com/runplane/runplane/runtime/plan"
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
	schemas.EventSuspending:   {from: live, apply: suspending},
	schemas.EventSuspended:    {from: []schemas.Status{schemas.StatusPending, schemas.StatusRunning, schemas.StatusSuspending}, apply: suspended},
	schemas.EventResumed:      {from: []schemas.Status{schemas.StatusSuspending, schemas.StatusSuspended}, apply: resumed},
	schemas.EventCancelling:   {from: []schemas.Status{schemas.StatusPending, schemas.StatusRunning, schemas.StatusSuspending, schemas.StatusSuspended}, apply: cancelling},
	schemas.EventRecovered:    {from: []schemas.Status{schemas.StatusRunning, schemas.StatusSuspending, schemas.StatusCancelling, schemas.StatusCompensating}, apply: recovered},
	schemas.EventPriority:     {from: unended, apply: func(s *State, _ int, e *schemas.Event) { s.Priority = e.Priority }},
	schemas.EventSignal:       {from: unended, apply: signalled},
	schemas.EventCompensating: {from: []schemas.Status{schemas.StatusRunning, schemas.StatusCancelling}, apply: compensating},
	schemas.EventFinished:     {from: []schemas.Status{schemas.StatusRunning, schemas.StatusCancelling, schemas.StatusCompensating}, apply: finished},

	schemas.EventNodeReused:    {from: []schemas.Status{schemas.StatusPending}, nodes: []schemas.NodeStatus{schemas.NodePending, schemas.NodeReady}, apply: nodeReused},
	schemas.EventNodeExpanded:  {from: live, nodes: []schemas.NodeStatus{schemas.NodeReady}, apply: func(s *State, unit int, e *schemas.Event) { s.expand(unit, e) }},
	schemas.EventNodeStarted:   {from: live, nodes: []schemas.NodeStatus{schemas.NodeReady, schemas.NodeBackingOff}, apply: nodeStarted},
	schemas.EventNodeSucceeded: {from: results, nodes: []schemas.NodeStatus{schemas.NodeReady, schemas.NodeRunning}, apply: nodeSucceeded},
	schemas.EventAttemptFailed: {from: working, nodes: []schemas.NodeStatus{schemas.NodeRunning}, apply: attemptFailed},
	schemas.EventAttemptLost:   {from: working, nodes: []schemas.NodeStatus{schemas.NodeRunning}, apply: attemptLost},
	schemas.EventNodePostponed: {from: working, nodes: []schemas.NodeStatus{schemas.NodeRunning}, apply: nodePostponed},
	schemas.EventNodeFellBack:  {from: working, nodes: []schemas.NodeStatus{schemas.NodeReady, schemas.NodeRunning, schemas.NodeBackingOff}, apply: nodeFellBack},
	schemas.EventNodeVerifying: {from: working, nodes: []schemas.NodeStatus{schemas.NodeRunning}, apply: nodeVerifying},
	schemas.EventNodeNotDone:   {from: working, nodes: []schemas.NodeStatus{schemas.NodeRunning}, apply: nodeNotDone},
	schemas.EventNodeHeld:      {from: decided, nodes: []schemas.NodeStatus{schemas.NodeReady, schemas.NodeRunning, schemas.NodeBackingOff}, apply: nodeHeld},
	schemas.EventReviewDecided: {from: decided, nodes: []schemas.NodeStatus{schemas.NodeHeld}, apply: reviewDecided},
	schemas.EventNodeFailed:    {from: decided, nodes: []schemas.NodeStatus{schemas.NodeReady, schemas.NodeRunning, schemas.NodeBackingOff, schemas.NodeHeld}, apply: nodeFailed},
	schemas.EventNodeSkipped:   {from: live, nodes: []schemas.NodeStatus{schemas.NodePending, schemas.NodeReady}, apply: nodeSkipped},
	schemas.EventNodeCancelled: {from: results, nodes: []schemas.NodeStatus{schemas.NodeRunning}, apply: nodeCancelled},
	schemas.EventNodePatched:   {from: decided, nodes: []schemas.NodeStatus{schemas.NodeHeld}, apply: nodePatched},

	schemas.EventNodeCompensating:   {from: undoing, nodes: []schemas.NodeStatus{schemas.NodeSucceeded, schemas.NodeCompensating}, apply: nodeCompensating},
	schemas.EventCompensationFailed: {from: undoing, nodes: []schemas.NodeStatus{schemas.NodeSucceeded, schemas.NodeCompensating}, apply: compensationFailed},
	schemas.EventNodeCompensated:    {from: undoing, nodes: []schemas.NodeStatus{schemas.NodeCompensating}, apply: nodeCompensated},
}

// ends says with which status an execution may finish, by the one that it has.
var ends = map[schemas.Status][]schemas.Status{
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

func created(s *State, _ int, e *schemas.Event) {
	s.Status, s.Created, s.Priority = schemas.StatusPending, e.At, e.Priority
	if e.Due != nil {
		s.Deadline = *e.Due
	}
}

func started(s *State, _ int, e *schemas.Event) {
	s.Status, s.Started = schemas.StatusRunning, e.At
	s.queueClocks(e.At)
}

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
	s.queueClocks(e.At)
}

func cancelling(s *State, _ int, e *schemas.Event) {
	s.Status, s.Reason, s.Suspended, s.Cancelled = schemas.StatusCancelling, e.Reason, time.Time{}, true
	s.Undo = e.Name == CancelUndo
	if e.Due != nil {
		s.GraceUntil = *e.Due
	}
}

// CancelUndo as Event.Name of a cancel compensates what succeeded.
const CancelUndo = "compensate"

func recovered(s *State, _ int, _ *schemas.Event) {
	s.Recoveries++
	s.Takeovers++
}

// signalled hands the signal to every node that waits for it; where none does, it is kept for the next one that will.
func signalled(s *State, _ int, e *schemas.Event) {
	waiting := s.listening[e.Name]
	delete(s.listening, e.Name)
	s.Signals = append(s.Signals, Signal{Name: e.Name, At: e.At, Data: e.Data})
	for _, unit := range waiting {
		if u := &s.Units[unit]; u.Status == schemas.NodeRunning && u.Signal == 0 { // others have stopped waiting since
			u.Signal = len(s.Signals)
			s.Signals[u.Signal-1].Taken = true
			s.delivered.push(unit)
		}
	}
}

func compensating(s *State, _ int, e *schemas.Event) {
	s.Status, s.GraceUntil = schemas.StatusCompensating, time.Time{}
	for i := range s.Units {
		if u := &s.Units[i]; !u.Status.Ended() {
			s.drop(i, e)
		}
	}
	s.clearQueues()
	s.planUndo()
}

func (s *State) clearQueues() {
	s.ready, s.local, s.doomed, s.joins, s.delivered = [schemas.PriorityLast]queue{}, queue{}, queue{}, queue{}, queue{}
	s.timers, s.retries = nil, nil
}

// drop counts a unit as cancelled because its execution is over; nobody who waits for it is told.
func (s *State) drop(unit int, e *schemas.Event) {
	u := &s.Units[unit]
	s.tally(unit, -1)
	u.Status, u.Since, u.Ended, u.Calling = schemas.NodeCancelled, e.At, e.At, false
	u.Due, u.TotalDue, u.QueueDue, u.Reason, u.Question = time.Time{}, time.Time{}, time.Time{}, "", ""
	s.tally(unit, 1)
}

func finished(s *State, _ int, e *schemas.Event) {
	for i := range s.Units {
		if u := &s.Units[i]; !u.Status.Ended() {
			s.drop(i, e)
		}
	}
	s.clearQueues()
	s.undo = nil
	s.Status, s.Finished, s.Output, s.OutputRef, s.Error = e.Status, e.At, e.Output, e.OutputRef, e.Error
	s.GraceUntil, s.Suspended = time.Time{}, time.Time{}
}

func nodeReused(s *State, unit int, e *schemas.Event) {
	s.change(unit, schemas.NodeSucceeded, e, false)
	s.result(unit, e).Reason = reused
}

func nodeStarted(s *State, unit int, e *schemas.Event) {
	n := s.Node(unit)
	calls := s.Target(unit) != nil
	u := s.change(unit, schemas.NodeRunning, e, calls)
	u.Attempts, u.Error, u.Child = e.Attempt, nil, e.Child
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
	if n.Kind == plan.KindWaitFor {
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
	if u.Expanded {
		for i := range u.Count { // the list has them now
			item := &s.Units[u.FirstItem+i]
			if s.Node(u.FirstItem+i).Compensate == nil {
				item.Output, item.OutputRef, item.Text = nil, nil, ""
			}
		}
	}
}

// result takes over what a unit produced.
func (s *State) result(unit int, e *schemas.Event) *Unit {
	u := &s.Units[unit]
	u.Output, u.Text, u.OutputRef, u.ServedBy, u.Degraded = e.Output, e.Text, e.OutputRef, e.ServedBy, e.Degraded
	u.Error = nil
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
	s.later(unit, e)
}

func nodePostponed(s *State, unit int, e *schemas.Event) {
	u := s.change(unit, schemas.NodeBackingOff, e, false)
	u.Reason = e.Reason
	s.later(unit, e)
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

func attemptLost(s *State, unit int, e *schemas.Event) { s.change(unit, schemas.NodeReady, e, false) }

func nodeFellBack(s *State, unit int, e *schemas.Event) {
	u := s.change(unit, schemas.NodeReady, e, false)
	u.Fallback, u.Failures, u.Phase, u.Error = e.Fallback, 0, PhaseRun, e.Error
	u.Approved = false       // that was another call
	u.TotalDue = time.Time{} // it has its own
	u.CallMS += e.DurationMS
}

func nodeVerifying(s *State, unit int, e *schemas.Event) {
	s.Units[unit].Phase = PhaseVerify
	u := s.change(unit, schemas.NodeReady, e, false)
	u.Failures, u.Spent, u.Error = 0, u.Failures+1, e.Error
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
	u.Reason, u.Error, u.Question, u.Phase = e.Reason, e.Error, e.Text, PhaseRun
	u.TotalDue = time.Time{} // it stands still until somebody decides
	u.CallMS += e.DurationMS
	if len(e.Data) > 0 { // what a person is asked about is what runs, whatever else the expressions may say by then
		u.Inputs, u.InputsOf = schemas.Object(e.Data), u.Fallback
	}
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
		if len(e.Data) > 0 {
			u.Inputs, u.InputsOf = schemas.Object(e.Data), u.Fallback
		}
	}
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

func nodePatched(s *State, unit int, e *schemas.Event) {
	p := e.Patch
	switch {
	case p.Skip:
		s.change(unit, schemas.NodeSkipped, e, false).Reason = "patched"
	case len(p.Output) > 0 || e.OutputRef != nil:
		s.change(unit, schemas.NodeSucceeded, e, false)
		s.result(unit, &schemas.Event{At: e.At, Output: p.Output, OutputRef: e.OutputRef}).Reason = "patched"
	default:
		if len(p.Inputs) > 0 {
			s.Units[unit].Inputs, s.Units[unit].InputsOf = p.Inputs, 0
			s.Units[unit].Approved = false
		}
		u := s.change(unit, schemas.NodeReady, e, false)
		u.Approved = u.Approved && u.Fallback == 0
		u.Failures, u.Fallback, u.Phase, u.TotalDue, u.First = 0, 0, PhaseRun, time.Time{}, time.Time{}
	}
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
		if e.Reason == "" {
			u.Failures++
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
