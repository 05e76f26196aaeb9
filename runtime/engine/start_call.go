package engine

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

// crowded reports whether a call has to wait until another one of the execution has ended, because the inputs of the calls in flight of
// all executions take as much memory as they may. An execution that makes no call never waits, so none waits for another one.
func (t *turn) crowded() bool {
	if t.r.inputs.Load() < t.r.limits.MaxInputs || t.x.State.InFlight() == 0 && t.inputs == 0 {
		return false
	}
	t.x.allowance.crowded = true
	return true
}

// startCall binds the arguments of a unit and starts its call, or holds the unit for a review first.
func (t *turn) startCall(unit int) {
	s := t.x.State
	n, u, target := s.Node(unit), &s.Units[unit], s.Target(unit)
	field := "inputs"
	switch {
	case u.Phase == units.PhaseVerify:
		field = "on_unknown/verify/inputs"
	case u.Fallback > 0:
		field = fmt.Sprintf("fallback/%d/inputs", u.Fallback-1)
	}
	if e := s.HoldUnknown(unit); e != nil {
		t.emit(*e)
		return
	}
	inputs, err := t.scope(unit).Bind(target)
	if err != nil {
		t.failUnit(unit, field, err)
		return
	}
	if u.Phase == units.PhaseRun && !u.Approved {
		why := ""
		if t.r.capabilities.RulesOf(target.Realm, target.Capability).Policy.AsksPerson() {
			why = " The operator's policy has safety: review for it."
		}
		if n.Review || why != "" {
			t.holdForReview(unit, fmt.Sprintf("May %s call %s?%s", s.Name(unit), target.Name(), why), inputs)
			return
		}
	}
	e := t.startEvent(unit)
	if target != &n.Target {
		e.Capability = target.Name()
	}
	if u.Phase == units.PhaseRun {
		t.keepInputs(unit, &e, inputs)
	}
	t.emit(e)
	t.addCall(unit, e.Attempt, target, inputs)
}

// undo starts the compensating call of a unit.
func (t *turn) undo(unit int) {
	s := t.x.State
	target := s.Node(unit).Compensate
	inputs, err := t.scope(unit).Bind(target)
	if notEvaluated(err) {
		t.err = err
		return
	}
	if err != nil {
		e := s.Event(schemas.EventCompensationFailed, unit)
		e.Error = schemas.AsError(err).WithOutcome(schemas.NotRun)
		t.emit(e)
		return
	}
	e := s.Event(schemas.EventNodeCompensating, unit)
	e.Attempt, e.Capability = s.Units[unit].Attempts+1, target.Name()
	t.emit(e)
	t.addCall(unit, e.Attempt, target, inputs)
}

// keepInputs puts a unit's inputs into the event that starts it if its expressions could later evaluate to something else: the attempts of
// one idempotency key must send the same inputs.
func (t *turn) keepInputs(unit int, e *schemas.Event, inputs json.RawMessage) {
	if t.x.State.KeptInputs(unit) == nil && t.x.State.InputsMayChange(unit) {
		e.Data = schemas.Value(inputs)
	}
}

// addCall adds a call to those that are made after the commit.
func (t *turn) addCall(unit, attempt int, target *plan.Target, inputs json.RawMessage) {
	hash, effect, _ := t.x.State.CallDefinition(unit)
	t.inputs += len(inputs)
	t.r.inputs.Add(int64(len(inputs)))
	t.result.calls = append(t.result.calls, pendingCall{
		unit: unit, attempt: attempt, name: t.x.State.Name(unit), target: target, inputs: inputs, hash: hash, effect: effect,
		key: t.callKey(unit, inputs), at: t.now, allowed: t.x.State.Units[unit].Phase == units.PhaseRun,
	})
}

// callKey returns the idempotency key of a call: the same for every attempt at the same effect.
func (t *turn) callKey(unit int, inputs json.RawMessage) string {
	s := t.x.State
	u := &s.Units[unit]
	key := t.x.ID + "/" + s.Node(unit).ID
	if s.IsItem(unit) {
		key += fmt.Sprintf("/%d", u.Item)
	}
	if k := s.KeptInputs(unit); k != nil && k.Changed { // the effect is another one than before the patch
		sum := sha256.Sum256(inputs)
		key += fmt.Sprintf("/%x", sum[:6])
	}
	if s.Node(unit).Repeat != nil && u.Phase != units.PhaseUndo {
		key += fmt.Sprintf("/round/%d", s.Round(unit))
	}
	switch u.Phase {
	case units.PhaseUndo:
		key += "/compensate"
	case units.PhaseVerify:
		key += "/verify"
	}
	if u.Fallback > 0 {
		key += fmt.Sprintf("/fallback/%d", u.Fallback)
	}
	return key
}

// holdForReview holds a unit, and the inputs that the review is about, until a person decides.
func (t *turn) holdForReview(unit int, question string, inputs json.RawMessage) {
	e := t.x.State.Event(schemas.EventNodeHeld, unit)
	e.Reason, e.Text = schemas.ReasonReview, question
	e.Data = schemas.Value(inputs)
	if d := t.x.State.Node(unit).Expires.Std(); d > 0 {
		e.Due = new(t.now.Add(d))
	}
	t.emit(e)
}
