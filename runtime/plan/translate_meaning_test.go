package plan

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// TestFixesKeepTheMeaning: what is nearly the same has a fix only if it is certain; the others stay, and a finding says the word.
func TestFixesKeepTheMeaning(t *testing.T) {
	const same = ""                  // it stays
	for _, row := range [][3]string{ // what was written, what the fix leaves, a word of the first message
		// How a node ended, and what it gave.
		{"${steps.order.result}", "${nodes.order.output}", ""}, {"${tasks.order.result}", "${nodes.order.output}", ""},
		{"${steps.order.result.id}", "${nodes.order.output.id}", ""}, {"${jobs.order.result}", "${nodes.order.output}", ""},
		{"${steps.wrapped.result}", "${nodes.wrapped.output.result}", ""}, {"${steps.open_node.result}", same, "output.result"},
		{"${needs.order.result}", "${nodes.order.status}", ""}, {"${needs.open_node.result}", "${nodes.open_node.status}", ""},
		{"${needs.order.result == 'failure'}", "${nodes.order.status == 'failed'}", ""}, {"${needs.wrapped.result}", same, "status"},
		{"${steps.order.outcome}", "${nodes.order.status}", ""}, {"${steps.open_node.conclusion}", same, "status"},
		{"${nodes.order.status == 'completed'}", same, "succeeded"}, {"${nodes.order.status == 'done'}", same, "succeeded"},

		// Texts with escapes and braces.
		{"${`caf\\u00e9\\t${inputs.s}\\x41\\u{1F600}\\d`}", "café\t${inputs.s}A😀d", ""}, {"${`\\uD83D\\uDE00${inputs.s}`}", "😀${inputs.s}", ""},
		{"${`a\\`b\\${c} ${inputs.s}`}", "a`b$${c} ${inputs.s}", ""}, {"${`Total: $${inputs.s}`}", "Total: ${'$'}${inputs.s}", ""},
		{"${f\"\\u00e9 {inputs.s} {{x}} \\d\"}", "é ${inputs.s} {x} \\d", ""}, {"${f\"{inputs.s:>10}\"}", same, "format"},
		{"${format('}} {0} {{', inputs.s)}", "} ${inputs.s} {", ""}, {"${format('{0}-{1}-{0}', inputs.s, inputs.n)}", "${inputs.s}-${inputs.n}-${inputs.s}", ""},
		{"${format('{0} {2}', inputs.s, inputs.n)}", same, "text"}, {"${format('{0', inputs.s)}", same, "text"},
		{"${States.Format('\\{{}\\}', inputs.s)}", "{${inputs.s}}", ""}, {"${'{} {}'.format(inputs.s, inputs.n)}", "${inputs.s} ${inputs.n}", ""},
		{"${'{a}'.format(a=inputs.s)}", "${inputs.s}", ""}, {"${'{:>4}'.format(inputs.s)}", same, "text"},
		{"${'%s: %d' % (inputs.s, 1)}", "${'%s: %d'.format([inputs.s, 1])}", ""}, {"${'%s' % inputs.s}", "${'%s'.format([inputs.s])}", ""},
		{"${'%-5s' % inputs.s}", same, "format"},

		// One block of several.
		{"${nodes.order.output.content[1].text}", "${nodes.order.content[1].text}", "nodes.order.content"},
		{"${nodes.open_node.result.content[2].text}", "${nodes.open_node.content[2].text}", "nodes.open_node.content"}, {"${nodes.open_node.output.content[0].text}", same, "nodes.open_node.text"},

		// Filters bind more than a sign does not.
		{"${-inputs.list[0] | abs}", "${math.abs(-inputs.list[0])}", ""}, {"${-(1 - 3 | abs)}", "${-(1 - math.abs(3))}", ""},
		{"${[-1 | abs, 2]}", "${[math.abs(-1), 2]}", ""}, {"${1 - -2 | abs}", "${1 - math.abs(-2)}", ""},

		// No text is sent raw that names something of the plan.
		{"{{ inputs.list | round }}", same, "round"}, {"a {{ nodes.order.output.total | wibble }}", same, "wibble"},
		{"{{ inputs.list | sort(reverse=true) }}", same, "sort"},
	} {
		plan := foreignPlan(row[0])
		if row[1] == same {
			row[1] = row[0]
		}
		_, found := check(plan)
		if len(found) == 0 || !strings.Contains(found[0].Message, row[2]) {
			t.Errorf("%s: got %+v, want a finding with %q", row[0], found, row[2])
		}
		if got, left := repaired(t, plan); got != row[1] {
			t.Errorf("%s becomes %s, want %s (%+v)", row[0], got, row[1], left)
		}
	}
}

