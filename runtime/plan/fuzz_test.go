package plan

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// FuzzParse: any bytes give a plan or findings; what compiles loads again from its durable form.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(corpus, "*.*"))
	if err != nil || len(files) == 0 {
		f.Fatal("no corpus")
	}
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(source)
	}
	f.Add([]byte(refund))
	f.Add([]byte(whole))
	f.Fuzz(func(t *testing.T, source []byte) {
		prog, found := check(source)
		if prog == nil {
			if len(found) == 0 {
				t.Fatal("refused without a finding")
			}
			return
		}
		if len(errorsIn(found)) > 0 && errorsIn(found)[0].Code == "" {
			t.Fatalf("finding without a code: %+v", found)
		}
		stored, err := json.Marshal(prog.Definition)
		if err != nil {
			t.Fatalf("accepted and not storable: %v", err)
		}
		var d Definition
		if err := json.Unmarshal(stored, &d); err != nil {
			t.Fatalf("stored and not readable: %v", err)
		}
		loaded, err := Load(d)
		if err != nil {
			t.Fatalf("accepted and not loadable: %v\n%s", err, stored)
		}
		for i := range prog.Nodes {
			if len(loaded.Nodes[i].Deps) != len(prog.Nodes[i].Deps) {
				t.Fatalf("node %s has %v once loaded, had %v", prog.Nodes[i].ID, loaded.Nodes[i].Deps, prog.Nodes[i].Deps)
			}
		}
		if a, b := describe(prog, ""), describe(loaded, ""); a != b {
			t.Fatalf("compiled:\n%s\nloaded:\n%s", a, b)
		}
	})
}

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
		lim := DefaultLimits()
		template, bad := stringTemplate("${"+text+"}", &language{lim: lim}, lim)
		if len(bad) > 0 {
			return
		}
		named := map[string]bool{}
		for _, h := range template.holes() {
			for _, id := range h.reads() {
				named[id] = true
			}
		}
		s := sampleScope()
		s.item, s.output = NewValue(json.RawMessage(`{"x":1,"n":[2.5]}`)), NewValue(json.RawMessage(`{"items":[1]}`))
		out, err := template.Render(namedScope{s, named, t}, lim)
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
		lim := DefaultLimits()
		template, bad := newTemplate(json.RawMessage(raw), &language{lim: lim}, lim)
		if len(bad) > 0 || !json.Valid([]byte(data)) {
			return
		}
		s := sampleScope()
		s.inputs = NewValue(json.RawMessage(data))
		s.nodes["a"] = NodeValue{Output: s.inputs, Text: data}
		out, err := template.Render(s, lim)
		var e *schemas.Error
		switch {
		case err != nil && !errors.As(err, &e) && err.Error() == "":
			t.Fatalf("empty error")
		case err == nil && !json.Valid(out):
			t.Fatalf("%s with %s: not JSON: %q", raw, data, out)
		}
	})
}
