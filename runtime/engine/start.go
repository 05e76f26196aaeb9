package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
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

// expandItems makes the items of a for_each node.
func (t *turn) expandItems(unit int) {
	list, err := t.scope(unit).List(unit)
	if err != nil {
		t.failUnit(unit, "for_each", err)
		return
	}
	e := t.x.State.Event(schemas.EventNodeExpanded, unit)
	e.Count = len(list)
	if t.x.State.Unsettled(unit) { // it would say something else when it is read again
		if e.Data, err = schemas.Encode(list); err != nil {
			t.err = fmt.Errorf("encode list: %w", err)
			return
		}
	}
	t.emit(e)
}

// joinItems puts the outputs of a for_each node's items together, in their order; an item that failed is null.
func (t *turn) joinItems(unit int) {
	s := t.x.State
	if err := s.Joinable(unit); err != nil {
		t.emit(s.Final(unit, err))
		return
	}
	u := &s.Units[unit]
	var b bytes.Buffer
	b.WriteByte('[')
	for i := range u.Count {
		item := u.FirstItem + i
		if i > 0 {
			b.WriteByte(',')
		}
		v, err := t.itemOutput(item)
		switch {
		case err != nil:
			t.failUnit(unit, "for_each", err)
			return
		case len(v) == 0:
			b.WriteString("null")
		default:
			b.Write(v)
		}
		if b.Len() > maxJoined {
			t.failUnit(unit, "for_each", schemas.Errorf(schemas.CodePayloadTooLarge, "the outputs of the items are larger than %d bytes together", maxJoined).
				WithHint("let the capability answer with less for each item"))
			return
		}
	}
	b.WriteByte(']')
	e := s.Event(schemas.EventNodeSucceeded, unit)
	e.Output = b.Bytes()
	for i := range u.Count {
		e.Degraded = e.Degraded || s.Units[u.FirstItem+i].Degraded
	}
	t.emit(e)
	t.x.DropList(unit)
}

// maxJoined is the largest output of a for_each node in bytes.
const maxJoined = 16 << 20

func (t *turn) itemOutput(unit int) ([]byte, error) {
	u := &t.x.State.Units[unit]
	if u.Status != schemas.NodeSucceeded {
		return nil, nil
	}
	if cached, ok := t.x.Cached(unit); ok { // perhaps not committed yet
		return cached.Raw(), nil
	}
	return t.r.journal.Output(t.ctx, t.x.ID, t.x.State.Name(unit), u.Output, u.OutputRef)
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

// finish evaluates the plan's output and ends the execution.
func (t *turn) finish() {
	out, err := t.output()
	if errors.Is(err, records.Unavailable) {
		t.err = err
		return
	}
	if err != nil {
		t.emit(schemas.Event{Type: schemas.EventFinished, Status: schemas.StatusFailed, Error: schemas.AsError(err).WithField("/output")})
		return
	}
	t.emit(schemas.Event{Type: schemas.EventFinished, Status: schemas.StatusSucceeded, Output: schemas.Value(out)})
}

// output is what the plan says, else the outputs of the nodes that nothing depends on, by id. Of the latter, one that is
// too large stands there as {"output_ref": …}, to be read with get_node_output.
func (t *turn) output() (json.RawMessage, error) {
	if t.x.Program.Output != nil {
		return t.x.Program.Output.RenderOutput(t.scope(-1), t.r.limits.Plan)
	}
	ends := map[string]any{}
	room := t.r.limits.MaxOutput
	for i := range t.x.Program.Nodes {
		n, u := &t.x.Program.Nodes[i], &t.x.State.Units[i]
		switch {
		case len(n.Dependents) > 0 || u.Status != schemas.NodeSucceeded:
		case u.OutputRef != nil:
			ends[n.ID] = map[string]any{"output_ref": u.OutputRef}
		case len(u.Output) > room:
			ends[n.ID] = map[string]any{"output_ref": schemas.OutputRef{NodeID: n.ID, Bytes: len(u.Output)}}
		case len(u.Output) > 0:
			ends[n.ID] = u.Output
			room -= len(u.Output)
		}
	}
	return schemas.Encode(ends)
}
