package plan

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runplane/runplane/schemas"
)

// roundsWorld has tools whose answers have types, of each effect.
func roundsWorld() world {
	tool := func(effect schemas.Effect) Tool {
		return Tool{Effect: effect, Hash: string(effect), InputSchema: json.RawMessage(`{"type":"object","properties":{"cursor":{"type":"string"},"n":{"type":"integer"}},"additionalProperties":false}`),
			OutputSchema: json.RawMessage(`{"type":"object","properties":{"status":{"type":"string","enum":["open","done"]},"next":{"type":"string"},"n":{"type":"integer"},
				"items":{"type":"array","items":{"type":"object","properties":{"id":{"type":"string"}},"additionalProperties":false}}},"additionalProperties":false}`)}
	}
	return world{"r": {"read": tool(schemas.EffectRead), "set": tool(schemas.EffectIdempotent), "pay": tool(schemas.EffectOnce)}}
}

// What is found in a repeat, by what it says.
func TestRepeatIsChecked(t *testing.T) {
	const sub = `workflow: {definition: {nodes: [{id: x, capability: r.%s}], output: "${nodes.x.output}"}}`
	for _, tt := range []struct {
		node  string // of the node a
		after string // set of the node b
		code  string // of the only finding; empty: there is none
		says  string
	}{
		{`capability: r.read, repeat: {until: "${output.status == 'done'}"}`, `"${nodes.a.output.status}"`, "", ""},
		{`capability: r.read, repeat: {until: "${output.status == 'done' || previous != null && previous.n == output.n}", every: "${output.n}s", timeout: 1h, max: 10000}`, `"${nodes.a.output.n}"`, "", ""},
		{`capability: r.read, inputs: {cursor: "${previous == null ? null : previous.next}", n: "${index}"}, repeat: {until: "${index == 2}", collect: "${output.items}"}`,
			`"${nodes.a.output[0].id}"`, "", ""},
		{`capability: r.read, repeat: {until: "${index == 2}", collect: "${output.n}"}`, `"${nodes.a.output.sum()}"`, "", ""},
		{fmt.Sprintf(sub, "read") + `, repeat: {until: "${output.n > 3}"}`, `"${nodes.a.output}"`, "", ""},
		{`capability: r.pay, repeat: {until: "${index == 1}", once: true}`, `1`, "", ""},
		{`capability: r.set, compensate: r.set, repeat: {until: "${index == 1}"}`, `1`, "", ""},

		{`capability: r.read, repeat: {every: 1s}`, `1`, codeMissingField, "repeat has no until"},
		{`capability: r.read, repeat: {until: "${output.n}"}`, `1`, codeInvalidCondition, "until must be true or false"},
		{`capability: r.read, repeat: {until: "${output.state == 'done'}"}`, `1`, codeUnknownOutput, `the output of r.read has no "state"`},
		{`capability: r.read, repeat: {until: "${previous != null && previous.state == 'done'}"}`, `1`, codeUnknownOutput, `has no "state"`},
		{`capability: r.read, repeat: {until: "${output.status == 'Done'}"}`, `1`, codeWrongOperand, `is never "Done"`},
		{`capability: r.read, repeat: {until: "${nodes.a.output.n > 1}"}`, `1`, codeSelfDependency, "that of the round is output"},
		{`capability: r.read, inputs: {n: "${output.n}"}, repeat: {until: "${index == 1}"}`, `1`, codeMisplacedRoot, "that of the round before is previous"},
		{`capability: r.read, inputs: {cursor: "${previous.next}"}, repeat: {until: "${index == 1}"}`, `1`, codeUnguardedPrevious, "previous is null in the first round"},
		{`capability: r.read, inputs: {cursor: "${previous == null ? 'a' : previous.nxt}"}, repeat: {until: "${index == 1}"}`, `1`, codeUnknownOutput, `has no "nxt"`},
		{`capability: r.read, inputs: {cursor: "${previous}"}`, `1`, codeMisplacedRoot, "previous is the answer of the round before in a node with repeat"},
		{`capability: r.read, repeat: {until: "${index == 1}"}, compensate: {capability: r.set, inputs: {n: "${index}"}}`, `1`, codeMisplacedRoot, "index"},
		{`capability: r.read, repeat: {until: "${index == 1}", every: 10}`, `1`, codeInvalidDuration, "every needs a unit"},
		{`capability: r.read, repeat: {until: "${index == 1}", every: soon}`, `1`, codeInvalidDuration, "every: "},
		{`capability: r.read, repeat: {until: "${index == 1}", max: 10001}`, `1`, codeOutOfRange, "max must be from 1 to 10000, got 10001"},
		{`capability: r.read, repeat: {until: "${index == 1}", max: 0}`, `1`, codeOutOfRange, "max must be at least 1"},
		{`capability: r.read, repeat: {until: "${index == 1}", collect: output.items}`, `1`, codeWrongType, "collect takes one ${…}"},
		{`capability: r.read, repeat: {until: "${index == 1}", collect: "${output.items}"}`, `"${nodes.a.output.items}"`, codeUnknownOutput, "nodes.a.output is a list"},
		{`capability: r.read, repeat: {until: "${index == 1}", collect: "${output.n}"}`, `"${nodes.a.output[0].id}"`, codeUnknownOutput, "nodes.a.output[0] is integer"},
		{`capability: r.read, repeat: {until: "${index == 1}"}, for_each: [1]`, `1`, codeMisplacedField, "for_each and repeat do not stand on one node"},
		{`wait: 1s, repeat: {until: "${index == 1}"}`, `1`, codeMisplacedField, "repeat belongs to capability, workflow nodes alone"},
		{`capability: r.pay, repeat: {until: "${index == 1}"}`, `1`, codeRepeatedOnce, `r.pay has the effect "once"`},
		{`capability: r.read, fallback: [r.pay], repeat: {until: "${index == 1}"}`, `1`, codeRepeatedOnce, `r.pay has the effect "once"`},
		{fmt.Sprintf(sub, "pay") + `, repeat: {until: "${index == 1}"}`, `1`, codeRepeatedOnce, `a/x has the effect "once"`},
		{`capability: r.pay, compensate: r.set, repeat: {until: "${index == 1}", once: true}`, `1`, codeRepeatedOnce, "a compensation would undo one of them"},
	} {
		p, found := Parse(t.Context(), []byte("plan: v1\nnodes:\n  - {id: a, "+tt.node+"}\n  - {id: b, depends_on: [a], set: "+tt.after+"}"), Limits{})
		if p == nil {
			t.Fatal(found)
		}
		_, more := Compile(t.Context(), p, roundsWorld(), Limits{})
		found = append(found, more...)
		switch {
		case tt.code == "" && len(found) > 0:
			t.Errorf("%s: %+v", tt.node, found)
		case tt.code != "" && (len(found) != 1 || found[0].Code != tt.code || !strings.Contains(found[0].Message, tt.says)):
			t.Errorf("%s: got %+v, want %s: %s", tt.node, found, tt.code, tt.says)
		}
	}
}

