package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

// Scope is what the expressions of one unit read; it implements expr.Scope. Outputs too large for the log are read from the store, and
// each output is decoded at most once while it is cached.
type Scope struct {
	ctx     context.Context //nolint:containedctx // of one evaluation; expr.Scope is pure and takes none
	journal *Journal
	x       *Execution
	unit    int         // -1: the plan's output
	answer  *expr.Value // of a verification; nil: none
	state   *expr.Value // that a wait_for waits for; nil: none
}

// Scope returns what the expressions of a unit of x read; -1 stands for the plan's output. It reads x as it is then, and
// must not be used after ctx has ended.
func (j *Journal) Scope(ctx context.Context, x *Execution, unit int) Scope {
	return Scope{ctx: ctx, journal: j, x: x, unit: unit}
}

// WithAnswer returns s with the answer of a verification, which expressions read as output.
func (s Scope) WithAnswer(output json.RawMessage) Scope {
	s.answer = expr.NewValue(output)
	return s
}

// WithState returns s with a state that a wait_for waits for, which expressions read as state.
func (s Scope) WithState(found json.RawMessage) Scope {
	s.state = expr.NewValue(found)
	return s
}

// Inputs returns the inputs of the plan.
func (s Scope) Inputs() *expr.Value {
	kept := s.x.shelf()
	if kept.inputs == nil {
		kept.inputs = s.x.value(kept, []byte(records.OrElse(s.x.Program.Definition.Plan.Inputs, "{}")))
	}
	return kept.inputs
}

// Session returns the data of the session, as it was at submit.
func (s Scope) Session() *expr.Value {
	kept := s.x.shelf()
	if kept.session == nil {
		kept.session = s.x.value(kept, s.x.Session)
	}
	return kept.session
}

// Output returns the answer of a verification or of a round; nil: there is none.
func (s Scope) Output() *expr.Value { return s.answer }

// WithRound returns s with the answer of the round of a node with repeat that has ended, which expressions read as output.
func (s Scope) WithRound() (Scope, error) {
	raw, err := s.roundAnswer(&s.x.State.Units[s.unit].Rounds.Last)
	if err != nil {
		return s, err
	}
	return s.WithAnswer(raw), nil
}

// roundAnswer returns the answer of a round for expressions, which take no longer ones than other outputs.
func (s Scope) roundAnswer(a *units.Answer) (json.RawMessage, error) {
	if a.Ref != nil && a.Ref.Bytes > s.journal.limits.MaxOutput {
		return nil, s.tooLarge("answer of a round", s.x.State.Node(s.unit).ID, a.Ref.Bytes)
	}
	return s.Answer(a)
}

// Answer returns the answer of a round of the unit; empty: none.
func (s Scope) Answer(a *units.Answer) (json.RawMessage, error) { return s.stored(a.Value, a.Ref) }

// Round returns the number of the round of a node with repeat; ok is false for other nodes.
func (s Scope) Round() (index int, ok bool) {
	if s.unit < 0 || s.x.State.Node(s.unit).Repeat == nil {
		return 0, false
	}
	return s.x.State.Round(s.unit), true
}

// Previous returns the answer of the round before, null in the first round; nil if the node has no repeat.
func (s Scope) Previous() (*expr.Value, error) {
	if _, ok := s.Round(); !ok {
		return nil, nil
	}
	var before units.Answer
	if r := s.x.State.Units[s.unit].Rounds; r != nil && r.Asking {
		before = r.Before
	} else if r != nil {
		before = r.Last
	}
	raw, err := s.roundAnswer(&before)
	if err != nil {
		return nil, err
	}
	return expr.NewValue(raw), nil
}

// State returns the state that a wait_for waits for; nil: there is none.
func (s Scope) State() *expr.Value { return s.state }

// Spent counts the steps that expressions of the execution take.
func (s Scope) Spent(steps uint64) { s.x.steps.Add(steps) }

// Execution returns id, name and created_at of the execution.
func (s Scope) Execution() *expr.Value {
	if x := s.x; x.execution == nil {
		// Strings and a time can always be encoded.
		value, _ := json.Marshal(map[string]any{"id": x.ID, "name": x.Head.Name, "created_at": x.State.Created})
		x.execution = expr.NewValue(value)
	}
	return s.x.execution
}

