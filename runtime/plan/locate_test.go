package plan

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFindingsSayWhere: of a text of several lines each finding names line and column, whichever stage found it.
func TestFindingsSayWhere(t *testing.T) {
	for name, tt := range map[string]struct {
		source string
		want   []string // code line:column
	}{
		"YAML": {`plan: v1
nodes:
  - id: a
    tool: shop.get_oder
    args:
      idd: x
  - id: b
    set: "${nodes.c.output}"
    timout: 5s
`, []string{"alias 4:5", "alias 5:5", "unknown_field 9:5", "misplaced_field 7:5", "unknown_capability 4:5", "unknown_node 8:5"}},
		"a map of nodes": {"plan: v1\nnodes:\n  a: {set: 1}\n  b:\n    capability: shop.get_order\n    inputs: {id: 5}\n", []string{"alias 2:1", "wrong_argument 6:14"}},
		"a plan within": {`plan: v1
nodes:
  - id: w
    workflow:
      nodes:
        - id: a
          capability: shop.get_order
          inputs: {}
`, []string{"alias 4:5", "missing_argument 8:11"}},
		"a field that was moved": {`plan: v1
nodes:
  - id: a
    capability: shop.charge
    inputs: {order: x, cents: 5}
    on_unknown: fail
    verify: {capability: shop.fnid, inputs: {order: x}, happened: "${true}"}
`, []string{"unknown_field 7:5", "unknown_capability 7:14"}},
		"JSON of several lines":      {"{\"plan\": \"v1\",\n \"nodes\": [\n  {\"id\": \"a\", \"capability\": \"mail.sned\"}]}", []string{"unknown_capability 3:15"}},
		"JSON of one line":           {`{"plan": "v1", "nodes": [{"id": "a", "capability": "mail.sned"}]}`, []string{"unknown_capability 0:0"}},
		"a syntax error in one line": {`{"plan": "v1", "nodes": [}`, []string{"syntax_error 1:26"}},
		"an anchor":                  {"plan: v1\nnodes:\n  - {id: a, capability: mail.send, inputs: &i {x: \"${nodes.n.text}\"}}\n  - {id: b, capability: mail.send, inputs: *i}\n", []string{"unknown_node 3:48", "unknown_node 3:48"}},
		"a key twice":                {"{\"plan\": \"v1\",\n\"nodes\": [{\"id\": \"a\", \"id\": \"b\"}]}", []string{"duplicate_key 2:23"}},
	} {
		t.Run(name, func(t *testing.T) {
			for form, source := range map[string]string{"text": tt.source, "in a string": string(must(json.Marshal(tt.source)))} {
				_, found := check([]byte(source))
				var got []string
				for _, f := range found {
					got = append(got, fmt.Sprintf("%s %d:%d", f.Code, f.Line, f.Column))
				}
				if fmt.Sprint(got) != fmt.Sprint(tt.want) {
					t.Errorf("%s: got %q, want %q: %+v", form, got, tt.want, found)
				}
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestEveryFindingOfTheCorpusIsInItsText: whatever is wrong, the place lies within the text.
func TestEveryFindingOfTheCorpusIsInItsText(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(corpus, "*.yaml"))
	if err != nil || len(files) < 200 {
		t.Fatalf("%d plans, %v", len(files), err)
	}
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(source), "\n")
		_, found := check(source)
		for _, f := range found {
			whole := f.Code == codeEmptyPlan || f.Code == codeTooLarge || f.Code == codeTooDeep
			if f.Line < 1 && !whole || f.Line > len(lines) || f.Line > 0 && f.Column > len(lines[f.Line-1])+1 {
				t.Errorf("%s: %s stands at %d:%d of %d lines", filepath.Base(name), f.Code, f.Line, f.Column, len(lines))
			}
		}
	}
}

func TestProgramKeepsNoText(t *testing.T) {
	p, _ := Parse(context.Background(), []byte("plan: v1\nnodes: [{id: a, set: 1}]\n"), Limits{})
	if p.Source == nil {
		t.Fatal("the plan does not know its text")
	}
	prog, _ := Compile(context.Background(), p, sampleWorld(), Limits{})
	if prog == nil || prog.Definition.Plan.Source != nil {
		t.Error("the program keeps the text of its plan")
	}
}