// What a repeat may do at most is counted and shown.
func TestExplainCountsRounds(t *testing.T) {
	p, found := Parse(t.Context(), []byte(`plan: v1
nodes:
  - {id: a, capability: r.read, retry: {max_attempts: 2}, repeat: {until: "${index == 1}", max: 7}}
  - {id: w, workflow: {definition: {nodes: [{id: x, capability: r.read, retry: {max_attempts: 1}}]}}, repeat: {until: "${index == 1}"}}`), Limits{})
	if p == nil {
		t.Fatal(found)
	}
	prog, found := Compile(t.Context(), p, roundsWorld(), Limits{})
	if prog == nil {
		t.Fatal(found)
	}
	e := prog.Explain()
	if e.MaxCalls != 2*7+1000 || e.MaxExecutions != 1000 || strings.Join(e.Repeats, ", ") != "a (at most 7 rounds), w (at most 1000 rounds)" {
		t.Errorf("got %+v", e)
	}
	if least := prog.Size().Least; least.Calls != 3 || least.Executions != 1 {
		t.Errorf("at least %+v", least)
	}
}

// TestLoopsThatAreNotCertain walks loops of other languages whose bound, guard or member may be another one: none is rewritten.
func TestLoopsThatAreNotCertain(t *testing.T) {
	for node, say := range map[string]string{
		`until: "${output.status == 'done'}", every: 10s, timeout: 10m`:         "all rounds",
		`until: "${output.status == 'done'}", timeout_minutes: 10`:              "all rounds",
		`until: "${output.status == 'done'}", time_limit: 10m`:                  "all rounds",
		`until: "${output.status == 'done'}", max_duration: 10m`:                "all rounds",
		`until: "${output.status == 'done'}", total_timeout: 10m`:               "all rounds",
		`while: "${output.status == 'open'}", timeoutSeconds: 600`:              "all rounds",
		`poll: {until: "${output.status == 'done'}", every: 10s}, timeout: 10m`: "all rounds",
		`while: "${nodes.check.output.n > 0}"`:                                  "the opposite of while",
		`while: "${nodes.check.output.n > 0 && output.status == 'open'}"`:       "the opposite of while",
		`while: "${inputs.on && output.status == 'open'}"`:                      "the opposite of while",
		`while: "${inputs.on}"`:                                                 "the opposite of while",
		`do_while: "${nodes.check.output.n > 0}"`:                               "the opposite of while",
		`repeat: {while: "${nodes.check.output.n > 0}"}`:                        "write the opposite",
		`repeat: {while: "${inputs.on && output.status == 'open'}"}`:            "write the opposite",
	} {
		plan := "plan: v1\ninputs: {on: true}\nnodes:\n  - {id: check, capability: r.read}\n  - {id: a, capability: r.set, " + node + "}"
		if p, says, _ := mended(t, []byte(plan), roundsWorld()); p != nil || !strings.Contains(says, say) {
			t.Errorf("%s\nvalid %v: %q, want %q", node, p != nil, says, say)
		}
	}
}