// TestNameOfANodeAndAnInput: a name that is both is read as the one that has the member.
func TestNameOfANodeAndAnInput(t *testing.T) {
	for text, want := range map[string]string{
		"${order.total}": "${nodes.order.output.total}", "${order.output.id}": "${nodes.order.output.id}", "${order.note}": "${inputs.order.note}",
		"${order}": "${order}", "${order.id}": "${order.id}", "${order.status}": "${order.status}", "${$.order}": "${$.order}",
		"${later.text}": "${later.text}", "${later.anything}": "${later.anything}",
	} {
		plan := fmt.Appendf(nil, `{"plan": "v1", "inputs": {"order": {"id": "a", "note": "b", "status": "c"}, "later": null}, "nodes": [
			{"id": "order", "capability": "shop.get_order", "inputs": {"id": "x"}}, {"id": "later", "capability": "mail.send", "inputs": {"to": "x"}},
			{"id": "b", "set": %q}]}`, text)
		got, left := repaired(t, plan)
		if got != want || got == text && !strings.Contains(fmt.Sprint(left), "a node and an input") {
			t.Errorf("%s becomes %s, want %s (%+v)", text, got, want, left)
		}
	}
}

// TestNamesThatOtherLanguagesHaveToo: a name of this plan that is the front of references elsewhere is read as the plan's, or refused where both lead
// somewhere.
func TestNamesThatOtherLanguagesHaveToo(t *testing.T) {
	for text, want := range map[string]string{
		"${msg.text}": "${inputs.msg.text}", "${it.text}": "${inputs.it.text}", "{{ msg.text }}": "${inputs.msg.text}", "${prev.n}": "${nodes.prev.output.n}",
		"${params.order}": "${params.order}", "${params.text}": "${inputs.params.text}", "${context.order.id}": "${context.order.id}",
	} {
		plan := fmt.Appendf(nil, `{"plan": "v1", "inputs": {"order": "A", "msg": {"text": "a"}, "it": {"text": "a"}, "params": {"text": "b", "order": "c"}, "context": {"order": {"id": 1}}}, "nodes": [
			{"id": "first", "capability": "mail.send", "inputs": {"to": "x"}}, {"id": "prev", "set": {"n": "x"}},
			{"id": "b", "for_each": [1], "depends_on": ["first"], "set": %q}]}`, text)
		got, left := repaired(t, plan)
		if got != want || got == text && !strings.Contains(fmt.Sprint(left), "a name of this plan") {
			t.Errorf("%s becomes %s, want %s (%+v)", text, got, want, left)
		}
	}
}

// TestNoLossyFixDecides: what gives less than was written has no fix where a condition, a list to go through or an approval reads it,
// through however many nodes.
func TestNoLossyFixDecides(t *testing.T) {
	const lossy = "${Math.round(inputs.n)}"
	for _, tt := range []struct {
		nodes string
		fix   bool
	}{
		{`{"id": "a", "set": "LOSSY"}`, true},
		{`{"id": "a", "set": "LOSSY"}, {"id": "b", "set": "${nodes.a.output}"}`, true},
		{`{"id": "a", "set": "LOSSY"}, {"id": "b", "set": "${nodes.a.output}"}, {"id": "c", "when": "${nodes.b.output > 2.0}", "set": 1}`, false},
		{`{"id": "a", "set": {"x": ["LOSSY"]}}, {"id": "c", "when": "${nodes.a.output.x[0] > 2.0}", "set": 1}`, false},
		{`{"id": "a", "set": "LOSSY"}, {"id": "c", "for_each": "${lists.range(int(nodes.a.output))}", "set": 1}`, false},
		{`{"id": "a", "set": "LOSSY"}, {"id": "c", "review": "Pay ${nodes.a.output}?"}`, false},
		{`{"id": "a", "set": "LOSSY"}, {"id": "c", "when": "{{ a.output > 2 }}", "set": 1}`, false},
		{`{"id": "a", "capability": "mail.send", "inputs": {"n": "LOSSY"}}, {"id": "c", "when": "${nodes.a.output.x}", "set": 1}`, false},
		{`{"id": "a", "set": "LOSSY"}, {"id": "c", "workflow": {"definition": {"plan": "v1", "inputs": {"n": null}, "nodes": [
			{"id": "i", "when": "${inputs.n > 2.0}", "set": 1}]}}, "inputs": {"n": "${nodes.a.output}"}}`, false},
		{`{"id": "w", "workflow": {"definition": {"plan": "v1", "inputs": {"n": 1.5}, "nodes": [{"id": "i", "set": "LOSSY"}], "output": "${nodes.i.output}"}}},
			{"id": "c", "when": "${nodes.w.output > 2.0}", "set": 1}`, false},
		{`{"id": "a", "set": "LOSSY"}, {"id": "c", "when": "${inputs.n > 2.0}", "set": {"a": "${nodes.a.output}"}}`, true},
	} {
		_, found := check([]byte(`{"plan": "v1", "inputs": {"n": 1.5}, "nodes": [` + strings.ReplaceAll(tt.nodes, "LOSSY", lossy) + `]}`))
		fix, said := false, false
		for _, f := range found {
			said = said || strings.Contains(f.Message, "Math.round")
			fix = fix || f.Lossy && len(f.Fix) > 0
		}
		if fix != tt.fix || !said {
			t.Errorf("%s: got a lossy fix %v, want %v; %+v", tt.nodes, fix, tt.fix, found)
		}
	}
}

