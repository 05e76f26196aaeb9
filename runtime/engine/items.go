package engine

import (
	"bytes"
	"fmt"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// expandItems creates the items of a for_each node.
func (t *turn) expandItems(unit int) {
	if a := t.x.allowance; a.items > 0 && a.itemsOf == unit && !t.roomFor(unit, a.items) { // a list is not evaluated again before there is room for it
		return
	}
	list, err := t.scope(unit).List(unit)
	if err != nil {
		t.failUnit(unit, "for_each", err)
		return
	}
	if ok, err := t.afford(unit, schemas.Budget{Items: int64(len(list))}); err != nil {
		t.failUnit(unit, "for_each", err)
		return
	} else if !ok {
		return
	}
	if !t.roomFor(unit, len(list)) {
		return
	}
	e := t.x.State.Event(schemas.EventNodeExpanded, unit)
	e.Count = len(list)
	if t.x.State.InputsMayChange(unit) { // the expression could later evaluate to another list
		if e.Data, err = schemas.Encode(list); err != nil {
			t.err = fmt.Errorf("encode list: %w", err)
			return
		}
	}
	t.emit(e)
}

// joinItems ends a for_each node with the list of its items' outputs, in their order. The output of an item that did not succeed is null.
func (t *turn) joinItems(unit int) {
	s := t.x.State
	if err := s.JoinError(unit); err != nil {
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
		if b.Len() > t.r.limits.MaxList {
			t.emit(s.Final(unit, t.listTooLarge(unit)))
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

// listTooLarge is the error of a for_each node whose items have run, and whose list has no room. What they have answered is kept.
func (t *turn) listTooLarge(unit int) *schemas.Error {
	outcome := schemas.NotRun
	if kind := t.x.State.Node(unit).Kind; kind == plan.KindCapability || kind == plan.KindWorkflow {
		outcome = schemas.RanFailed
	}
	return schemas.Errorf(schemas.CodePayloadTooLarge, "the outputs of the %d items have more than %d bytes in all (limits.max_list_bytes); the items have run",
		t.x.State.Units[unit].Count, t.r.limits.MaxList).WithOutcome(outcome).
		WithHint("get_node_output with item reads what each has answered; let the capability answer with less for each item, split the list, or have an " +
			"operator raise limits.max_list_bytes, and rerun_execution")
}

// itemOutput returns the output of an item; empty: it has none.
func (t *turn) itemOutput(unit int) ([]byte, error) {
	u := &t.x.State.Units[unit]
	if u.Status != schemas.NodeSucceeded {
		return nil, nil
	}
	if cached, ok := t.x.CachedOutput(unit); ok {
		return cached.Raw(), nil
	}
	return t.r.journal.OutputOf(t.ctx, t.x.Execution, t.x.State.Name(unit), u.Output, u.OutputRef)
}
