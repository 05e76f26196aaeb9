package machine

import (
	"time"

	"github.com/runplane/runplane/runtime/budget"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/units"
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
	Signals    []units.Signal
	Failing    bool  // a node failed for good: nothing starts, calls in flight end, then the execution fails
	Undo       bool  // before it ends, units that succeeded are compensated
	Cancelled  bool  // it was cancelled: if it compensates, it ends as cancelled after that
	Calls      int   // made so far
	Sent       int   `json:",omitempty"` // of those, calls of capabilities
	Bytes      int64 // of outputs and what else is stored apart, and of the plans and inputs of children

	Raised schemas.PlanLimits    `json:",omitzero"`  // the limits of the plan that were raised
	Limit  *schemas.ReachedLimit `json:",omitempty"` // of the plan; until it is resumed
	Paused time.Duration         `json:",omitempty"` // it was suspended in all, since its start

	budget.Ledger
	ChildrenMade int64   `json:",omitempty"` // executions of workflow units
	ItemsMade    int64   `json:",omitempty"` // of for_each nodes
	EvaluatedMS  float64 `json:",omitempty"` // time spent on expressions

	// UnknownAttempts is attempts of `once` calls that were in commits which the store lost, by unit. They may have happened.
	UnknownAttempts map[string]int `json:"Doubts"`
	UnknownBefore   time.Time      `json:",omitzero"` // all of them were started before
	Units           []units.Unit

	program *plan.Program
	limit   int // most attempts in flight
	rules   func(*plan.Target) UnknownRules

	holdChildren bool
	holdStarts   bool

	// What follows is derived from the above (see derive), and kept so that the cost of a transition does not grow with the plan.
	counts           units.Counts
	ready            [schemas.PriorityLast]units.Queue
	readyWithoutCall units.Queue // ready units that make no call
	unstartable      units.Queue // nodes whose trigger rule cannot be met
	dropped          units.Queue // units that are not needed any more, and have not ended
	joins            units.Queue // for_each nodes whose outcome is decided
	asking           units.Queue // units of which a round has ended
	awaiting         []int       // units that wait for a state
	delivered        units.Queue // wait_for units that have their signal
	timers           units.Timers
	retries          units.Timers     // of units that back off: once due they wait for max_parallel, which must not delay other timers
	listening        map[string][]int // wait_for units by event
	toCompensate     []int            // units to compensate, the next one last
}

// DefaultMaxParallel is the most attempts in flight of an execution whose plan has no max_parallel.
const DefaultMaxParallel = 16

// New is the state before the first event.
func New(p *plan.Program) *State {
	s := &State{program: p, limit: p.Definition.Plan.MaxParallel, Units: make([]units.Unit, len(p.Nodes))}
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
	case u.Phase == units.PhaseVerify:
		return &n.Verify.Target
	case u.Phase == units.PhaseUndo:
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

// KeptInputs is the kept inputs of the unit's next attempt; nil: evaluate those of the plan.
func (s *State) KeptInputs(unit int) *units.Kept {
	if u := &s.Units[unit]; u.Phase == units.PhaseRun {
		return u.KeptOf(u.Fallback)
	}
	return nil
}

// Count is the number of nodes with the status, without items of for_each nodes.
func (s *State) Count(status schemas.NodeStatus) int { return s.counts.Nodes(status) }

// WaitingUnits counts the units that are held, and those that wait otherwise.
func (s *State) WaitingUnits() (held, others int) {
	return s.counts.Held, s.counts.BackingOff + s.counts.WithoutCall
}

// InFlight is the number of calls in flight.
func (s *State) InFlight() int { return s.counts.InFlight }

// Children is the number of workflow units that wait for their executions.
func (s *State) Children() int { return s.counts.Children }

// ChildIDs lists the executions that workflow units wait for.
func (s *State) ChildIDs() (ids []string) {
	if s.counts.Children == 0 {
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
