package engine

import (
	"context"
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// turn is one try of a step: it gathers events and applies them to the state, then commits them as one batch (commit.go).
type turn struct {
	r      *Engine
	x      *execution
	ctx    context.Context //nolint:containedctx // lives as long as the call to step
	mode   mode
	now    time.Time
	batch  store.Batch
	head   *journal.Head // to be committed; made by commit
	events []schemas.Event
	steps  uint64 // of expressions of the execution, when the turn began
	apart  int    // bytes of values that are stored in records of their own
	held   int    // bytes of values of the events; see uncommitted
	inputs int    // bytes of the inputs of calls that it starts
	result stepResult
	err    error // ends the turn

	// Set by companions:
	ownerNeeded time.Time // when an owner is needed at the latest; zero: none is
	keepOwner   bool      // the owner is needed after the commit
	nudgeOwner  bool      // an owner on another replica must learn of the commit

	guard      *guard
	recoveries int           // in a row, when the turn began
	evaluating time.Time     // since when expressions are evaluated; zero: they are not
	reading    time.Duration // how long they had waited for the store by then
	committed  bool
}

// decide applies the events of a decision.
func (t *turn) decide(d Decision) error {
	if t.err != nil {
		return t.err
	}
	events, err := d(t.x.State, t.now)
	if err != nil {
		return err
	}
	for _, e := range events {
		t.emit(e)
	}
	return t.err
}

// emit applies an event and adds it to the turn. An event that the state does not allow is a defect: it ends the turn.
func (t *turn) emit(e schemas.Event) {
	if t.err != nil {
		return
	}
	if t.events == nil {
		t.events = make([]schemas.Event, 0, 2) // mostly one node ends and the next one starts
	}
	t.events = append(t.events, e)
	added := &t.events[len(t.events)-1] // e itself stays off the heap
	added.Seq, added.At = t.x.State.Seq+1, t.now
	if t.measure(); t.x.allowance.carried >= time.Millisecond {
		added.EvaluatedMS = float64(t.x.allowance.carried.Microseconds()) / 1000
		t.x.allowance.carried = 0
	}
	if added.Type == schemas.EventNodeFailed {
		if t.failedRounds(added); t.err != nil {
			return
		}
	}
	t.hold(len(added.Output) + len(added.Text) + len(added.Content) + len(added.Data))
	t.storeLarge(added)
	t.batch.Sync = t.batch.Sync || mustSync(t.x.State, added)
	var applied [6]func() // one for each companion
	after := applied[:0]
	for _, c := range t.x.companions {
		if f := c.applying(t, added); f != nil {
			after = append(after, f)
		}
	}
	if t.err = t.x.State.Apply(added); t.err != nil {
		return
	}
	for _, f := range after {
		f()
	}
}

// maxEvents limits the events of one commit; the rest goes into the next one.
const maxEvents = 512

// maxSteps limits what the expressions of one commit take, about a second of processor time, so that requests to the owner, such as a
// cancel, do not wait for longer.
const maxSteps = 4_000_000

// maxApart limits the bytes of one commit in records of their own; the store holds a second copy of them until it has written them.
const maxApart = 8 << 20

// maxInputsOfTurn limits the bytes of the inputs of calls that one commit starts, which are in memory until they are made and have ended.
const maxInputsOfTurn = 4 << 20

// full reports whether the commit holds as much as it may.
func (t *turn) full() bool { return len(t.events) >= maxEvents || t.enough(0) }

// enough reports whether expressions took, or made, as much as they may in one commit that has more than some events.
func (t *turn) enough(events int) bool {
	return len(t.events) > events &&
		(t.x.Steps()-t.steps >= maxSteps || t.apart >= maxApart || t.inputs >= maxInputsOfTurn || t.held > 0 && t.r.uncommitted.full())
}

// overtaken reports whether an action before it has ended the unit of an event: the start of a race's winner drops others without an event.
func (t *turn) overtaken(e *schemas.Event) bool {
	s := t.x.State
	unit, ok := s.Unit(e.Node, e.Item)
	return ok && s.Dropped(unit) && s.Units[unit].Status.Ended()
}

// advance does what is due, until nothing is.
func (t *turn) advance() {
	if t.x.recovering && t.mode != guest {
		t.x.recovering, t.result.more = false, true
		return
	}
	for t.err == nil && !t.full() {
		before := len(t.events)
		for _, a := range t.x.State.Next(t.now) {
			if t.err != nil {
				return
			}
			if t.enough(before) {
				break
			}
			if a.Kind == machine.Emit {
				if !t.overtaken(a.Event) {
					t.emit(*a.Event)
				}
				continue
			}
			t.act(a)
		}
		if len(t.events) == before {
			return
		}
	}
	t.result.more = true
}
