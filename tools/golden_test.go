package tools

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

var update = flag.Bool("update", false, "rewrite the golden files")

//go:generate go test . -run ^TestToolsAreAsReviewed$ -update

const goldenDir = "../testdata/tools"

// golden is what a client sees of a method, in the form of the golden files.
func golden(t *testing.T, m Method) []byte {
	t.Helper()
	h := m.Hints()
	b, err := json.Marshal(struct {
		Name        string `json:"name"`
		Title       string `json:"title"`
		Description string `json:"description"`
		Annotations any    `json:"annotations"`
		Input       any    `json:"inputSchema"`
		Output      any    `json:"outputSchema"`
	}{
		m.Name, m.Title, m.Description,
		map[string]bool{"readOnlyHint": h.ReadOnly, "destructiveHint": h.Destructive, "idempotentHint": h.Idempotent, "openWorldHint": h.OpenWorld},
		m.Input, m.Output,
	})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for escaped, plain := range map[string]string{`\u003c`: "<", `\u003e`: ">", `\u0026`: "&"} {
		text = strings.ReplaceAll(text, escaped, plain)
	}
	return []byte(text + "\n")
}

// A change of what a client sees of a tool is reviewed as a change of its golden file: go test ./tools -update writes them.
func TestToolsAreAsReviewed(t *testing.T) {
	want := map[string]bool{}
	for _, m := range All() {
		path := filepath.Join(goldenDir, m.Name+".json")
		want[path] = true
		got := golden(t, m)
		if *update {
			if err := os.MkdirAll(goldenDir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		reviewed, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(string(reviewed), string(got)); diff != "" {
			t.Errorf("%s changed (-reviewed +now); go test ./tools -update accepts it:\n%s", m.Name, diff)
		}
	}
	files, err := filepath.Glob(filepath.Join(goldenDir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if want[path] {
			continue
		}
		if !*update {
			t.Errorf("%s is of a tool that does not exist; -update removes it", path)
		} else if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// wireName is a name that every known client accepts, after the prefix that some of them add.
var wireName = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

func TestEveryToolIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range All() {
		t.Run(m.Name, func(t *testing.T) {
			switch {
			case !wireName.MatchString(m.Name) || len(m.Name) > 40:
				t.Errorf("name %q", m.Name)
			case seen[m.Name]:
				t.Errorf("two methods are named %s", m.Name)
			case m.Contract == "" || m.Title == "" || len(m.Title) > 60:
				t.Errorf("contract %q, title %q", m.Contract, m.Title)
			case m.Call == nil:
				t.Error("there is nothing to call")
			}
			seen[m.Name] = true
			own, card, _ := strings.Cut(m.Description, "\n\n")
			if n := len(own); n < 60 || n > 450 {
				t.Errorf("the description has %d bytes", n)
			}
			if !strings.HasSuffix(own, ".") || strings.Contains(own, "  ") || strings.Contains(own, "\n") {
				t.Errorf("the description is not a row of sentences: %q", own)
			}
			if want := strings.TrimSpace(plan.Card); (m.Name == "execute_plan") != (card == want) || card != "" && card != want {
				t.Errorf("after the description stands %q", card)
			}
			for kind, schema := range map[string]json.RawMessage{"input": m.Input, "output": m.Output} {
				if _, err := schemas.NewChecker(schema); err != nil {
					t.Errorf("%s schema: %v", kind, err)
				}
				var root map[string]any
				if err := json.Unmarshal(schema, &root); err != nil {
					t.Fatal(err)
				}
				if root["type"] != "object" {
					t.Errorf("%s schema: the root has type %v, want object", kind, root["type"])
				}
				for _, keyword := range []string{"anyOf", "oneOf", "allOf"} {
					if root[keyword] != nil {
						t.Errorf("%s schema: some clients refuse %s at the root", kind, keyword)
					}
				}
				for _, problem := range portability("", root) {
					t.Errorf("%s schema: %s", kind, problem)
				}
			}
		})
	}
}

// portability lists what some known client cannot read in a schema: references, a dialect, boolean schemas and schemas without a
// type.
func portability(path string, schema map[string]any) (problems []string) {
	bad := func(what string) { problems = append(problems, path+": "+what) }
	for _, keyword := range []string{"$ref", "$schema", "$id", "$defs", "definitions", "$dynamicRef"} {
		if _, there := schema[keyword]; there {
			bad(keyword)
		}
	}
	typed := false
	for _, keyword := range []string{"type", "enum", "const", "anyOf", "oneOf", "allOf"} {
		_, there := schema[keyword]
		typed = typed || there
	}
	if !typed {
		bad("a schema without a type")
	}
	sub := func(path string, v any) {
		if s, ok := v.(map[string]any); ok {
			problems = append(problems, portability(path, s)...)
		} else {
			problems = append(problems, path+": a boolean where a schema stands")
		}
	}
	for _, keyword := range []string{"properties", "patternProperties"} {
		if named, ok := schema[keyword].(map[string]any); ok {
			for name, s := range named {
				sub(path+"/"+name, s)
			}
		}
	}
	for _, keyword := range []string{"anyOf", "oneOf", "allOf", "prefixItems"} {
		if list, ok := schema[keyword].([]any); ok {
			for _, s := range list {
				sub(path+"/"+keyword, s)
			}
		}
	}
	if items, there := schema["items"]; there {
		sub(path+"/items", items)
	}
	if more, there := schema["additionalProperties"]; there && more != false {
		sub(path+"/*", more)
	}
	return problems
}

// portability itself finds problems.
func TestPortabilityFindsProblems(t *testing.T) {
	for _, tt := range []struct {
		schema string
		n      int
	}{
		{`{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}`, 0},
		{`{"type":"object","properties":{"a":true}}`, 1},
		{`{"type":"object","properties":{"a":{}}}`, 1},
		{`{"type":"object","$schema":"x","properties":{"a":{"$ref":"#/$defs/a","type":"object"}},"$defs":{}}`, 3},
		{`{"type":"array","items":true}`, 1},
		{`{"type":"object","additionalProperties":true}`, 1},
		{`{"anyOf":[{"type":"string"},false]}`, 1},
	} {
		var schema map[string]any
		if err := json.Unmarshal([]byte(tt.schema), &schema); err != nil {
			t.Fatal(err)
		}
		if got := portability("", schema); len(got) != tt.n {
			t.Errorf("%s: got %v, want %d problems", tt.schema, got, tt.n)
		}
	}
}

// Methods for operators are not available to other clients.
func TestOperatorsToolsAreForOperators(t *testing.T) {
	var hidden []string
	for _, m := range For(true) {
		if !slices.ContainsFunc(For(false), func(o Method) bool { return o.Name == m.Name }) {
			hidden = append(hidden, m.Name)
		}
	}
	if diff := cmp.Diff([]string{"pause_queue", "resume_queue"}, hidden); diff != "" {
		t.Errorf("hidden from clients that are not operators (-want +got):\n%s", diff)
	}
}

// What a tool list costs is bounded: for a model, which reads names, descriptions and input schemas, and on the wire.
func TestToolListsFitTheirBudget(t *testing.T) {
	wire := func(methods []Method) (n int) {
		for _, m := range methods {
			b, err := json.Marshal(map[string]any{
				"name": m.Name, "title": m.Title, "description": m.Description, "inputSchema": m.Input, "outputSchema": m.Output,
				"annotations": map[string]any{
					"title": m.Title, "readOnlyHint": false, "destructiveHint": false, "idempotentHint": false, "openWorldHint": false,
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			n += len(b) + 1
		}
		return n
	}
	type list struct {
		name       string
		methods    []Method
		read, wire int
	}
	set := func(name string) []Method { return (&Choice{Toolsets: []string{name}}).Of(All()) }
	lists := []list{{"minimal", set("minimal"), 8 << 10, 24 << 10}, {"agent", set("agent"), 18 << 10, 64 << 10}, {"all", set("all"), 19 << 10, 64 << 10}}
	if n := len(lists[0].methods); n > 10 {
		t.Errorf("minimal has %d tools", n)
	}
	for _, of := range []struct {
		methods []Method
		read    int
	}{
		{Execution(), 9 << 10}, {Session(), 2 << 10}, {State(), 9 << 8}, {Workflow(), 3 << 10}, {Capability(), 2 << 10}, {Queue(), 5 << 8}, {Health(), 1 << 9},
	} {
		lists = append(lists, list{of.methods[0].Contract, of.methods, of.read, 24 << 10})
	}
	for _, l := range lists {
		r, w := ReadBytes(l.methods), wire(l.methods)
		t.Logf("%s: %d tools, %d of %d bytes for a model, %d of %d on the wire", l.name, len(l.methods), r, l.read, w, l.wire)
		if r > l.read || w > l.wire {
			t.Errorf("%s: %d bytes for a model, want at most %d; %d on the wire, want at most %d", l.name, r, l.read, w, l.wire)
		}
	}
}