// TestQuotientsOfWholeNumbers: a division that drops the fraction has a warning, unless the plan says that this is meant.
func TestQuotientsOfWholeNumbers(t *testing.T) {
	for text, want := range map[string]bool{
		"inputs.list[0] / 2": false, "7 / 2": true, "size(inputs.list) / 2": true, "nodes.order.output.total / 100": true, "1 + nodes.order.output.total / 100": true,
		"(nodes.order.output.total + 1) / 2": true, "-nodes.order.output.total / 2": true, "nodes.order.output.total * 2 / 3": true,
		"nodes.order.output.items.map(i, i.count).sum() / 2": true, "nodes.order.output.items.map(i, i.count / 2)": true,
		"nodes.order.output.items.map(i, i.count * 1.5).sum() / 2": false,
		"int(nodes.order.output.total / 100)":                      false, "double(nodes.order.output.total) / 100": false, "nodes.order.output.total / 100.0": false,
		"nodes.open_node.output.n / 2": false, "nodes.order.output.total % 2": false,
	} {
		_, found := check(foreignPlan("${" + text + "}"))
		got := false
		for _, f := range found {
			got = got || f.Severity == schemas.SeverityWarning && strings.Contains(f.Message, "whole part")
		}
		if got != want {
			t.Errorf("%s: a warning %v, want %v: %+v", text, got, want, found)
		}
	}
}

// TestNextOfAMapOfNodes: a node may be called like the end of a flow elsewhere.
func TestNextOfAMapOfNodes(t *testing.T) {
	for _, nodes := range []string{
		`{"a": {"set": 1, "next": "done"}, "done": {"set": 2}}`, `[{"id": "a", "set": 1, "next": "done"}, {"id": "done", "set": 2}]`,
		`[{"id": "a", "set": 1, "next": "x"}, {"id": "x", "set": 3, "depends_on": "a"}]`,
		`{"a": {"set": 1, "then": ["end"]}, "end": {"set": 2}}`,
	} {
		plan := []byte(`{"plan": "v1", "nodes": ` + nodes + `}`)
		for range 4 {
			prog, found := check(plan)
			if prog != nil && len(found) == 0 {
				break
			}
			plan = applyFixes(t, plan, found)
		}
		var p struct {
			Nodes []struct {
				DependsOn []string `json:"depends_on"`
			}
		}
		if err := json.Unmarshal(plan, &p); err != nil || !strings.Contains(fmt.Sprint(p.Nodes[len(p.Nodes)-1].DependsOn), "a") {
			t.Errorf("%s becomes %s: the last node no longer comes after the first (%v)", nodes, plan, err)
		}
	}
}

// TestNextThatIsNoId: what is nearly the id of a node is not taken for the end of the flow.
func TestNextThatIsNoId(t *testing.T) {
	for _, next := range []string{"DONE", "Done "} {
		_, found := check(fmt.Appendf(nil, `{"plan": "v1", "nodes": [{"id": "a", "set": 1, "next": %q}, {"id": "done", "set": 2}]}`, next))
		if len(errorsIn(found)) == 0 {
			t.Errorf("next: %s is taken: %+v", next, found)
		}
	}
}