// Item returns the item of a for_each node that the unit stands for, and its index; nil if it stands for none.
func (s Scope) Item() (*expr.Value, int, error) {
	if s.unit < 0 || !s.x.State.IsItem(s.unit) {
		return nil, 0, nil
	}
	u := &s.x.State.Units[s.unit]
	list, err := s.List(u.Node)
	switch {
	case err != nil:
		return nil, 0, err
	case u.Item >= len(list):
		return nil, 0, fmt.Errorf("item %d of a list that now has %d", u.Item, len(list))
	}
	return expr.NewValue(list[u.Item]), u.Item, nil
}

// inputs returns the inputs of the unit's next call of the target, not yet checked.
func (s Scope) inputs(target *plan.Target) (json.RawMessage, error) {
	if target != s.x.State.Node(s.unit).Compensate {
		if k := s.x.State.KeptInputs(s.unit); k != nil {
			return s.stored(schemas.Value(k.Inputs), k.Ref)
		}
	}
	return target.Render(s.ctx, s, s.journal.limits.Plan.Limits)
}

// Bind returns the arguments of the unit's next call of the target, by the schema with which the plan was accepted.
func (s Scope) Bind(target *plan.Target) (json.RawMessage, error) {
	inputs, err := s.inputs(target)
	if err != nil {
		return nil, err
	}
	if _, _, accepted := s.x.State.CallDefinition(max(s.unit, 0)); s.unit >= 0 && accepted && target == &s.x.State.Node(s.unit).Target {
		if problem := target.CheckGivenSecrets(inputs); problem != nil {
			return nil, problem
		}
		return inputs, nil // package capability checks them against the definition that was accepted, if the tool still has it
	}
	arguments, problem := target.Arguments(inputs)
	if problem != nil {
		return nil, problem
	}
	return arguments, nil
}

// WorkflowInputs returns the inputs of the plan within the unit.
func (s Scope) WorkflowInputs() (json.RawMessage, error) {
	return s.inputs(&s.x.State.Node(s.unit).Target)
}

// stored returns a value that the log holds, or the record that ref stands for.
func (s Scope) stored(inline schemas.Value, ref *schemas.OutputRef) (json.RawMessage, error) {
	if ref == nil {
		return json.RawMessage(inline), nil
	}
	return s.read(ref.NodeID, nil, ref)
}

// read reads a value that has a record of its own, and counts how long that takes.
func (s Scope) read(name string, inline schemas.Value, ref *schemas.OutputRef) (json.RawMessage, error) {
	begun := time.Now()
	defer func() { s.x.reading += time.Since(begun) }()
	return s.journal.OutputOf(s.ctx, s.x, name, inline, ref)
}

