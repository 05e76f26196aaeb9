package engine

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// startCall binds a unit's arguments and launches the call, or first asks a person.
func (t *turn) startCall(unit int) {
	s := t.x.State
	n, u, target := s.Node(unit), &s.Units[unit], s.Target(unit)
	field := "inputs"
	switch {
	case u.Phase == machine.PhaseVerify:
		field = "on_unknown/verify/inputs"
	case u.Fallback > 0:
		field = fmt.Sprintf("fallback/%d/inputs", u.Fallback-1)
	}
	if e := s.Withheld(unit); e != nil {
		t.emit(*e)
		return
	}
	inputs, err := t.scope(unit).Bind(target)
	if err != nil {
		t.failUnit(unit, field, err)
		return
	}
	if n.Review && !u.Approved && u.Phase == machine.PhaseRun {
		t.holdForReview(unit, fmt.Sprintf("May %s call %s?", s.Name(unit), target.Name()), inputs)
		return
	}
	e := s.Event(schemas.EventNodeStarted, unit)
	e.Attempt = u.Attempts + 1
	if target != &n.Target {
		e.Capability = target.Name()
	}
	if u.Phase == machine.PhaseRun {
		t.keepInputs(unit, &e, inputs)
	}
	t.emit(e)
	t.addCall(unit, e.Attempt, target, inputs)
}

// keepInputs puts a unit's inputs into the event that starts it, for its attempts to come, where its expressions could say
// something else by then: attempts under one key send the same.
func (t *turn) keepInputs(unit int, e *schemas.Event, inputs json.RawMessage) {
	if t.x.State.Fixed(unit) == nil && t.x.State.Unsettled(unit) {
		e.Data = schemas.Value(inputs)
	}
}

func (t *turn) addCall(unit, attempt int, target *plan.Target, inputs json.RawMessage) {
	key := t.x.ID + "/" + t.x.State.Node(unit).ID
	if t.x.State.IsItem(unit) {
		key += fmt.Sprintf("/%d", t.x.State.Units[unit].Item)
	}
	if k := t.x.State.Fixed(unit); k != nil && k.Mended { // another effect than the one before
		sum := sha256.Sum256(inputs)
		key += fmt.Sprintf("/%x", sum[:6])
	}
	switch t.x.State.Units[unit].Phase {
	case machine.PhaseUndo:
		key += "/compensate"
	case machine.PhaseVerify:
		key += "/verify"
	}
	if f := t.x.State.Units[unit].Fallback; f > 0 {
		key += fmt.Sprintf("/fallback/%d", f)
	}
	hash, effect, _ := t.x.State.Goes(unit)
	t.result.calls = append(t.result.calls, pendingCall{hash: hash, effect: effect, unit: unit, attempt: attempt, name: t.x.State.Name(unit), target: target, inputs: inputs, key: key, at: t.now})
}

// holdForReview holds a unit until a person decides, and with it the inputs that he is asked about.
func (t *turn) holdForReview(unit int, question string, inputs json.RawMessage) {
	e := t.x.State.Event(schemas.EventNodeHeld, unit)
	e.Reason, e.Text = schemas.ReasonReview, question
	e.Data = schemas.Value(inputs)
	if d := t.x.State.Node(unit).Expires.Std(); d > 0 {
		e.Due = new(t.now.Add(d))
	}
	t.emit(e)
}
