package plan

import (
	"encoding/json"
	"testing"

	"github.com/runplane/runplane/runtime/plan/expr"
)

// TestRepairedExpressionsGiveTheirValues: a plan with expressions of JavaScript and Python gives, with all fixes applied, what those
// languages give.
func TestRepairedExpressionsGiveTheirValues(t *testing.T) {
	plan := []byte(`{"plan": "v1", "inputs": {"list": [1, 2], "s": "Abc", "n": null}, "nodes": [
		{"id": "a", "set": "${len(inputs.list)}"}, {"id": "b", "set": "${math.sum(inputs.list)}"}, {"id": "c", "set": "${JSON.stringify(inputs.list)}"},
		{"id": "d", "set": "${inputs.s.toLowerCase()}"}, {"id": "e", "set": "${inputs.list.includes(1)}"}, {"id": "f", "set": "${inputs.n ?? 1}"},
		{"id": "g", "set": "${size(inputs.list) > 1 and true}"}, {"id": "h", "set": "${inputs.n is null}"}, {"id": "i", "set": "${inputs.s === 'Abc'}"},
		{"id": "j", "set": "${inputs.list.length}"}, {"id": "k", "set": "${inputs.list.map(x => x + 1)}"}, {"id": "l", "set": "${True}"}]}`)
	want := []string{`2`, `3`, `"[1,2]"`, `"abc"`, `true`, `1`, `true`, `true`, `true`, `2`, `[2,3]`, `true`}
	_, found := check(plan)
	if len(found) != len(want) {
		t.Errorf("%d findings, want one for each node: %+v", len(found), found)
	}
	for _, f := range found {
		if len(f.Fix) == 0 || f.Lossy {
			t.Errorf("no fix, or one that loses something: %+v", f)
		}
	}
	mended := applyFixes(t, plan, found)
	prog, left := check(mended)
	if prog == nil || len(left) > 0 {
		t.Fatalf("%s\nstill has %+v", mended, left)
	}
	scope := fixed{inputs: expr.NewValue(json.RawMessage(prog.Definition.Plan.Inputs))}
	for i := range prog.Nodes {
		got, err := prog.Nodes[i].Value.Render(t.Context(), scope, expr.Limits{}.WithDefaults())
		if err != nil || string(got) != want[i] {
			t.Errorf("node %s gives %s (%v), want %s", prog.Nodes[i].ID, got, err, want[i])
		}
	}
}