// List returns the list that a for_each node runs over.
func (s Scope) List(node int) ([]json.RawMessage, error) {
	if list, ok := s.x.shelf().lists[node]; ok {
		return list, nil
	}
	n, u := &s.x.Program.Nodes[node], &s.x.State.Units[node]
	raw, err := s.stored(u.List, u.ListRef)
	if len(raw) == 0 && err == nil {
		raw, err = n.ForEach.Render(s.ctx, s.journal.Scope(s.ctx, s.x, node), s.journal.limits.Plan.Limits.Evaluated())
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
	s.x.cacheList(node, list)
	return list, nil
}

// Node returns what expressions read of a node; in the compensation of an item, its own node is that item.
func (s Scope) Node(id string) (expr.NodeValue, error) {
	i, ok := s.x.Program.Index(id)
	if !ok {
		return expr.NodeValue{}, schemas.Errorf(schemas.CodeExpressionError, "no node %q", id)
	}
	unit := i
	if s.unit >= 0 && s.x.State.IsItem(s.unit) && s.x.State.Units[s.unit].Node == i {
		unit = s.unit // the compensation of an item reads the output of that item
	}
	return s.unitValue(unit, id), nil
}

// unitValue returns what expressions read of a unit.
func (s Scope) unitValue(unit int, id string) expr.NodeValue {
	u := &s.x.State.Units[unit]
	v := expr.NodeValue{Status: u.Status, Error: u.Error, Degraded: u.Degraded}
	if len(u.Errors) > 0 || u.Status == schemas.NodeFailed || u.Expanded {
		v.Errors = func() (*expr.Value, error) { return s.errors(unit, id) }
	}
	s.textOf(&v, unit, id)
	s.contentOf(&v, unit, id)
	switch cached, ok := s.x.CachedOutput(unit); {
	case u.OutputRef != nil:
		v.LongBytes += u.OutputRef.Bytes
		v.LongOutput = func(evaluated bool) (*expr.Value, error) { return s.output(unit, id, evaluated) }
	case ok:
		v.Output = cached
	case u.Output != nil:
		v.Output = s.x.CacheOutput(unit, u.Output)
	}
	return v
}

// textOf sets the text of a unit.
func (s Scope) textOf(v *expr.NodeValue, unit int, id string) {
	u := &s.x.State.Units[unit]
	if v.Text = u.Text; u.TextRef != nil {
		v.LongBytes += 2 * u.TextRef.Bytes
		v.LongText = func(evaluated bool) (string, error) { return s.text(unit, id, evaluated) }
	}
}

// errors returns what failed of a node; a unit reads why it fell back itself.
func (s Scope) errors(unit int, node string) (*expr.Value, error) {
	if unit == s.unit {
		return s.errorsValue(s.x.State.Units[unit].Errors, node)
	}
	if cached, ok := s.x.shelf().errors[unit]; ok {
		return cached, nil
	}
	v, err := s.errorsValue(s.x.State.Errors(unit), node)
	if err == nil && s.x.State.Units[unit].Status.Ended() {
		kept := s.x.shelf()
		v = s.x.value(kept, v.Raw())
		kept.errors[unit] = v
	}
	return v, err
}

func (s Scope) errorsValue(list []schemas.UnitError, node string) (*expr.Value, error) {
	if len(list) == 0 {
		return expr.NewValue(json.RawMessage("[]")), nil
	}
	raw, err := json.Marshal(schemas.ShortenErrors(list, s.journal.limits.MaxOutput/2))
	if err != nil {
		return nil, fmt.Errorf("encode errors: %w", err)
	}
	if len(raw) > s.journal.limits.MaxOutput {
		return nil, s.tooLarge("list of errors", node, len(raw))
	}
	return expr.NewValue(raw), nil
}

// output returns an output that was too large for the log.
func (s Scope) output(unit int, node string, evaluated bool) (*expr.Value, error) {
	u := &s.x.State.Units[unit]
	if err := s.bound("output", node, u.OutputRef.Bytes, evaluated); err != nil {
		return nil, err
	}
	if cached, ok := s.x.CachedOutput(unit); ok {
		return cached, nil
	}
	raw, err := s.read(s.x.State.Name(unit), u.Output, u.OutputRef)
	if err != nil {
		return nil, err
	}
	return s.x.CacheOutput(unit, raw), nil
}

// bound returns an error if a value is too large for an evaluation, or to be passed on as it is.
func (s Scope) bound(what, node string, bytes int, evaluated bool) error {
	limit := s.journal.limits.MaxOutput
	switch {
	case evaluated && bytes > limit:
		return s.tooLarge(what, node, bytes)
	case !evaluated && bytes > max(limit, s.journal.limits.Plan.MaxPassed):
		return schemas.Errorf(schemas.CodePayloadTooLarge, "the %s of node %q has %d bytes (limit %d, limits.max_message_bytes)", what, node, bytes,
			max(limit, s.journal.limits.Plan.MaxPassed)).WithHint("ask the capability for less, or read it in pages with get_node_output")
	}
	return nil
}

func (s Scope) tooLarge(what, node string, bytes int) *schemas.Error {
	example := "output.content"
	if what == "content" {
		example = "content[0].data"
	}
	return schemas.Errorf(schemas.CodePayloadTooLarge, "the %s of node %q has %d bytes (limit %d for what an expression reads, limits.max_output_bytes)",
		what, node, bytes, s.journal.limits.MaxOutput).
		WithHint("pass it on by a path alone, as in \"${nodes.%s.%s}\", ask the capability for less, or read it in pages with "+
			"get_node_output; an operator can raise limits.max_output_bytes", node, example)
}

// text returns a text that was too large for the log.
func (s Scope) text(unit int, node string, evaluated bool) (string, error) {
	ref := s.x.State.Units[unit].TextRef
	if err := s.bound("text", node, ref.Bytes, evaluated); err != nil {
		return "", err
	}
	if text, ok := s.x.shelf().texts[unit]; ok {
		return text, nil
	}
	raw, err := s.read(ref.NodeID, nil, ref)
	if err != nil {
		return "", err
	}
	s.x.CacheText(unit, string(raw))
	return string(raw), nil
}
