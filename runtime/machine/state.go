package machine

import (
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// State is one execution as its log tells it. Only Apply changes it. Read the fields freely; keep no pointer into it
// across an Apply.
type State struct {
	Status     schemas.Status
	Seq        int64 // of the last applied event
	Created    time.Time
	Started    time.Time
	Finished   time.Time
	Deadline   time.Time // zero: none; moves on by the time spent suspended
	Suspended  time.Time // since when; zero unless suspended
	GraceUntil time.Time // while cancelling: when calls in flight are given up
	Now        bool      // while suspending: calls in flight that may be repeated are stopped
	Reason     string    // of the last suspend, resume or cancel
	Priority   int
	Recoveries int // takeovers after a crash since a node last ended
	Takeovers  int // all of them
	Output     schemas.Value
	OutputRef  *schemas.OutputRef
	Error      *schemas.Error
	Degraded   bool
	Signals    []Signal
	Failing    bool // a node failed for good: nothing starts, calls in flight end, then the execution fails
	Nodes      []Node

	program *plan.Program
	limit   int // most attempts in flight

	// What follows is derived from the above, kept so that a transition costs what it changes and not what the plan
	// weighs: rebuild makes it anew from Nodes.
	count    [len(nodeOrder)]int
	inFlight int
	ready    queue // capability nodes
	local    queue // set and wait nodes: they need no room
	doomed   queue // nodes whose trigger rule can no longer hold
	timers   timers
}

// Node is one node of an execution.
type Node struct {
	Status    schemas.NodeStatus `json:"s"`
	Attempts  int                `json:"a,omitempty"` // started
	Failures  int                `json:"f,omitempty"` // spent of the retry budget
	First     time.Time          `json:"t0,omitzero"` // first start
	Since     time.Time          `json:"t,omitzero"`  // last change of status
	Ended     time.Time          `json:"t1,omitzero"`
	Due       time.Time          `json:"due,omitzero"` // of a wait node that runs, or a node that backs off
	Reason    string             `json:"r,omitempty"`  // why it is held or was skipped
	Inputs    schemas.Object     `json:"in,omitempty"` // patched
	Output    schemas.Value      `json:"out,omitempty"`
	Text      string             `json:"txt,omitempty"`
	OutputRef *schemas.OutputRef `json:"ref,omitempty"`
	Error     *schemas.Error     `json:"err,omitempty"`
	ServedBy  string             `json:"by,omitempty"`
	Degraded  bool               `json:"deg,omitempty"`
	CallMS    float64            `json:"ms,omitempty"`

	left, succeeded, failed int32 // dependencies: not ended, and how the others ended
	doomed                  bool  // stands in State.doomed
	queued                  bool  // stands in State.ready or State.local, perhaps from an earlier attempt
}

// Signal is an event that somebody sent to the execution.
type Signal struct {
	Name string        `json:"name"`
	At   time.Time     `json:"at"`
	Data schemas.Value `json:"data,omitempty"`
}

// MaxSignals is how many signals an execution keeps.
const MaxSignals = 1000

// DefaultMaxParallel bounds the attempts in flight of an execution whose plan does not.
const DefaultMaxParallel = 16

// New is the state before the first event.
func New(p *plan.Program) *State {
	s := &State{program: p, limit: p.Definition.Plan.MaxParallel, Nodes: make([]Node, len(p.Nodes))}
	if s.limit == 0 {
		s.limit = DefaultMaxParallel
	}
	for i := range s.Nodes {
		s.Nodes[i].Status = schemas.NodePending
	}
	s.rebuild()
	return s
}

// Program is the plan the execution runs.
func (s *State) Program() *plan.Program { return s.program }

// Count tells how many nodes have the status.
func (s *State) Count(status schemas.NodeStatus) int { return s.count[nodeRank(status)] }

// InFlight tells how many attempts are running, timers aside.
func (s *State) InFlight() int { return s.inFlight }

// Attempt reports whether attempt n of the node is in flight.
func (s *State) Attempt(node, n int) bool {
	return s.calling(node) && s.Nodes[node].Attempts == n
}

// calling reports whether a call of the node is in flight (a running wait node has none).
func (s *State) calling(node int) bool {
	return s.Nodes[node].Status == schemas.NodeRunning && s.program.Nodes[node].Kind == plan.KindCapability
}

var nodeOrder = [...]schemas.NodeStatus{
	schemas.NodePending, schemas.NodeReady, schemas.NodeRunning, schemas.NodeBackingOff, schemas.NodeHeld,
	schemas.NodeSucceeded, schemas.NodeFailed, schemas.NodeSkipped, schemas.NodeCancelled,
}

func nodeRank(s schemas.NodeStatus) int {
	for i, v := range nodeOrder {
		if v == s {
			return i
		}
	}
	return 0
}

// rebuild derives counters and queues from Nodes.
func (s *State) rebuild() {
	s.count, s.inFlight = [len(nodeOrder)]int{}, 0
	s.ready, s.local, s.doomed, s.timers = queue{}, queue{}, queue{}, nil
	for i := range s.Nodes {
		n, p := &s.Nodes[i], &s.program.Nodes[i]
		n.left, n.succeeded, n.failed, n.doomed, n.queued = int32(len(p.Deps)), 0, 0, false, false
		for _, d := range p.Deps {
			n.count(s.Nodes[d].Status)
		}
	}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		s.count[nodeRank(n.Status)]++
		switch n.Status {
		case schemas.NodePending:
			s.settle(i)
		case schemas.NodeReady:
			s.enqueue(i)
		case schemas.NodeRunning, schemas.NodeBackingOff:
			if s.calling(i) {
				s.inFlight++
			}
			if !n.Due.IsZero() {
				s.timers.push(n.Due, i)
			}
		}
	}
}

