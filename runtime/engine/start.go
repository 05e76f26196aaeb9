package engine

import (
	"errors"
	"fmt"
	"strings"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
)

func (t *turn) scope(unit int) journal.Scope { return t.r.journal.Scope(t.ctx, t.x.Execution, unit) }

// start evaluates a unit that may run: its condition, then what its kind needs. What goes wrong here is the unit's
// failure; a store that does not answer is not.
func (t *turn) start(unit int) {
	s := t.x.State
	n, u, sc := s.Node(unit), &s.Units[unit], t.scope(unit)
	if n.When != nil && !s.IsItem(unit) && u.First.IsZero() && u.Attempts == 0 {
		ok, err := n.When.Bool(sc)
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
	if err := t.checkLimits(); err != nil {
		t.failUnit(unit, "", err)
		return
	}
	e := s.Event(schemas.EventNodeStarted, unit)
	e.Attempt = u.Attempts + 1
	switch {
	case n.ForEach != nil && !s.IsItem(unit):
		t.expandItems(unit)
		return
	case s.Target(unit) != nil:
		t.startCall(unit)
		return
	case u.Fallback > 0: // of a value: a capability has a target
		t.setValue(unit, n.Fallbacks[u.Fallback-1].Value, "fallback")
		return
	}
	switch n.Kind {
	case plan.KindSet:
		t.setValue(unit, n.Value, "set")
		return
	case plan.KindWait:
		text, err := n.Wait.Text(sc)
		if err != nil {
			t.failUnit(unit, "wait", err)
			return
		}
		due, err := plan.WaitUntil(text, t.now)
		if err != nil {
			t.failUnit(unit, "wait", err)
			return
		}
		e.Due = &due
	case plan.KindWaitFor:
		if n.Awaited != nil {
			if err := t.awaitState(unit, &e); err != nil {
				t.failUnit(unit, "wait_for", err)
				return
			}
		}
		if n.Expires > 0 {
			e.Due = new(t.now.Add(n.Expires.Std()))
		}
	case plan.KindReview:
		question, err := n.Question.Text(sc)
		if err != nil {
			t.failUnit(unit, "review", err)
			return
		}
		t.holdForReview(unit, question, nil)
		return
	case plan.KindWorkflow:
		inputs, err := sc.WorkflowInputs()
		if err != nil {
			t.failUnit(unit, "inputs", err)
			return
		}
		if problem := n.CheckWorkflow(inputs); problem != nil {
			t.failUnit(unit, "", problem)
			return
		}
		t.keepInputs(unit, &e, inputs)
		e.Child = t.r.newID()
		t.x.family.start(child{unit: unit, id: e.Child, inputs: inputs})
	}
	t.emit(e)
}

// checkLimits tells whether the execution has used up what one execution may use.
func (t *turn) checkLimits() error {
	s, limits := t.x.State, &t.r.limits
	switch {
	case s.Calls >= limits.MaxCalls:
		return schemas.Errorf(schemas.CodeQuotaExceeded, "the execution has made %d calls, as many as one may", s.Calls).
			WithHint("split the plan, or ask the operator for a higher limit")
	case s.Bytes >= limits.MaxBytes:
		return schemas.Errorf(schemas.CodeQuotaExceeded, "the outputs of the execution have %d bytes, more than one may keep", s.Bytes).
			WithHint("let the capabilities answer with less, or split the plan")
	}
	return nil
}

// setValue ends a unit with a rendered value. One from the fallback list is degraded.
func (t *turn) setValue(unit int, template *plan.Template, field string) {
	out, err := template.Render(t.scope(unit), t.r.limits.Plan)
	if err != nil {
		t.failUnit(unit, field, err)
		return
	}
	e := t.x.State.Event(schemas.EventNodeSucceeded, unit)
	e.Output = schemas.Value(out)
	if field == "fallback" {
		e.Degraded, e.ServedBy = true, "fallback value"
	}
	t.emit(e)
}

// failUnit ends a unit that could not be evaluated, as far as its fallbacks and on_error go along.
func (t *turn) failUnit(unit int, field string, err error) {
	if errors.Is(err, records.Unavailable) {
		t.err = err
		return
	}
	s := t.x.State
	e := schemas.AsError(err)
	if e.Code == schemas.CodeInternal {
		t.r.log.Error("evaluate", "execution_id", t.x.ID, "node", s.Name(unit), "error", err)
	}
	path := strings.TrimSuffix(fmt.Sprintf("/nodes/%d/%s", s.Node(unit).Index, field), "/")
	if strings.HasPrefix(e.Field, "/") {
		path += e.Field
	}
	e = e.WithField(path).WithOutcome(schemas.NotRun)
	if s.Units[unit].Phase == machine.PhaseVerify { // still nobody knows whether the call happened
		held := s.Event(schemas.EventNodeHeld, unit)
		held.Reason, held.Error = schemas.ReasonUnknown, e.WithOutcome(schemas.Unknown)
		t.emit(held)
		return
	}
	t.emit(s.Final(unit, e))
}

// undo starts the compensation of a unit.
func (t *turn) undo(unit int) {
	s := t.x.State
	target := s.Node(unit).Compensate
	inputs, err := t.scope(unit).Bind(target)
	if errors.Is(err, records.Unavailable) {
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
