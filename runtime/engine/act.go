package engine

import (
	"runtime/debug"
	"time"

	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/schemas"
)

// suspicious is after how many recoveries in a row an execution is evaluated alone, with a mark; after a death with a mark it is at once.
const suspicious = 2

// act does what is due and needs the plan evaluated. A panic is a defect that ends the node, not the process.
func (t *turn) act(a machine.Action) {
	starts := a.Kind == machine.Start || a.Kind == machine.Undo
	if starts && t.mode != running {
		return
	}
	if t.mode != guest && (t.recoveries >= suspicious || t.guard.deaths > 0) {
		t.guard.first()
	}
	t.evaluating, t.reading = time.Now(), t.x.Reading()
	before := len(t.events)
	defer func() {
		if p := recover(); p != nil {
			t.panicked(a, len(t.events) > before, p)
		}
		t.measure()
		t.evaluating = time.Time{}
	}()
	switch a.Kind {
	case machine.Start:
		if s := t.x.State; !s.Failing && s.Limit == nil && !s.Dropped(a.Unit) { // all may have come with what started before it in this turn
			t.start(a.Unit)
		}
	case machine.Undo:
		t.undo(a.Unit)
	case machine.Ask:
		t.ask(a.Unit)
	case machine.Join:
		t.joinItems(a.Unit)
	case machine.Finish:
		t.finish()
	}
}

// panicked ends what an action is about with code internal. If the action has changed the state already, the turn ends.
func (t *turn) panicked(a machine.Action, changed bool, p any) {
	t.r.log.Error("evaluate a plan: what it is about fails", "execution_id", t.x.ID, "panic", p, "stack", string(debug.Stack()))
	err := errPanic
	switch {
	case changed:
		t.err = err
	case a.Kind == machine.Finish:
		t.emit(schemas.Event{Type: schemas.EventFinished, Status: schemas.StatusFailed, Error: err.WithField("/output")})
	case a.Kind == machine.Undo:
		e := t.x.State.Event(schemas.EventCompensationFailed, a.Unit)
		e.Error = err.WithOutcome(schemas.NotRun)
		t.emit(e)
	case a.Kind == machine.Ask:
		t.repeatFails(a.Unit, "repeat", nil, err)
	default:
		t.failUnit(a.Unit, "", err)
	}
}