func (s *State) enqueue(node int) {
	if s.Nodes[node].queued {
		return
	}
	s.Nodes[node].queued = true
	if s.program.Nodes[node].Kind == plan.KindCapability {
		s.ready.push(node)
	} else {
		s.local.push(node)
	}
}

// move sets a node's status and keeps the counters.
func (s *State) move(node int, to schemas.NodeStatus, at time.Time) {
	n := &s.Nodes[node]
	if s.calling(node) {
		s.inFlight--
	}
	s.count[nodeRank(n.Status)]--
	n.Status, n.Since, n.Due, n.Reason = to, at, time.Time{}, ""
	s.count[nodeRank(to)]++
	switch {
	case s.calling(node):
		s.inFlight++
	case to == schemas.NodeReady:
		s.enqueue(node)
	case to.Ended():
		n.Ended = at
		s.Recoveries = 0
		for _, d := range s.program.Nodes[node].Dependents {
			s.Nodes[d].count(to)
			s.settle(d)
		}
	}
}

// count takes note of one dependency's status.
func (n *Node) count(s schemas.NodeStatus) {
	if !s.Ended() {
		return
	}
	n.left--
	switch s {
	case schemas.NodeSucceeded:
		n.succeeded++
	case schemas.NodeFailed, schemas.NodeCancelled:
		n.failed++
	}
}

// settle decides a pending node as far as its trigger rule already allows.
func (s *State) settle(node int) {
	n, p := &s.Nodes[node], &s.program.Nodes[node]
	if n.Status != schemas.NodePending {
		return
	}
	total := int32(len(p.Deps))
	ended := total - n.left
	var start, doom bool
	switch p.Rule {
	case schemas.NoneFailed:
		start, doom = n.left == 0 && n.failed == 0, n.failed > 0
	case schemas.AllDone:
		start = n.left == 0
	case schemas.OneSuccess:
		start, doom = n.succeeded > 0 || total == 0, n.left == 0 && n.succeeded == 0
	case schemas.OneFailed:
		start, doom = n.failed > 0 || total == 0, n.left == 0 && n.failed == 0
	default: // all_success
		start, doom = n.succeeded == total, ended > n.succeeded
	}
	switch {
	case start:
		s.count[nodeRank(schemas.NodePending)]--
		s.count[nodeRank(schemas.NodeReady)]++
		n.Status = schemas.NodeReady
		s.enqueue(node)
	case doom && !n.doomed:
		n.doomed = true
		s.doomed.push(node)
	}
}
