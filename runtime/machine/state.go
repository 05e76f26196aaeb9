package machine

import (
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// State is the fold of one execution's log. Only Apply changes it. Callers may read the fields, and keep no pointer into the
// state across an Apply.
//
// A unit is what runs: the first len(Program().Nodes) units are the plan's nodes in their order, followed by the items of
// for_each nodes in the order in which these were expanded.
type State struct {
	Status     schemas.Status
	Seq        int64 // of the last applied event
	Created    time.Time
	Started    time.Time
	Finished   time.Time
	Deadline   time.Time // zero: none; extended by the time spent suspended
	QueueDue   time.Time // until when it may wait for its first worker; zero: no limit
	Suspended  time.Time // since when; zero unless suspended
	GraceUntil time.Time // while cancelling: when calls in flight are given up
	Now        bool      // while suspending: calls in flight that may be repeated are stopped
	WithParent bool      // while suspending or suspended: because its parent is, until the parent is resumed
	Reason     string    // of the last suspend, resume or cancel
	Held       string    `json:",omitempty"` // while suspending or suspended: recovery, until a person resumes it
	Priority   int
	Recoveries int // takeovers after a crash since a node ended
	Takeovers  int // takeovers after a crash in all
	Output     schemas.Value
	OutputRef  *schemas.OutputRef
	Error      *schemas.Error
	Degraded   bool
	Signals    []Signal
	Failing    bool  // a node failed for good: nothing starts, calls in flight end, then the execution fails
	Undo       bool  // before it ends, units that succeeded are compensated
	Cancelled  bool  // it was cancelled: if it compensates, it ends as cancelled after that
	Calls      int   // made so far
	Bytes      int64 // of outputs and what else is stored apart, and of the plans and inputs of children

	ChildrenMade int64          `json:",omitempty"` // executions of workflow units
	ItemsMade    int64          `json:",omitempty"` // of for_each nodes
	EvaluatedMS  float64        `json:",omitempty"` // time spent on expressions
	Settled      schemas.Budget `json:",omitzero"`  // what children that ended have used
	Allowance    schemas.Budget `json:",omitzero"`  // of a child: what its parent has granted it
	OwnPlaces    int            `json:",omitempty"` // of a child: how many executions it may be with those below it that are open

	// UnknownAttempts is attempts of `once` calls that were in commits which the store lost, by unit. They may have happened.
	UnknownAttempts map[string]int `json:"Doubts"`
	UnknownBefore   time.Time      `json:",omitzero"` // all of them were started before
	Units           []Unit

	program *plan.Program
	limit   int // most attempts in flight
	rules   func(*plan.Target) UnknownRules

	limits       *schemas.Budget // of a root
	rootPlaces   int             // of a root
	holdChildren bool
	holdStarts   bool

	// What follows is derived from the above (see derive), and kept so that the cost of a transition does not grow with the plan.
	count             [len(nodeOrder)]int // nodes by status, without items
	inFlight          int                 // calls
	readyUnits        int                 // units
	withoutCall       int                 // running units without a call: timers, events, states, workflows
	children          int                 // of those, workflows
	childrenSuspended int                 // of those, suspended
	granted           schemas.Budget      // to children that are open
	placesUsed        int                 // by them
	heldUnits         int                 // units
	backingOff        int                 // units
	ready             [schemas.PriorityLast]queue
	readyWithoutCall  queue // ready units that make no call
	unstartable       queue // nodes whose trigger rule cannot be met
	joins             queue // for_each nodes whose outcome is decided
	awaiting          []int // units that wait for a state
	delivered         queue // wait_for units that have their signal
	timers            timers
	retries           timers           // of units that back off: once due they wait for max_parallel, which must not delay other timers
	listening         map[string][]int // wait_for units by event
	toCompensate      []int            // units to compensate, the next one last
}

// Unit is one node of an execution, or one item of a for_each node.
type Unit struct {
	Status         schemas.NodeStatus `json:"s"`
	Node           int                `json:"n,omitempty"`  // of an item: its node
	Item           int                `json:"i,omitempty"`  // of an item: its index
	Calling        bool               `json:"c,omitempty"`  // a call is in flight
	Attempts       int                `json:"a,omitempty"`  // started, in all
	Refused        int                `json:"rf,omitempty"` // of those, refused before they were sent
	RefusedInRow   int                `json:"rr,omitempty"` // refusals of the current call by its realm since anything else happened to it
	Failures       int                `json:"f,omitempty"`  // failed attempts of the current call
	SpentBefore    int                `json:"fs,omitempty"` // while it is verified: failed attempts of its own call, including the unknown one
	UnknownAttempt int                `json:"d,omitempty"`  // the attempt of unknown outcome without a decision; 0: none
	UnknownSince   time.Time          `json:"du,omitzero"`  // when that attempt started; zero in snapshots of earlier versions
	MayRunUntil    time.Time          `json:"mr,omitzero"`  // until when that attempt, or the last one of unknown outcome, may still run
	Verified       int                `json:"vf,omitempty"` // how often its verification found that it did not happen, while it may have been running
	Deaths         int                `json:"dd,omitempty"` // how many workers in a row died while its call was in flight
	Phase          Phase              `json:"p,omitempty"`
	Fallback       int                `json:"fb,omitempty"` // entry of the fallback list that is called, from 1
	Approved       bool               `json:"ok,omitempty"` // a person approved the call
	First          time.Time          `json:"t0,omitzero"`  // first start
	Since          time.Time          `json:"t,omitzero"`   // last change of status
	Ended          time.Time          `json:"t1,omitzero"`
	EndSeq         int64              `json:"q,omitempty"`    // event that ended it
	Due            time.Time          `json:"due,omitzero"`   // of a timer, a review, a wait for an event, a backoff
	TotalDue       time.Time          `json:"total,omitzero"` // when total_timeout is over
	QueueDue       time.Time          `json:"queue,omitzero"` // when queue_timeout is over
	Queued         time.Time          `json:"tq,omitzero"`    // since when it has waited to be called, including refusals
	Reason         string             `json:"r,omitempty"`    // why it is held or was skipped
	Question       string             `json:"ask,omitempty"`
	Asked          int64              `json:"aq,omitempty"`  // while a review holds it: the event that asked
	Signal         int                `json:"sig,omitempty"` // of a wait_for: its signal, from 1
	Awaits         *schemas.StateName `json:"aw,omitempty"`  // of a wait_for: the state
	Child          string             `json:"x,omitempty"`   // of a workflow: the execution that runs it
	ChildSuspended bool               `json:"z,omitempty"`   // and that execution is known to be suspended because this one is to be
	Grant          *schemas.Budget    `json:"g,omitempty"`   // what it is granted, while it is open
	Places         int                `json:"pl,omitempty"`  // the places that it holds
	Kept           []Kept             `json:"in,omitempty"`  // inputs that its calls send instead of evaluating the expressions again
	Definition     string             `json:"def,omitempty"` // hash of the definition of its own capability that a person accepted
	Effect         schemas.Effect     `json:"eff,omitempty"` // of that definition
	Output         schemas.Value      `json:"out,omitempty"`
	Text           string             `json:"txt,omitempty"`
	TextRef        *schemas.OutputRef `json:"txr,omitempty"`
	OutputRef      *schemas.OutputRef `json:"ref,omitempty"`
	Error          *schemas.Error     `json:"err,omitempty"`
	ServedBy       string             `json:"by,omitempty"`
	Degraded       bool               `json:"deg,omitempty"`
	Age            float64            `json:"age,omitempty"` // of an answer that was kept, in seconds
	Notes          []string           `json:"nt,omitempty"`  // what was repaired in the answer
	CallMS         float64            `json:"ms,omitempty"`

	// Of a for_each node that was expanded: it has Count items in Units, starting at FirstItem.
	Expanded  bool `json:"e,omitempty"`
	FirstItem int  `json:"e0,omitempty"`
	Count     int  `json:"en,omitempty"`

	// The list of a for_each node, if evaluating it again could give another one; ListRef if it is large.
	List    schemas.Value      `json:"l,omitempty"`
	ListRef *schemas.OutputRef `json:"lr,omitempty"`

	left, succeeded, failed int32 // dependencies, or items: those that have not ended, and how the others ended
	released                int32 // items that were released
	next                    int32 // index of the item to release next
	unstartable             bool  // is in State.unstartable
	queued                  bool  // is in a queue, perhaps from an earlier attempt
	joined                  bool  // is in State.joins

	TurnedAway map[schemas.Code]int `json:"ta,omitempty"` // number of refused calls, by code
}

// Phase is what a unit's calls are for.
type Phase string

const (
	// PhaseRun: the node's own call, or a fallback's. It is the zero value.
	PhaseRun Phase = ""
	// PhaseVerify: the call that determines whether a once call of unknown outcome happened.
	PhaseVerify Phase = "verify"
	// PhaseUndo: the compensation.
	PhaseUndo Phase = "undo"
	// PhaseUndone: the compensation has ended, with or without success.
	PhaseUndone Phase = "undone"
)

// Signal is an event that was sent to the execution.
type Signal struct {
	Name  string        `json:"name"`
	At    time.Time     `json:"at"`
	Data  schemas.Value `json:"data,omitempty"`
	Taken bool          `json:"taken,omitempty"` // by a node that waited for it
}

// MaxSignals is the most signals that an execution keeps.
const MaxSignals = 1000

// DefaultMaxParallel is the most attempts in flight of an execution whose plan has no max_parallel.
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
	s.derive()
	return s
}

