package plan

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// What is known of a value before the plan runs, as a JSON Schema: from a tool's outputSchema, or from how a value is
// written.

// shapeOf is what a plain path of a node leads to.
func (c *compiler) shapeOf(p expr.Path, node int, may reach) shape {
	var at shape
	steps := p.Steps
	switch p.Root {
	case "item":
		at = c.itemShape(node)
	case "previous":
		if may&readsRound != 0 {
			at = c.outputShape(node)
		}
	case "output":
		if may&readsAnswer != 0 {
			at = c.outputShape(node)
		} else if node >= 0 {
			if u := c.plan.Nodes[node].OnUnknown; u != nil && u.Verify != nil {
				at = c.toolShape(u.Verify.Capability)
			}
		}
	case "state":
		at = stateShape
	case "nodes":
		i, ok := c.ids[p.NodeID()]
		if !ok || len(steps) < 2 {
			return shape{}
		}
		at, steps = c.memberShape(i, steps[1].Key, node, may), steps[2:]
	}
	for _, s := range steps {
		if s.Index >= 0 {
			at = at.item()
		} else {
			at, _ = at.property(s.Key)
		}
	}
	return at
}

func (c *compiler) toolShape(capability string) shape {
	if t := c.tools[capability]; t != nil {
		return t.output
	}
	return shape{}
}

// shapeFor is what another node, or a compensation of the node itself, reads as its output: for_each makes it a list,
// but each item is undone with its own.
func (c *compiler) shapeFor(node, reader int, may reach) shape {
	if r := c.plan.Nodes[node].Repeat; r != nil && r.Collect != "" {
		return c.collectedShape(node)
	}
	s := c.outputShape(node)
	if c.plan.Nodes[node].ForEach == nil || node == reader && may&readsSelf != 0 {
		return s
	}
	list := object("type", text("array"))
	if s.at != nil {
		list.Put("items", *s.at)
	}
	return shape{s.root, &list}
}

// outputShape is what is known of a node's output, or with for_each of each item's.
func (c *compiler) outputShape(node int) shape {
	n := &c.plan.Nodes[node]
	if n.Capability != "" {
		return c.toolShape(n.Capability)
	}
	return c.known.of(n.ID, func() shape { return givenShape(n) })
}

// errorsShape is what failed of a node.
var errorsShape = newShape(json.RawMessage(`{"type":"array","items":{"type":"object",
	"properties":{"index":{"type":"integer"},"code":{"type":"string"},"message":{"type":"string"}},"additionalProperties":false}}`))

// contentShape is the content blocks of an answer: those of MCP, which may get further members. contentsShape is those of the items of a list.
var (
	contentShape  = newShape(json.RawMessage(contentBlocks))
	contentsShape = newShape(json.RawMessage(`{"type":"array","items":` + contentBlocks + `}`))
)

const contentBlocks = `{"type":"array","items":{"type":"object","properties":{"type":{"type":"string"},
	"text":{"type":"string"},"data":{"type":"string"},"mimeType":{"type":"string"},
	"uri":{"type":"string"},"name":{"type":"string"},"title":{"type":"string"},"description":{"type":"string"},"size":{"type":"number"},"icons":{"type":"array"},
	"resource":{"type":"object","properties":{"uri":{"type":"string"},"mimeType":{"type":"string"},"text":{"type":"string"},"blob":{"type":"string"},
		"_meta":{"type":"object"}}},
	"annotations":{"type":"object"},"_meta":{"type":"object"}}}}`

// memberShape is what is known of a member of a node where another node, or a compensation of the node itself, reads it.
func (c *compiler) memberShape(node int, member string, reader int, may reach) shape {
	switch member {
	case "output":
		return c.shapeFor(node, reader, may)
	case "errors":
		return errorsShape
	case "content":
		if c.plan.Nodes[node].ForEach != nil && (node != reader || may&readsSelf == 0) {
			return contentsShape
		}
		return contentShape
	}
	return shape{}
}

// givenShape is what is known of a node that calls nothing.
func givenShape(n *schemas.Node) shape {
	switch {
	case len(n.Set) > 0:
		return writtenShape(string(n.Set))
	case n.Review != nil:
		return reviewShape(n.Review)
	case n.WaitFor != nil && n.WaitFor.State != nil:
		return stateShape
	case definitionOf(n) != nil:
		return writtenShape(string(definitionOf(n).Output))
	}
	return shape{}
}

func writtenShape(raw string) shape {
	t, err := document.Parse(raw)
	if err != nil {
		return shape{}
	}
	s := schemaOf(&t)
	return shape{&s, &s}
}

