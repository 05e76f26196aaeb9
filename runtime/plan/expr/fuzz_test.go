package expr

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// FuzzExpression: any text is refused or evaluates to JSON or to an error of ours, and reads only the nodes it names.
func FuzzExpression(f *testing.F) {
	for _, text := range []string{
		"inputs.n", "nodes.a.output.items[0].sku", "inputs['with-dash']", "1 + 2.5", "nodes.a.output.items.map(x, x.n)", "has(nodes.b.output.x)",
		"nodes.a.?output.?x.orValue(1)", "'}' + \"}\"", "r'\\' + b'x'", "{'a': [1, nodes.c.error.code]}", "nodes[inputs.n]", "cel.bind(x, 1, x)", "// c", "\"\"\"a\"\"\"",
		"timestamp('2030-01-01T00:00:00Z') + duration('1h')", "lists.range(3).map(i, i * 1.5)", "[1,2].exists(nodes, true)", "item.x + index", "[item].map(item, item.n)", "size(output.items) > 0 && output.?found.orValue(false)", "item", "index", "output.items[index]", ".nodes.a.output", "(nodes).a.output",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lim := Limits{}.WithDefaults()
		template, bad := NewText("${"+text+"}", NewEvaluator(lim), lim)
		if len(bad) > 0 {
			return
		}
		named := map[string]bool{}
		for h := range template.Placeholders() {
			for id := range h.Nodes() {
				named[id] = true
			}
		}
		s := sampleScope()
		s.item, s.output = NewValue(json.RawMessage(`{"x":1,"n":[2.5]}`)), NewValue(json.RawMessage(`{"items":[1]}`))
		out, err := template.Render(t.Context(), namedScope{s, named, t}, lim)
		var e *schemas.Error
		switch {
		case err != nil && !errors.As(err, &e):
			t.Fatalf("%q: foreign error %v", text, err)
		case err == nil && !json.Valid(out):
			t.Fatalf("%q: not JSON: %q", text, out)
		}
	})
}

// namedScope fails the test when a node is read that the expression does not name.
type namedScope struct {
	*scope
	named map[string]bool
	t     *testing.T
}

func (s namedScope) Node(id string) (NodeValue, error) {
	if !s.named[id] {
		s.t.Errorf("node %q was read and is not named", id)
	}
	if n, ok := s.nodes[id]; ok {
		return n, nil
	}
	return NodeValue{}, schemas.Errorf(schemas.CodeExpressionError, "no node %q", id)
}

// FuzzRender: any JSON value with data from anywhere renders to JSON or to an error of ours, and data is never evaluated.
func FuzzRender(f *testing.F) {
	f.Add(`{"a":"${inputs.x} and ${nodes.a.output}"}`, `{"x":"${inputs.y}"}`)
	f.Add(`["${inputs}","$${x}","\u0024{inputs.x}"]`, `{"x":[1,2.5e300,null,"\ud800"]}`)
	f.Add(`"${inputs.x + 1}"`, `{"x":9223372036854775807}`)
	f.Add(`"${inputs.x * 2.0}"`, `{"x":1e400}`)
	f.Fuzz(func(t *testing.T, raw, data string) {
		lim := Limits{}.WithDefaults()
		template, bad := NewTemplate(json.RawMessage(raw), NewEvaluator(lim), lim)
		if len(bad) > 0 || !json.Valid([]byte(data)) {
			return
		}
		s := sampleScope()
		s.inputs = NewValue(json.RawMessage(data))
		s.nodes["a"] = NodeValue{Output: s.inputs, Text: data}
		out, err := template.Render(t.Context(), s, lim)
		var e *schemas.Error
		switch {
		case err != nil && !errors.As(err, &e) && err.Error() == "":
			t.Fatalf("empty error")
		case err == nil && !json.Valid(out):
			t.Fatalf("%s with %s: not JSON: %q", raw, data, out)
		}
	})
}