// TestLoopsAreTurnedAround: a while over the answer alone is the opposite of until, and a time of one attempt stays with it.
func TestLoopsAreTurnedAround(t *testing.T) {
	for node, want := range map[string]string{
		`while: "${output.status == 'open'}"`:                                  `repeat: {until: "${!(output.status == 'open')}"}`,
		`while: "${output.items.exists(i, i.id == 'x')}"`:                      `repeat: {until: "${!(output.items.exists(i, i.id == 'x'))}"}`,
		`do_while: "${output.n > inputs.n}"`:                                   `repeat: {until: "${!(output.n > inputs.n)}"}`,
		`until: "${output.status == 'done'}", call_timeout: 10s`:               `repeat: {until: "${output.status == 'done'}"}, timeout: 10s`,
		`repeat: {until: "${result.status == 'done'}"}`:                        `repeat: {until: "${output.status == 'done'}"}`,
		`repeat: {until: "${result.items.size() == 0}", collect: "${this.n}"}`: `repeat: {until: "${output.items.size() == 0}", collect: "${output.n}"}`,
	} {
		plan := func(node string) []byte {
			return []byte("plan: v1\ninputs: {n: 1}\nnodes:\n  - {id: a, capability: r.read, " + node + "}")
		}
		wanted, found, _ := mended(t, plan(want), roundsWorld())
		got, says, _ := mended(t, plan(node), roundsWorld())
		if wanted == nil || got == nil {
			t.Errorf("%s: %s%s", node, found, says)
			continue
		}
		if diff := cmp.Diff(meaningOf(wanted), meaningOf(got)); diff != "" {
			t.Errorf("%s means something else:\n%s", node, diff)
		}
	}
}

// TestAnswerWordsThatAreMembers: a word for the answer of a round is the member of this name, where the tool has one.
func TestAnswerWordsThatAreMembers(t *testing.T) {
	w := roundsWorld()
	w["api"] = map[string]Tool{
		"list": {Effect: schemas.EffectRead, Hash: "list", OutputSchema: json.RawMessage(`{"type":"object","properties":{"next":{"type":"string"},
			"data":{"type":"array","items":{"type":"object"}},"body":{"type":"object","properties":{"n":{"type":"integer"}}},
			"n":{"type":"integer"},"result":{"type":"object","properties":{"id":{"type":"integer"}}}}}`)},
		"any": {Effect: schemas.EffectRead, Hash: "any"},
	}
	for _, row := range [][3]string{ // the tool, a repeat, and what it means; or if that ends with !, what is said
		{"api.list", `{until: "${size(data) == 0}", collect: "${data}"}`, `{until: "${size(output.data) == 0}", collect: "${output.data}"}`},
		{"api.list", `{until: "${result.id == 0}"}`, `{until: "${output.result.id == 0}"}`},
		{"api.list", `{until: "${result.n == 0}"}`, `{until: "${output.n == 0}"}`},
		{"api.list", `{until: "${body.n == 0}"}`, "output.body.n where!"},
		{"api.list", `{until: "${response.next == ''}"}`, `{until: "${output.next == ''}"}`},
		{"api.any", `{until: "${size(data) == 0}"}`, "output.data where!"},
		{"api.any", `{until: "${response.next == ''}"}`, "output.response.next where!"},
		{"api.any", `{until: "${index == 3}", collect: "${body}"}`, "output.body where!"},
		{"api.any", `{until: "${self.next == ''}"}`, `{until: "${output.next == ''}"}`},
	} {
		plan := func(repeat string) []byte {
			return []byte("plan: v1\nnodes:\n  - {id: a, capability: " + row[0] + ", repeat: " + repeat + "}")
		}
		got, says, _ := mended(t, plan(row[1]), w)
		if say, refused := strings.CutSuffix(row[2], "!"); refused {
			if got != nil || !strings.Contains(says, say) {
				t.Errorf("%s: valid %v: %q, want %q", row[1], got != nil, says, say)
			}
			continue
		}
		want, found, _ := mended(t, plan(row[2]), w)
		if got == nil || want == nil {
			t.Errorf("%s: %s%s", row[1], says, found)
			continue
		}
		if diff := cmp.Diff(meaningOf(want), meaningOf(got)); diff != "" {
			t.Errorf("%s means something else:\n%s", row[1], diff)
		}
	}
}