// itemShape is what is known of an item of the node's for_each. Nodes with the same list share the answer.
func (c *compiler) itemShape(node int) shape {
	if node < 0 || c.plan.Nodes[node].ForEach == nil {
		return shape{}
	}
	if h := c.prog.Nodes[node].ForEach.Whole(); h != nil {
		if !h.Plain || h.Path.Root != "inputs" && h.Path.Root != "nodes" {
			return shape{}
		}
		return c.items.of(h.Path.String(), func() shape { return c.listShape(h.Path, node) })
	}
	raw := string(c.plan.Nodes[node].ForEach.Items)
	return c.items.of(raw, func() shape {
		t, err := document.Parse(raw)
		if err != nil {
			return shape{}
		}
		return commonShape(t.Items)
	})
}

// listShape is what is known of the items of the list that a path leads to.
func (c *compiler) listShape(p expr.Path, node int) shape {
	if p.Root == "nodes" {
		return c.shapeOf(p, node, 0).item()
	}
	at := p.In(c.inputs)
	if at == nil || at.Kind != '[' {
		return shape{}
	}
	return commonShape(at.Items)
}

// shapes caches shapes.
type shapes map[string]shape

func (s *shapes) of(key string, find func() shape) shape {
	known, ok := (*s)[key]
	if !ok {
		known = find()
		if *s == nil {
			*s = shapes{}
		}
		(*s)[key] = known
	}
	return known
}

// Literal values are analysed up to these sizes.
const (
	maxKnownItems = 50 // of a list
	maxKnownKeys  = 50 // of an object
)

// commonShape is what all values of a list have in common: their type, and of objects every key that one has.
func commonShape(items []document.Tree) shape {
	if len(items) == 0 || len(items) > maxKnownItems {
		return shape{}
	}
	s := schemaOf(&items[0])
	for i := 1; i < len(items); i++ {
		next := schemaOf(&items[i])
		s = merge(&s, &next)
	}
	return shape{&s, &s}
}

// merge joins two schemas of schemaOf; where they differ, anything is allowed.
func merge(a, b *document.Tree) document.Tree {
	at, bt := a.Get("type"), b.Get("type")
	switch {
	case at == nil || bt == nil || at.Raw != bt.Raw:
		return object()
	case at.Raw != `"object"`:
		return object("type", *at)
	}
	pa, pb := a.Get("properties"), b.Get("properties")
	if pa == nil || pb == nil {
		return object("type", *at)
	}
	properties := object()
	for i, name := range pa.Names {
		if other := pb.Get(name); other != nil {
			properties.Put(name, merge(&pa.Items[i], other))
		} else {
			properties.Put(name, pa.Items[i])
		}
	}
	for i, name := range pb.Names {
		if pa.Get(name) == nil {
			properties.Put(name, pb.Items[i])
		}
	}
	both := object("type", *at, "properties", properties)
	if a.Get("additionalProperties") != nil && b.Get("additionalProperties") != nil {
		both.Put("additionalProperties", document.Tree{Kind: 'f', Raw: "false"})
	}
	return both
}

// schemaOf is the schema of a literal value; expressions in it may give anything.
func schemaOf(t *document.Tree) document.Tree {
	switch t.Kind {
	case '{':
		properties := object()
		s := object("type", text("object"))
		if len(t.Names) > maxKnownKeys {
			return s
		}
		open := slices.ContainsFunc(t.Names, func(name string) bool { return strings.Contains(name, "${") })
		for i, name := range t.Names {
			properties.Put(name, schemaOf(&t.Items[i]))
		}
		s.Put("properties", properties)
		if !open {
			s.Put("additionalProperties", document.Tree{Kind: 'f', Raw: "false"})
		}
		return s
	case '"':
		segments, fault := expr.Split(t.Text())
		if fault != nil || len(segments) == 1 && segments[0].Expression {
			return object()
		}
		return object("type", text("string"))
	case 'n':
		return object()
	default:
		return object("type", text(t.JSONType()))
	}
}

// object makes an object of names and values.
func object(pairs ...any) document.Tree {
	t := document.Tree{Kind: '{'}
	for i := 0; i+1 < len(pairs); i += 2 {
		t.Names = append(t.Names, pairs[i].(string))
		t.Items = append(t.Items, pairs[i+1].(document.Tree))
	}
	return t
}

func text(s string) document.Tree { return document.Tree{Kind: '"', Raw: document.Quote(s)} }