// Program is the plan that the execution runs.
func (s *State) Program() *plan.Program { return s.program }

// Node is the plan's node of a unit.
func (s *State) Node(unit int) *plan.Node {
	if unit < len(s.program.Nodes) {
		return &s.program.Nodes[unit]
	}
	return &s.program.Nodes[s.Units[unit].Node]
}

// IsItem reports whether the unit is an item of a for_each node.
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

// Name is the unit's name: id or id[3].
func (s *State) Name(unit int) string {
	if s.IsItem(unit) {
		return s.Node(unit).ID + "[" + itoa(s.Units[unit].Item) + "]"
	}
	return s.Node(unit).ID
}

// event is an event of the type about a unit.
func (s *State) event(t schemas.EventType, unit int) schemas.Event {
	e := schemas.Event{Type: t, Node: s.Node(unit).ID}
	if s.IsItem(unit) {
		e.Item = new(s.Units[unit].Item)
	}
	return e
}

// Event is an event of the type about a unit, without At and Seq.
func (s *State) Event(t schemas.EventType, unit int) schemas.Event { return s.event(t, unit) }

// Target is what the unit calls in its current phase; nil: nothing.
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

// InputsMayChange reports whether what the unit's expressions read may still change, because its trigger rule started it before all
// its dependencies ended.
func (s *State) InputsMayChange(unit int) bool {
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

// CallDefinition returns the hash of the tool definition that the unit's current call uses, and its effect: those of the plan, or of a
// definition that a person accepted later, with the stricter of both effects. accepted: it is not the plan's definition, against
// which the inputs were checked.
func (s *State) CallDefinition(unit int) (hash string, effect schemas.Effect, accepted bool) {
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

// Count is the number of nodes with the status, without items of for_each nodes.
func (s *State) Count(status schemas.NodeStatus) int { return s.count[nodeRank(status)] }

// WaitingUnits counts the units that are held, and those that wait otherwise.
func (s *State) WaitingUnits() (held, others int) { return s.heldUnits, s.backingOff + s.withoutCall }

// InFlight is the number of calls in flight.
func (s *State) InFlight() int { return s.inFlight }

// Children is the number of workflow units that wait for their executions.
func (s *State) Children() int { return s.children }

// ChildIDs lists the executions that workflow units wait for.
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

// CallsMade is the number of attempts that were sent to a realm.
func (u *Unit) CallsMade() int { return u.Attempts - u.Refused }

// Bytes is the size of the unit's output.
func (u *Unit) Bytes() int64 {
	if u.OutputRef != nil {
		return int64(u.OutputRef.Bytes)
	}
	return int64(len(u.Output))
}
