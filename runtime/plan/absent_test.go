package plan

import (
	"encoding/json"
	"testing"

	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// absentWorld has one tool with an optional argument, one that may be null, a required one with a default, and an object within.
func absentWorld() world {
	return world{"files": {"write": {InputSchema: json.RawMessage(`{"type":"object","properties":{"path":{"type":"string"},"owner":{"type":"string"},
		"comment":{"type":["string","null"]},"mode":{"type":"string","enum":["overwrite","append"],"default":"overwrite"},
		"options":{"type":"object","properties":{"level":{"type":"integer"},"name":{"type":"string"}},"required":["name"]}},
		"required":["path","mode"],"additionalProperties":false}`), Effect: schemas.EffectIdempotent, Hash: "w"}}}
}

func TestArgumentsThatMayBeAbsent(t *testing.T) {
	for _, tt := range []struct {
		name, inputs string
		code         string // of the finding; empty: there is none
		rendered     string // for the arguments below
	}{
		{"default", `{path: a}`, "", `{"mode":"overwrite","path":"a"}`},
		{"literal null", `{path: a, mode: append, owner: null, comment: null}`, "", `{"comment":null,"mode":"append","path":"a"}`},
		{"null of an input", `{path: a, mode: append, owner: "${inputs.none}", comment: "${inputs.none}"}`, "", `{"comment":null,"mode":"append","path":"a"}`},
		{"absent optional", `{path: a, mode: append, owner: "${inputs.?missing}"}`, "", `{"mode":"append","path":"a"}`},
		{"always null", `{path: a, mode: append, owner: "${null}"}`, "", `{"mode":"append","path":"a"}`},
		{"always null and required", `{path: "${null}", mode: append}`, codeWrongArgument, ""},
		{"required null", `{path: null, mode: append}`, codeWrongArgument, ""},
		{"within", `{path: a, mode: append, options: {name: x, level: "${inputs.none}"}}`, "", `{"mode":"append","options":{"name":"x"},"path":"a"}`},
		{"required within", `{path: a, mode: append, options: {name: "${inputs.none}"}}`, "", ""},
		{"inside a text", `{path: a, mode: append, owner: "by ${inputs.none}"}`, "", `{"path":"a","mode":"append","owner":"by null"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, found := Parse(t.Context(), []byte("plan: v1\ninputs: {none: null}\nnodes:\n"+
				"  - {id: a, capability: files.write, inputs: "+tt.inputs+"}"), Limits{})
			if p == nil {
				t.Fatal(found)
			}
			prog, found := Compile(t.Context(), p, absentWorld(), Limits{})
			switch {
			case tt.code != "":
				if len(found) != 1 || found[0].Code != tt.code {
					t.Errorf("got %+v, want %s", found, tt.code)
				}
				return
			case prog == nil:
				t.Fatal(found)
			}
			target := &prog.Nodes[0].Target
			inputs, err := target.Inputs.Render(t.Context(), fixed{inputs: expr.NewValue([]byte(`{"none":null}`))}, Limits{}.Limits)
			if err != nil {
				t.Fatal(err)
			}
			got, problem := target.Arguments(inputs)
			if (problem == nil) != (tt.rendered != "") || tt.rendered != "" && string(got) != tt.rendered {
				t.Errorf("got %s, %v, want %s", got, problem, tt.rendered)
			}
		})
	}
}

// What one keyword of a tool's schema says in the words of another dialect is read or left out with a warning, and the rest is checked.
func TestPlansForSchemasOfOtherDialects(t *testing.T) {
	tools := world{"s": {"set": {Effect: schemas.EffectRead, Hash: "h", InputSchema: json.RawMessage(`{"type":"object","properties":{"ttl":{"type":"integer","minimum":0,"exclusiveMinimum":true},
		"n":{"type":"integer","required":true},"note":{"type":"string","nullable":true}},"required":["ttl","note"]}`),
		OutputSchema: json.RawMessage(`{"type":"object","properties":{"note":{"type":"null"}}}`)}}}
	const left = codeUnusableSchema + " /nodes/0/capability, "
	for inputs, want := range map[string]string{
		`{ttl: 1, note: null}`:             left,
		`{ttl: 1, note: "${null}"}`:        left,
		`{ttl: 0, note: x}`:                left + codeWrongArgument + " /nodes/0/inputs/ttl, ",
		`{n: x, note: 5}`:                  left + codeWrongArgument + " /nodes/0/inputs/n, " + codeWrongArgument + " /nodes/0/inputs/note, " + codeMissingArgument + " /nodes/0/inputs/ttl, ",
		`{ttl: 1, note: "${[null][0]}"}`:   left,
		`{ttl: 1, note: "${size('abc')}"}`: left + codeWrongArgument + " /nodes/0/inputs/note, ",
	} {
		p, found := Parse(t.Context(), []byte("plan: v1\nnodes:\n  - {id: a, capability: s.set, inputs: "+inputs+"}"), Limits{})
		if p == nil {
			t.Fatal(found)
		}
		_, found = Compile(t.Context(), p, tools, Limits{})
		got := ""
		for _, f := range found {
			got += f.Code + " " + f.Path + ", "
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", inputs, got, want)
		}
	}
}
