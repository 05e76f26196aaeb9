package journal

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

// The content blocks of an answer are kept only where they do not follow from its output and its text: a record of the unit has them, or, if
// they are large, a record of their own. Those of a for_each node are the list of what its items have, null for an item without an output.
// They are joined when they are read, because images of all items together may be large and are seldom read together.

// contentOf sets what expressions read as the content of a unit that is a node, an item, or the node of items.
func (s Scope) contentOf(v *expr.NodeValue, unit int, node string) {
	u := &s.x.State.Units[unit]
	switch {
	case u.Content != nil || u.ContentRef != nil:
		v.ContentBytes = int(u.ContentBytes())
		v.Content = func(evaluated bool) (*expr.Value, error) { return s.content(unit, node, evaluated) }
	case s.joins(unit):
		if !u.Status.Ended() {
			return
		}
		v.ContentBytes = s.itemContentBytes(unit)
		v.Content = func(evaluated bool) (*expr.Value, error) { return s.contents(unit, node, evaluated) }
	default:
		v.Blocks = u.Blocks
	}
}

// joins reports whether the content of a unit is that of the items of its output.
func (s Scope) joins(unit int) bool {
	return !s.x.State.IsItem(unit) && s.x.Program.Nodes[unit].ForEach != nil
}

// content returns blocks that are kept beside the output of a unit.
func (s Scope) content(unit int, node string, evaluated bool) (*expr.Value, error) {
	u := &s.x.State.Units[unit]
	if err := s.bound("content", node, int(u.ContentBytes()), evaluated); err != nil {
		return nil, err
	}
	if cached, ok := s.x.shelf().contents[unit]; ok {
		return cached, nil
	}
	raw, err := s.stored(u.Content, u.ContentRef)
	if err != nil {
		return nil, err
	}
	return s.x.cacheContent(unit, raw), nil
}

// contents joins the blocks of the items of a for_each node that has ended.
func (s Scope) contents(unit int, node string, evaluated bool) (*expr.Value, error) {
	u := &s.x.State.Units[unit]
	if cached, ok := s.x.shelf().contents[unit]; ok {
		return cached, s.bound("content", node, len(cached.Raw()), evaluated)
	}
	if u.Output == nil && u.OutputRef == nil {
		return nil, nil
	}
	if err := s.bound("content", node, s.itemContentBytes(unit), evaluated); err != nil {
		return nil, err
	}
	outputs, err := s.itemOutputs(unit, node, evaluated)
	if err != nil {
		return nil, err
	}
	joined := []byte{'['}
	for i, output := range outputs {
		if i > 0 {
			joined = append(joined, ',')
		}
		item, err := s.itemContent(unit, i, node, output, evaluated)
		if err != nil {
			return nil, err
		}
		joined = append(joined, item...)
		if err := s.bound("content", node, len(joined), evaluated); err != nil {
			return nil, err
		}
	}
	return s.x.cacheContent(unit, append(joined, ']')), nil
}

// itemOutputs returns the output of each item of a for_each node that has ended.
func (s Scope) itemOutputs(unit int, node string, evaluated bool) ([]json.RawMessage, error) {
	u := &s.x.State.Units[unit]
	raw := json.RawMessage(u.Output)
	if u.OutputRef != nil {
		v, err := s.output(unit, node, evaluated)
		if err != nil {
			return nil, err
		}
		raw = v.Raw()
	}
	var outputs []json.RawMessage
	if err := json.Unmarshal(raw, &outputs); err != nil { // a person gave another value
		return nil, schemas.Errorf(schemas.CodeExpressionError, "node %q has no content: its output is not the list of what its items gave", node).
			WithHint("read nodes.%s.output", node)
	}
	return outputs, nil
}

// itemContent returns the blocks of item i, as JSON, of a for_each node that has ended.
func (s Scope) itemContent(unit, i int, node string, output json.RawMessage, evaluated bool) (json.RawMessage, error) {
	v := expr.NodeValue{Output: expr.NewValue(output)}
	if string(output) == "null" {
		v.Output = nil
	}
	if item := s.itemOf(unit, i); item != nil {
		name, own := fmt.Sprintf("%s[%d]", node, i), s.x.State.Units[unit].FirstItem+i
		if s.textOf(&v, own, name); item.Content != nil || item.ContentRef != nil {
			v.Content = func(evaluated bool) (*expr.Value, error) { return s.content(own, name, evaluated) }
		}
		v.Blocks = item.Blocks
	}
	content, err := v.Contents(evaluated)
	if err != nil || content == nil {
		return json.RawMessage("null"), err
	}
	return content.Raw(), nil
}

// itemOf returns item i of a for_each node, if the output of the node has what the item gave; nil: it is not known.
func (s Scope) itemOf(unit, i int) *units.Unit {
	u := &s.x.State.Units[unit]
	if !u.Expanded || i >= u.Count || u.ByPerson() {
		return nil
	}
	if item := &s.x.State.Units[u.FirstItem+i]; item.Status != schemas.NodeFailed && item.Status != schemas.NodeSkipped {
		return item
	}
	return nil
}

// itemContentBytes is about how many bytes the texts and blocks have that the items of a node keep beside their outputs.
func (s Scope) itemContentBytes(unit int) (bytes int) {
	u := &s.x.State.Units[unit]
	for i := range u.Count {
		item := &s.x.State.Units[u.FirstItem+i]
		if bytes += int(item.ContentBytes()) + len(item.Text); item.TextRef != nil {
			bytes += item.TextRef.Bytes
		}
	}
	return bytes
}

// Content returns the content blocks of a unit of the execution that has succeeded; nil: it gave nothing.
func (s Scope) Content(unit int) (json.RawMessage, error) {
	name := s.x.State.Name(unit)
	v := s.unitValue(unit, name)
	content, err := v.Contents(false)
	if err != nil || content == nil {
		return nil, err
	}
	return content.Raw(), nil
}

// KeepsContent reports whether the content of a node that has succeeded does not follow from its output and its text.
func (s Scope) KeepsContent(unit int) bool {
	u := &s.x.State.Units[unit]
	if u.Content != nil || u.ContentRef != nil {
		return true
	}
	if !s.joins(unit) || u.ByPerson() {
		return false
	}
	for i := range u.Count {
		if item := &s.x.State.Units[u.FirstItem+i]; item.Blocks || item.ContentBytes() > 0 || item.Text != "" || item.TextRef != nil {
			return true
		}
	}
	return false
}

// wholeContent returns the content blocks of a node, or of an item of a for_each node, whose output is known.
func (j *Journal) wholeContent(ctx context.Context, x *Execution, node string, item *int, output json.RawMessage) (json.RawMessage, error) {
	unit, ok := x.Program.Index(node)
	if !ok { // the output of the execution
		return nil, schemas.Errorf(schemas.CodeInvalidArgument, "the output of an execution has no content blocks: its nodes have").WithField("part").
			WithHint("give the node_id of a node; or leave part out for the output")
	}
	s, u := j.Scope(ctx, x, -1), &x.State.Units[unit]
	switch {
	case item == nil:
	case u.Status != schemas.NodeSucceeded:
		unit = u.FirstItem + *item
	case u.Content != nil || u.ContentRef != nil: // taken over by a rerun: there is only the list
		all, err := s.Content(unit)
		if err != nil {
			return nil, err
		}
		return atPointer(all, fmt.Sprintf("/%d", *item))
	default:
		return s.itemContent(unit, *item, node, output, false)
	}
	raw, err := s.Content(unit)
	return records.OrElse(raw, "null"), err
}
