package engine

import (
	"errors"
	"fmt"
	"strings"

	"github.com/runplane/runplane/runtime/budget"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

// scope returns what the expressions of a unit can read.
func (t *turn) scope(unit int) journal.Scope { return t.r.journal.Scope(t.ctx, t.x.Execution, unit) }

// start starts a unit that is ready: it evaluates its condition, then what its kind needs. An error fails the unit, except that an
// unavailable store and an interrupted evaluation end the turn.
func (t *turn) start(unit int) {
	s := t.x.State
	n, u, sc := s.Node(unit), &s.Units[unit], t.scope(unit)
	if s.Target(unit) != nil && (n.ForEach == nil || s.IsItem(unit)) && t.crowded() {
		return
	}
	if n.When != nil && !s.IsItem(unit) && u.First.IsZero() && u.Attempts == 0 {
		ok, err := n.When.Bool(t.ctx, sc, t.r.limits.Plan.Limits)
		if err != nil {
			t.failUnit(unit, "when", err)
			return
		}
		if !ok {
			e := s.Event(schemas.EventNodeSkipped, unit)
			e.Reason = "when is false"
			t.emit(e)
			return
		}
	}
	if u.BetweenRounds() {
		if exhausted := s.Exhausted(unit, t.now); exhausted != nil {
			t.emit(s.RepeatFailed(unit, exhausted))
			return
		}
	}
	if reached := s.ReachedBy(unit, t.now); reached != nil {
		t.emit(*reached)
		return
	}
	if ok, err := t.afford(unit, t.needs(unit)); err != nil {
		t.failUnit(unit, "", err)
		return
	} else if !ok {
		return
	}
	switch {
	case n.ForEach != nil && !s.IsItem(unit):
		t.expandItems(unit)
	case s.Target(unit) != nil:
		t.startCall(unit)
	case u.Fallback > 0: // a value: a fallback to a capability has a target
		t.setValue(unit, n.Fallbacks[u.Fallback-1].Value, "fallback")
	case n.Kind == plan.KindSet:
		t.setValue(unit, n.Value, "set")
	case n.Kind == plan.KindWait:
		t.startWait(unit)
	case n.Kind == plan.KindWaitFor:
		t.startWaitFor(unit)
	case n.Kind == plan.KindReview:
		question, err := n.Question.Text(t.ctx, sc, t.r.limits.Plan.Limits)
		if err != nil {
			t.failUnit(unit, "review", err)
			return
		}
		t.holdForReview(unit, question, nil)
	case n.Kind == plan.KindWorkflow:
		t.startChild(unit)
	}
}

// needs returns what the start of a unit uses at least, as far as that is known before its expressions are evaluated.
func (t *turn) needs(unit int) schemas.Budget {
	s := t.x.State
	n := s.Node(unit)
	switch {
	case n.ForEach != nil && !s.IsItem(unit), s.Target(unit) == nil && (s.Units[unit].Fallback > 0 || n.Kind == plan.KindSet || n.Kind == plan.KindReview):
		return schemas.Budget{}
	case n.Kind == plan.KindWorkflow:
		return budget.ChildCost
	}
	return schemas.Budget{Calls: 1}
}

// startEvent returns the event that starts the next attempt of a unit.
func (t *turn) startEvent(unit int) schemas.Event {
	e := t.x.State.Event(schemas.EventNodeStarted, unit)
	e.Attempt = t.x.State.Units[unit].Attempts + 1
	return e
}

// startWait starts a wait for a time.
func (t *turn) startWait(unit int) {
	text, err := t.x.State.Node(unit).Wait.Text(t.ctx, t.scope(unit), t.r.limits.Plan.Limits)
	if err != nil {
		t.failUnit(unit, "wait", err)
		return
	}
	due, byDay, err := plan.WaitUntil(text, t.now)
	if err != nil {
		t.failUnit(unit, "wait", err)
		return
	}
	if byDay && due.After(t.now) {
		t.setAlarm(unit, due)
	}
	e := t.startEvent(unit)
	e.Due = &due
	t.emit(e)
}

// startWaitFor starts a wait for a signal or a state.
func (t *turn) startWaitFor(unit int) {
	n, e := t.x.State.Node(unit), t.startEvent(unit)
	if n.Awaited != nil {
		if err := t.awaitState(unit, &e); err != nil {
			t.failUnit(unit, "wait_for", err)
			return
		}
	}
	if n.Expires > 0 {
		e.Due = new(t.now.Add(n.Expires.Std()))
	}
	t.emit(e)
}

// startChild names the execution of a workflow node. The owner creates it after the commit.
func (t *turn) startChild(unit int) {
	places := t.x.State.Places(unit)
	if places == 0 || t.x.family.full() { // children that were started in this turn have them, or are to be created first
		return
	}
	inputs, err := t.scope(unit).WorkflowInputs()
	if err != nil {
		t.failUnit(unit, "inputs", err)
		return
	}
	inputs, problem := t.x.State.Node(unit).CheckWorkflow(inputs)
	if problem != nil {
		t.failUnit(unit, "", problem)
		return
	}
	sub, cost := t.x.State.Node(unit).Sub, budget.ChildCost
	cost.Bytes = sub.StoredBytes() + int64(len(inputs)+len(t.x.Session))
	if ok, err := t.afford(unit, cost); err != nil {
		t.failUnit(unit, "", err)
		return
	} else if !ok {
		return
	}
	e := t.startEvent(unit)
	t.keepInputs(unit, &e, inputs)
	e.Child, e.Places, e.Bytes, e.Budget = t.r.newID(), places, cost.Bytes, new(t.x.State.Account().Share(cost, sub.Size().Most))
	t.x.family.start(child{unit: unit, id: e.Child, inputs: inputs})
	t.emit(e)
}

// setValue ends a unit with a rendered value. The value of a fallback is degraded.
func (t *turn) setValue(unit int, template *expr.Template, field string) {
	out, err := template.Render(t.ctx, t.scope(unit), t.r.limits.Plan.Limits)
	if err != nil {
		t.failUnit(unit, field, err)
		return
	}
	e := t.x.State.Event(schemas.EventNodeSucceeded, unit)
	if field == "fallback" {
		e = t.x.State.Succeeded(unit)
	}
	e.Output = schemas.Value(out)
	if field == "fallback" {
		e.Degraded, e.ServedBy = true, "fallback value"
	}
	t.emit(e)
}

// evaluationError is the error of something that could not be evaluated, with its place in the plan.
func (t *turn) evaluationError(unit int, field string, err error) *schemas.Error {
	e := schemas.AsError(err)
	if e.Code == schemas.CodeInternal {
		t.r.log.Error("evaluate a node: it fails", "execution_id", t.x.ID, "node", t.x.State.Name(unit), "error", err)
	}
	path := strings.TrimSuffix(fmt.Sprintf("/nodes/%d/%s", t.x.State.Node(unit).Index, field), "/")
	if strings.HasPrefix(e.Field, "/") {
		path += e.Field
	}
	return e.WithField(path)
}

// notEvaluated reports whether there is no result because the store is unavailable or the evaluation was interrupted: it is made again.
func notEvaluated(err error) bool {
	return errors.Is(err, records.ErrUnavailable) || errors.Is(err, expr.ErrInterrupted)
}

// failUnit handles the error of a unit that could not be evaluated: its fallbacks and on_error apply. An unavailable store and an
// interrupted evaluation end the turn.
func (t *turn) failUnit(unit int, field string, err error) {
	if notEvaluated(err) {
		t.err = err
		return
	}
	s := t.x.State
	e := t.evaluationError(unit, field, err).WithOutcome(schemas.NotRun)
	if s.Units[unit].Phase == units.PhaseVerify { // whether the call happened is still unknown
		held := s.Event(schemas.EventNodeHeld, unit)
		held.Reason, held.Error = schemas.ReasonUnknown, e.WithOutcome(schemas.Unknown)
		t.emit(held)
		return
	}
	t.emit(s.Final(unit, e))
}