// TestReferencesAsObjects: an object that is a reference elsewhere has a fix if it leads to something of the plan.
func TestReferencesAsObjects(t *testing.T) {
	for value, want := range map[string]string{
		`{"$ref": "nodes.order.output.id"}`: "${nodes.order.output.id}", `{"ref": "{{ steps.order.outputs.id }}"}`: "${nodes.order.output.id}",
		`{"expr": "inputs.s"}`: "${inputs.s}", `{"from": "order", "path": "id"}`: "${nodes.order.output.id}", `{"field": "$.total", "node": "order"}`: "${nodes.order.output.total}",
		`{"$ref": "#/nodes/order.id"}`: "", `{"$ref": "a.b"}`: "", `{"ref": "order"}`: "", `{"from": "order", "path": "nope"}`: "", `{"from": "a", "path": "id"}`: "",
		`{"from": "open_node", "path": "id"}`: "", `{"from": "order", "path": "id", "to": "x"}`: "",
	} {
		plan := []byte(strings.Replace(string(foreignPlan("VALUE")), `"VALUE"`, `[`+value+`]`, 1))
		for range 3 {
			_, found := check(plan)
			plan = applyFixes(t, plan, found)
		}
		if want == "" {
			want = strings.ReplaceAll(value, " ", "")
		} else {
			want = `"` + want + `"`
		}
		if !strings.Contains(string(plan), `"set":[`+want+`]`) {
			t.Errorf("%s: want %s, got %s", value, want, plan)
		}
	}
}

// TestItemWithoutBraces: a text that is the name of the item is a reference only where there is one.
func TestItemWithoutBraces(t *testing.T) {
	for _, tt := range []struct{ node, want string }{
		{`"for_each": ["x"], "capability": "shop.get_order", "inputs": {"id": "item"}`, `"id":"${item}"`},
		{`"for_each": {"items": ["x"], "as": "row"}, "capability": "shop.get_order", "inputs": {"id": "row"}`, `"id":"${row}"`},
		{`"for_each": [1], "set": {"a": "item"}`, `"a":"item"`}, {`"for_each": {"items": [1], "as": "row"}, "set": {"a": "row"}`, `"a":"row"`},
		{`"for_each": {"items": [1], "as": "row"}, "set": {"a": "item"}`, `"a":"item"`}, {`"for_each": [1], "set": {"a": "an item"}`, `"a":"an item"`},
		{`"set": {"a": "item"}`, `"a":"item"`}, {`"for_each": [1], "set": {"a": "index"}`, `"a":"index"`},
	} {
		plan := []byte(`{"plan": "v1", "nodes": [{"id": "a", ` + tt.node + `}]}`)
		_, found := check(plan)
		if plan = applyFixes(t, plan, found); !strings.Contains(string(plan), tt.want) {
			t.Errorf("%s: want %s, got %s", tt.node, tt.want, plan)
		}
	}
}

// TestJoinedConditionsKeepTheirParts: what stands around a part of a condition binds nothing within it.
func TestJoinedConditionsKeepTheirParts(t *testing.T) {
	for when, want := range map[string]string{
		"${inputs.n > 1 || inputs.s == 'a'} && ${inputs.s == 'b'}":   "${(inputs.n > 1 || inputs.s == 'a') && (inputs.s == 'b')}",
		"!${inputs.s == inputs.other}":                               "${!(inputs.s == inputs.other)}",
		"${inputs.n > 1 ? true : false} && ${inputs.s == 'b'}":       "${(inputs.n > 1 ? true : false) && (inputs.s == 'b')}",
		"${inputs.s} == 'a' || ${inputs.n > 1 && inputs.s == 'b'}":   "${inputs.s == 'a' || (inputs.n > 1 && inputs.s == 'b')}",
		"${inputs.n - 1} * 2 > 3":                                    "${(inputs.n - 1) * 2 > 3}",
		"${inputs.s} == 'a' and not ${inputs.s == 'b' || inputs.on}": "${inputs.s == 'a' && !(inputs.s == 'b' || inputs.on)}",
		"{{ inputs.on or inputs.s == 'a' }} and {{ inputs.n > 1 }}":  "${(inputs.on || inputs.s == 'a') && inputs.n > 1}",
	} {
		for _, node := range []string{`"id": "a", "when": %q, "set": 1`, `"id": "a", "if": %q, "set": 1`} {
			plan := fmt.Appendf(nil, `{"plan": "v1", "inputs": {"n": 1.5, "s": "x", "other": "y", "on": true}, "nodes": [{`+node+`}]}`, when)
			for range 3 {
				_, found := check(plan)
				plan = applyFixes(t, plan, found)
			}
			var p struct{ Nodes []struct{ When string } }
			if err := json.Unmarshal(plan, &p); err != nil || plainWhen(p.Nodes[0].When) != plainWhen(want) {
				t.Errorf("%s becomes %s, want %s (%v)", when, plan, want, err)
			}
		}
	}
}

// plainWhen is a condition with its quotes in one form.
func plainWhen(when string) string { return strings.ReplaceAll(when, `"`, "'") }
