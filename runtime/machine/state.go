package machine

import (
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// State is one execution as its log tells it. Only Apply changes it. Read the fields freely; keep no pointer into it
// across an Apply.
//
// A unit is what runs: the first len(Program().Nodes) units are the plan's nodes in their order, the units behind them
// are the items of for_each nodes as they were expanded.
type State struct {
	Status     schemas.Status
	Seq        int64 // of the last applied event
	Created    time.Time
	Started    time.Time
	Finished   time.Time
	Deadline   time.Time // zero: none; moves on by the time spent suspended
	QueueDue   time.Time // zero: none; until when it may wait for its first worker
	Suspended  time.Time // since when; zero unless suspended
	GraceUntil time.Time // while cancelling: when calls in flight are given up
	Now        bool      // while suspending: calls in flight that may be repeated are stopped
	WithParent bool      // while suspending or suspended: because its parent is, and until that is resumed
	Reason     string    // of the last suspend, resume or cancel
	Priority   int
	Recoveries int // takeovers after a crash since a node last ended
	Takeovers  int // all of them
	Output     schemas.Value
	OutputRef  *schemas.OutputRef
	Error      *schemas.Error
	Degraded   bool
	Signals    []Signal
	Failing    bool           // a node failed for good: nothing starts, calls in flight end, then the execution fails
	Undo       bool           // before it ends, what succeeded is compensated
	Cancelled  bool           // it was cancelled; an execution that compensates ends as cancelled then
	Calls      int            // made so far
	Bytes      int64          // of all outputs
	Doubts     map[string]int // attempts of `once` calls that a rolled-back store does not know, by unit; they may have happened
	Units      []Unit

	program *plan.Program
	limit   int // most attempts in flight
	forbids func(*plan.Target) bool

	// What follows is derived from the above, kept so that a transition costs what it changes and not what the plan
	// weighs: rebuild makes it anew from Units.
	count     [len(nodeOrder)]int // nodes by status; items are not counted
	inFlight  int                 // calls
	readies   int                 // units
	timing    int                 // units that run without a call: timers, events, states, workflows
	children  int                 // of those, workflows
	asleep    int                 // of those, suspended
	held      int                 // units
	backing   int                 // units
	ready     [schemas.PriorityLast]queue
	local     queue // units that need no room
	doomed    queue // nodes whose trigger rule can no longer hold
	joins     queue // for_each nodes whose outcome is clear
	awaiting  []int // units that wait for a state
	delivered queue // wait_for units that have their signal
	timers    timers
	retries   timers           // of units that back off: once due they wait for room, which must not keep other timers back
	listening map[string][]int // wait_for units by event
	undo      []int            // units to compensate, the next one last
}

// Unit is one node of an execution, or one item of a for_each node.
type Unit struct {
	Status     schemas.NodeStatus `json:"s"`
	Node       int                `json:"n,omitempty"`  // of an item: its node
	Item       int                `json:"i,omitempty"`  // of an item: its index
	Calling    bool               `json:"c,omitempty"`  // a call is in flight
	Attempts   int                `json:"a,omitempty"`  // started, in all
	Refused    int                `json:"rf,omitempty"` // of those, turned away before they left
	Failures   int                `json:"f,omitempty"`  // spent of the retry budget of what is called now
	Spent      int                `json:"fs,omitempty"` // while it is verified: what its own call has spent, the unknown one with it
	Doubt      int                `json:"d,omitempty"`  // the attempt of unknown outcome about which nobody has decided; 0: none
	Deaths     int                `json:"dd,omitempty"` // workers in a row that died while its call was in flight
	Phase      Phase              `json:"p,omitempty"`
	Fallback   int                `json:"fb,omitempty"` // entry of the fallback list that serves, from 1
	Approved   bool               `json:"ok,omitempty"` // a person said yes to the call
	First      time.Time          `json:"t0,omitzero"`  // first start
	Since      time.Time          `json:"t,omitzero"`   // last change of status
	Ended      time.Time          `json:"t1,omitzero"`
	EndSeq     int64              `json:"q,omitempty"`    // event that ended it
	Due        time.Time          `json:"due,omitzero"`   // of a timer, a review, a wait for an event, a backoff
	TotalDue   time.Time          `json:"total,omitzero"` // when total_timeout is over
	QueueDue   time.Time          `json:"queue,omitzero"` // when queue_timeout is over
	Queued     time.Time          `json:"tq,omitzero"`    // since when it has waited to be called, refusals included
	Reason     string             `json:"r,omitempty"`    // why it is held or was skipped
	Question   string             `json:"ask,omitempty"`
	Asked      int64              `json:"aq,omitempty"`  // while a review holds it: the event that asked
	Signal     int                `json:"sig,omitempty"` // of a wait_for: its signal, from 1
	Awaits     *schemas.StateName `json:"aw,omitempty"`  // of a wait_for: the state
	Child      string             `json:"x,omitempty"`   // of a workflow: the execution that runs it
	Asleep     bool               `json:"z,omitempty"`   // and that is known to be suspended since this one is to be
	Kept       []Kept             `json:"in,omitempty"`  // what its calls send, where they have to send it whatever the expressions say by then
	Definition string             `json:"def,omitempty"` // hash of the definition of its own capability that a decision accepted
	Effect     schemas.Effect     `json:"eff,omitempty"` // of that definition
	Output     schemas.Value      `json:"out,omitempty"`
	Text       string             `json:"txt,omitempty"`
	TextRef    *schemas.OutputRef `json:"txr,omitempty"`
	OutputRef  *schemas.OutputRef `json:"ref,omitempty"`
	Error      *schemas.Error     `json:"err,omitempty"`
	ServedBy   string             `json:"by,omitempty"`
	Degraded   bool               `json:"deg,omitempty"`
	Age        float64            `json:"age,omitempty"` // of an answer that was kept, in seconds
	CallMS     float64            `json:"ms,omitempty"`

	// Of a for_each node that was expanded: Count items stand in Units from First on.
	Expanded  bool `json:"e,omitempty"`
	FirstItem int  `json:"e0,omitempty"`
	Count     int  `json:"en,omitempty"`

	// What it runs over, where that could not be read again, and where it is kept if it is large.
	List    schemas.Value      `json:"l,omitempty"`
	ListRef *schemas.OutputRef `json:"lr,omitempty"`

	left, succeeded, failed int32 // dependencies, or items: not ended, and how the others ended
	released                int32 // items that were let go
	next                    int32 // item to look at next for that
	doomed                  bool  // stands in State.doomed
	queued                  bool  // stands in a queue, perhaps from an earlier attempt
	joined                  bool  // stands in State.joins

	TurnedAway map[schemas.Code]int `json:"ta,omitempty"` // why calls were refused, as far as limits, quotas and circuits are concerned
}

// Kept are the inputs of one of the calls that a unit may make: its own, or one of its fallback list.
type Kept struct {
	Of     int                `json:"of,omitempty"` // the call, as in Unit.Fallback
	Inputs schemas.Object     `json:"in,omitempty"`
	Ref    *schemas.OutputRef `json:"ref,omitempty"` // where they are if they are large
	Mended bool               `json:"mnd,omitempty"` // they are a person's, in place of the plan's
}

// Phase is what a unit's calls are for.
type Phase string

const (
	// PhaseRun: the node's own call, or a fallback's. It is the zero value.
	PhaseRun Phase = ""
	// PhaseVerify: the call that finds out whether a once call of unknown outcome happened.
	PhaseVerify Phase = "verify"
	// PhaseUndo: the compensation.
	PhaseUndo Phase = "undo"
	// PhaseUndone: the compensation is over, however it went.
	PhaseUndone Phase = "undone"
)

// Signal is an event that somebody sent to the execution.
type Signal struct {
	Name  string        `json:"name"`
	At    time.Time     `json:"at"`
	Data  schemas.Value `json:"data,omitempty"`
	Taken bool          `json:"taken,omitempty"` // by a node that waited for it
}

// MaxSignals is how many signals an execution keeps.
const MaxSignals = 1000

// DefaultMaxParallel bounds the attempts in flight of an execution whose plan does not.
const DefaultMaxParallel = 16

// New is the state before the first event.
func New(p *plan.Program) *State {
	s := &State{program: p, limit: p.Definition.Plan.MaxParallel, Units: make([]Unit, len(p.Nodes))}
	if s.limit == 0 {
		s.limit = DefaultMaxParallel
	}
	for i := range s.Units {
		s.Units[i].Status = schemas.NodePending
	}
	s.rebuild()
	return s
}

// Forbid gives the operator's word on calls of unknown outcome: where it is yes, a plan's on_unknown: retry counts as
// suspend. It is no part of the state and asked when a call's outcome is unknown; nil forbids nothing.
func (s *State) Forbid(target func(*plan.Target) bool) { s.forbids = target }

// Program is the plan the execution runs.
func (s *State) Program() *plan.Program { return s.program }

// Node is the plan's node of a unit.
func (s *State) Node(unit int) *plan.Node {
	if unit < len(s.program.Nodes) {
		return &s.program.Nodes[unit]
	}
	return &s.program.Nodes[s.Units[unit].Node]
}

// IsItem tells whether the unit is an item of a for_each node.
func (s *State) IsItem(unit int) bool { return unit >= len(s.program.Nodes) }

// Unit finds a unit by the id of its node and, for an item, its index; item is nil for the node itself.
func (s *State) Unit(id string, item *int) (unit int, ok bool) {
	unit, ok = s.program.Index(id)
	if !ok || item == nil {
		return unit, ok
	}
	n := &s.Units[unit]
	if *item < 0 || *item >= n.Count {
		return 0, false
	}
	return n.FirstItem + *item, true
}

// Name prints a unit as people write it: id or id[3].
func (s *State) Name(unit int) string {
	if s.IsItem(unit) {
		return s.Node(unit).ID + "[" + itoa(s.Units[unit].Item) + "]"
	}
	return s.Node(unit).ID
}

// event begins an event about a unit.
func (s *State) event(t schemas.EventType, unit int) schemas.Event {
	e := schemas.Event{Type: t, Node: s.Node(unit).ID}
	if s.IsItem(unit) {
		e.Item = new(s.Units[unit].Item)
	}
	return e
}

// Event is an event of the type about a unit; At and Seq are the runtime's.
func (s *State) Event(t schemas.EventType, unit int) schemas.Event { return s.event(t, unit) }

// Target is what a call of the unit goes to in its present phase; nil: nothing is called.
func (s *State) Target(unit int) *plan.Target {
	n, u := s.Node(unit), &s.Units[unit]
	switch {
	case u.Phase == PhaseVerify:
		return &n.Verify.Target
	case u.Phase == PhaseUndo:
		return n.Compensate
	case u.Fallback > 0:
		return n.Fallbacks[u.Fallback-1].Target
	case n.Kind == plan.KindCapability:
		return &n.Target
	}
	return nil
}

// Unsettled tells whether what the unit's expressions read may still change: its trigger rule let it start before all
// nodes had ended that it depends on.
func (s *State) Unsettled(unit int) bool {
	n := s.Node(unit)
	if n.Rule != schemas.OneSuccess && n.Rule != schemas.OneFailed {
		return false
	}
	for _, d := range n.Deps {
		if !s.Units[d].Status.Ended() {
			return true
		}
	}
	return false
}

// Fixed are the inputs that the unit's next attempt is to send; nil: what the plan says.
func (s *State) Fixed(unit int) *Kept {
	if u := &s.Units[unit]; u.Phase == PhaseRun {
		return u.kept(u.Fallback)
	}
	return nil
}

// Goes tells by which definition of its tool the unit's present call goes, and with which effect: those of the plan, or
// what a decision accepted later, of which the stricter effect counts. accepted: the inputs were checked against another one.
func (s *State) Goes(unit int) (hash string, effect schemas.Effect, accepted bool) {
	t, u := s.Target(unit), &s.Units[unit]
	if t == nil {
		return "", "", false
	}
	hash, effect = t.Hash, t.Effect
	if u.Definition == "" || t != &s.Node(unit).Target {
		return hash, effect, false
	}
	if u.Effect.Rank() > effect.Rank() {
		effect = u.Effect
	}
	return u.Definition, effect, u.Definition != hash
}

// Count tells how many nodes have the status; items of for_each are not counted.
func (s *State) Count(status schemas.NodeStatus) int { return s.count[nodeRank(status)] }

// InFlight tells how many calls are in flight.
func (s *State) InFlight() int { return s.inFlight }

// Children tells how many workflow nodes wait for their executions.
func (s *State) Children() int { return s.children }

// ChildIDs lists the executions that workflow nodes wait for.
func (s *State) ChildIDs() (ids []string) {
	if s.children == 0 {
		return nil
	}
	for i := range s.Units {
		if u := &s.Units[i]; u.Child != "" && u.Status == schemas.NodeRunning {
			ids = append(ids, u.Child)
		}
	}
	return ids
}

// Attempt reports whether attempt n of the unit is in flight.
func (s *State) Attempt(unit, n int) bool {
	return s.Units[unit].Calling && s.Units[unit].Attempts == n
}

var nodeOrder = [...]schemas.NodeStatus{
	schemas.NodePending, schemas.NodeReady, schemas.NodeRunning, schemas.NodeBackingOff, schemas.NodeHeld,
	schemas.NodeSucceeded, schemas.NodeFailed, schemas.NodeSkipped, schemas.NodeCancelled,
	schemas.NodeCompensating, schemas.NodeCompensated,
}

func nodeRank(s schemas.NodeStatus) int {
	for i, v := range nodeOrder {
		if v == s {
			return i
		}
	}
	return 0
}
