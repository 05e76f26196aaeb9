package journal

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// Scope is what the expressions of one unit read. Outputs too large for the log come from the store, and each output
// is decoded at most once while the execution is in memory.
type Scope struct {
	ctx     context.Context //nolint:containedctx // lives for one evaluation; plan.Scope is pure and takes none
	journal *Journal
	x       *Execution
	unit    int         // -1: the plan's output
	answer  *plan.Value // of a verification
	state   *plan.Value // that a wait_for waits for
}

// Scope is what the expressions of a unit read; -1 stands for the plan's output. ctx is that of the evaluation.
func (j *Journal) Scope(ctx context.Context, x *Execution, unit int) Scope {
	return Scope{ctx: ctx, journal: j, x: x, unit: unit}
}

// WithAnswer is s with what a verification answered, which its expressions read as output.
func (s Scope) WithAnswer(output json.RawMessage) Scope {
	s.answer = plan.NewValue(output)
	return s
}

// WithState is s with a state that a wait_for waits for, which its expressions read as state.
func (s Scope) WithState(found json.RawMessage) Scope {
	s.state = plan.NewValue(found)
	return s
}

func (s Scope) Inputs() *plan.Value { return s.x.inputs }

func (s Scope) Session() *plan.Value { return s.x.Session }

func (s Scope) Output() *plan.Value { return s.answer }

func (s Scope) State() *plan.Value { return s.state }

func (s Scope) Execution() *plan.Value {
	if x := s.x; x.execution == nil {
		value, _ := json.Marshal(map[string]any{"id": x.ID, "name": x.Head.Name, "created_at": x.State.Created}) // strings and a time always marshal
		x.execution = plan.NewValue(value)
	}
	return s.x.execution
}

// Item is the item that the unit stands for.
func (s Scope) Item() (*plan.Value, int, error) {
	if s.unit < 0 || !s.x.State.IsItem(s.unit) {
		return nil, 0, nil
	}
	u := &s.x.State.Units[s.unit]
	list, err := s.List(u.Node)
	switch {
	case err != nil:
		return nil, 0, err
	case u.Item >= len(list):
		return nil, 0, fmt.Errorf("item %d of a list that has %d now", u.Item, len(list))
	}
	return plan.NewValue(list[u.Item]), u.Item, nil
}

// inputs are what the unit's next call of the target sends, not yet checked.
func (s Scope) inputs(target *plan.Target) (json.RawMessage, error) {
	if target != s.x.State.Node(s.unit).Compensate {
		if k := s.x.State.Fixed(s.unit); k != nil {
			return s.stored(schemas.Value(k.Inputs), k.Ref)
		}
	}
	return target.Inputs.Render(s, s.journal.limits.Plan)
}

// Bind makes a call's arguments and checks them against the schema that the plan was accepted with.
func (s Scope) Bind(target *plan.Target) (json.RawMessage, error) {
	inputs, err := s.inputs(target)
	if err != nil {
		return nil, err
	}
	if _, _, accepted := s.x.State.Goes(max(s.unit, 0)); s.unit >= 0 && accepted && target == &s.x.State.Node(s.unit).Target {
		return inputs, nil // they are checked against the definition that was accepted, once it is known to be there still
	}
	if problem := target.CheckInputs(inputs); problem != nil {
		return nil, problem
	}
	return inputs, nil
}

// WorkflowInputs are what the plan within the unit is given.
func (s Scope) WorkflowInputs() (json.RawMessage, error) {
	return s.inputs(&s.x.State.Node(s.unit).Target)
}

// stored is what the log holds, or the record that stands in for it.
func (s Scope) stored(inline schemas.Value, ref *schemas.OutputRef) (json.RawMessage, error) {
	if ref == nil {
		return json.RawMessage(inline), nil
	}
	return s.journal.Output(s.ctx, s.x.ID, ref.NodeID, nil, ref)
}

// List is what a for_each node runs over.
func (s Scope) List(node int) ([]json.RawMessage, error) {
	if list, ok := s.x.lists[node]; ok {
		return list, nil
	}
	n, u := &s.x.Program.Nodes[node], &s.x.State.Units[node]
	raw, err := s.stored(u.List, u.ListRef)
	if len(raw) == 0 && err == nil {
		raw, err = n.ForEach.Render(s.journal.Scope(s.ctx, s.x, node), s.journal.limits.Plan)
	}
	if err != nil {
		return nil, err
	}
	var list []json.RawMessage
	if len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &list) != nil {
		return nil, schemas.Errorf(schemas.CodeExpressionError, "for_each needs a list, got %.60s", raw).
			WithHint("reference a list, as in ${nodes.a.output.items}")
	}
	if n.MaxItems > 0 && len(list) > n.MaxItems {
		return nil, schemas.Errorf(schemas.CodePayloadTooLarge, "for_each got %d items, max_items is %d", len(list), n.MaxItems).
			WithHint("raise max_items, or select fewer items with an expression")
	}
	s.x.lists[node] = list
	return list, nil
}

func (s Scope) Node(id string) (plan.NodeValue, error) {
	i, ok := s.x.Program.Index(id)
	if !ok {
		return plan.NodeValue{}, schemas.Errorf(schemas.CodeExpressionError, "no node %q", id)
	}
	unit := i
	if s.unit >= 0 && s.x.State.IsItem(s.unit) && s.x.State.Units[s.unit].Node == i {
		unit = s.unit // the compensation of an item reads the item's own output
	}
	u := &s.x.State.Units[unit]
	v := plan.NodeValue{Status: u.Status, Text: u.Text, Error: u.Error, Degraded: u.Degraded}
	if u.TextRef != nil {
		v.LongText = func() (string, error) { return s.text(unit, id) }
	}
	switch cached, ok := s.x.Cached(unit); {
	case u.OutputRef != nil:
		v.LongOutput = func() (*plan.Value, error) { return s.output(unit, id) }
	case ok:
		v.Output = cached
	case u.Output != nil:
		v.Output = s.x.Keep(unit, u.Output)
	}
	return v, nil
}

// output is an output that was too large for the log.
func (s Scope) output(unit int, node string) (*plan.Value, error) {
	u := &s.x.State.Units[unit]
	if u.OutputRef.Bytes > s.journal.limits.MaxOutput {
		return nil, s.tooLarge("output", node, u.OutputRef.Bytes)
	}
	if cached, ok := s.x.Cached(unit); ok {
		return cached, nil
	}
	raw, err := s.journal.Output(s.ctx, s.x.ID, s.x.State.Name(unit), u.Output, u.OutputRef)
	if err != nil {
		return nil, err
	}
	return s.x.Keep(unit, raw), nil
}

func (s Scope) tooLarge(what, node string, bytes int) *schemas.Error {
	return schemas.Errorf(schemas.CodePayloadTooLarge, "the %s of node %q has %d bytes; an expression reads at most %d", what, node, bytes, s.journal.limits.MaxOutput).
		WithHint("ask the capability for less, or read it in pages with get_node_output")
}

// text is a text that was too large for the log.
func (s Scope) text(unit int, node string) (string, error) {
	if text, ok := s.x.texts[unit]; ok {
		return text, nil
	}
	ref := s.x.State.Units[unit].TextRef
	if ref.Bytes > s.journal.limits.MaxOutput {
		return "", s.tooLarge("text", node, ref.Bytes)
	}
	raw, err := s.journal.Output(s.ctx, s.x.ID, ref.NodeID, nil, ref)
	if err != nil {
		return "", err
	}
	s.x.KeepText(unit, string(raw))
	return string(raw), nil
}
