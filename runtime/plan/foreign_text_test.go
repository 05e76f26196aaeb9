package plan

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// TestForeignTextsAreRepaired: what names something of the plan in another template language is mended; the fixes lead there.
func TestForeignTextsAreRepaired(t *testing.T) {
	for _, row := range [][2]string{
		{"{{ inputs.s }}", "${inputs.s}"},
		{"{{inputs.s}} and {{ nodes.order.output.id }}", "${inputs.s} and ${nodes.order.output.id}"},
		{"{{ order_id }}", "${inputs.order_id}"},
		{"{{ steps.order.outputs.id | upper }}", "${strings.upper(nodes.order.output.id)}"}, {"<%= inputs.s %>", "${inputs.s}"},
		{"Order %(order_id)s", "Order ${inputs.order_id}"},
		{"$.nodes.order.output.id", "${nodes.order.output.id}"}, {"$nodes.order.output.id", "${nodes.order.output.id}"},
		{"$inputs.s", "${inputs.s}"}, {"$order_id", "${inputs.order_id}"},
		{"a {nodes.order.output.id} b", "a ${nodes.order.output.id} b"}, {"f\"Hi {inputs.s}\"", "Hi ${inputs.s}"},
		{"={{ inputs.s }}", "${inputs.s}"}, {"=nodes.order.output.id", "${nodes.order.output.id}"},
		{"nodes.order.output.id", "${nodes.order.output.id}"}, {"inputs.s", "${inputs.s}"},
		{"steps.order.outputs.id", "${nodes.order.output.id}"}, {"needs.order.outputs.id", "${nodes.order.output.id}"},
		{"context.order_id", "${inputs.order_id}"}, {"order.output.id", "${nodes.order.output.id}"},
		{"nodes.order.output.total > 5", "${nodes.order.output.total > 5}"},
		{"$(params.s)", "${inputs.s}"}, {"#{inputs.s}", "${inputs.s}"}, {"{{{ inputs.s }}}", "${inputs.s}"},
		{"{{inputs.parameters.s}}", "${inputs.s}"},
		{"$.nodes.order.output.items[*].sku", "${nodes.order.output.items.map(x, x.sku)}"}, {"reports/$s.md", "reports/${inputs.s}.md"},
	} {
		got, left := repaired(t, foreignPlan(row[0]))
		if got != row[1] || len(errorsIn(left)) > 0 {
			t.Errorf("%s becomes %s, want %s (%+v)", row[0], got, row[1], left)
		}
		if _, first := check(foreignPlan(row[0])); len(first) == 0 {
			t.Errorf("%s passes in silence", row[0])
		}
	}
}

// TestTextsThatLookAlikeStay: what names nothing of the plan is neither refused nor rewritten.
func TestTextsThatLookAlikeStay(t *testing.T) {
	for text, silent := range map[string]bool{
		"It costs $5 or $5.00": true, "echo $HOME && cd ${'$'}PATH": true, "a { color: red } .b {margin:0}": true,
		"Hello {{first_name}}": false, `{"a": {"b": 1}}`: true,
		`^\d{2,3}[a-z]{4}$`: true, "order.json": true, "see order.md": true, "inputs": true, "nodes": true, "/orders/{id}": true,
		"/orders/{order_id}": false, "{{ customer.name }}": false,
		"100%": true, "50% (of all)s": true, "a = b": true, "=": true, "if (a) { b() }": true, "f(x)": true,
		"for s in *; do echo $s=1; done\necho $s": false, "{% raw %}": false,
		"a.b.c": true, "order": true, "www.example.com": true, "user@example.com": true, "$${inputs.s}": true,
		"C:\\order\\output": true, "#fff {a}": true, "{0} of {1}": true,
		"The nodes.order thing is inputs.s": true, "x => y": true, "s": true, "1 < 2": true, "not yet": true, "text in list": true,
		"\"quoted\"": true, "`code`": true, "[*] item": true,
	} {
		got, found := repaired(t, foreignPlan(text))
		if got != text || len(errorsIn(found)) > 0 {
			t.Errorf("%q becomes %q (%+v)", text, got, found)
		}
		if silent != (len(found) == 0) {
			t.Errorf("%q: silent %v, got %+v", text, silent, found)
		}
	}
}

// TestNameOfTheItemAsAText: an argument that is the name of the item may be meant as it is. It stands for the item only where nothing else reads
// the item and the argument is declared as what the item is.
func TestNameOfTheItemAsAText(t *testing.T) {
	w := world{"r": {"f": Tool{Hash: "f", InputSchema: json.RawMessage(`{"type":"object","properties":{"role":{"type":"string"},"text":{"type":"string"},
		"n":{"type":"integer"},"kind":{"type":"string","enum":["item","list"]},"any":{}}}`)}}}
	for _, row := range [][3]string{ // the list, the inputs, and what they become; empty: they stay
		{`["a"]`, `{role: item}`, `{"role":"${item}"}`},
		{`{items: ["a"], as: user}`, `{role: user, text: x}`, `{"role":"${user}","text":"x"}`},
		{`{items: ["a"], as: user}`, `{role: user, text: "${user}"}`, ""},
		{`{items: [{name: a}], as: user}`, `{role: user, text: "Hi ${user.name}"}`, ""},
		{`{items: [{name: a}], as: user}`, `{role: user}`, ""},
		{`["a"]`, `{text: item, role: "${index}: ${item}"}`, ""},
		{`["item"]`, `{kind: item}`, ""},
		{`["a"]`, `{any: item}`, ""},
		{`["a"]`, `{more: {x: item}}`, ""},
		{`"${inputs.unknown}"`, `{role: item}`, ""},
	} {
		plan := []byte("plan: v1\ninputs: {unknown: null}\nnodes:\n  - {id: a, for_each: " + row[0] + ", capability: r.f, inputs: " + row[1] + "}")
		p, says, warns := mended(t, plan, w)
		if p == nil {
			t.Errorf("%s: %s", row[1], says)
			continue
		}
		if row[2] == "" {
			row[2] = string(readInputs(t, plan))
		}
		if got := string(p.Definition.Plan.Nodes[0].Inputs); got != row[2] || !strings.Contains(warns, "sent as it is") {
			t.Errorf("%s becomes %s, want %s (%s)", row[1], got, row[2], warns)
		}
	}
}

// readInputs are the inputs of the first node as they are written.
func readInputs(t *testing.T, plan []byte) schemas.Object {
	t.Helper()
	p, found := Parse(t.Context(), plan, Limits{})
	if p == nil {
		t.Fatal(found)
	}
	return p.Nodes[0].Inputs
}

// TestManyPlacesInOneText: a text full of names is looked through once, and not each of its places is a finding.
func TestManyPlacesInOneText(t *testing.T) {
	var plan strings.Builder
	plan.WriteString("plan: v1\nnodes:\n")
	for i := range 300 {
		fmt.Fprintf(&plan, "  - {id: n_%d, set: %d}\n", i, i)
	}
	plan.WriteString("  - {id: a, set: \"" + strings.Repeat("$n5 $b $c ", 1000) + "\"}\n")
	_, found := check([]byte(plan.String()))
	if len(found) == 0 || len(found) > 101 {
		t.Errorf("%d findings", len(found))
	}
	for _, other := range []string{"{x} ", "${'$'}x ", "$x.md ", "{{x}} "} { // what is not reported, or names nothing, hides nothing
		text := strings.Repeat(other, 2*mostPlaces) + "${inputs.s} {{ nodes.order.output.id }}"
		if _, found := check(foreignPlan(text)); !strings.Contains(fmt.Sprint(found), "write ${nodes.order.output.id}") {
			t.Errorf("after many %q: %+v", other, found)
		}
	}
	if _, found := check(foreignPlan(strings.Repeat("{x} $x.md ", 2*mostPlaces) + "{{ nodes.order.output.id }}")); len(errorsIn(found)) == 0 {
		t.Errorf("after places that are not reported: %+v", found)
	}
}

// TestRenamedIDsInTexts: a bad id gets another one in expressions; what is said about it in the text around them stays.
func TestRenamedIDsInTexts(t *testing.T) {
	for text, want := range map[string]string{
		"${nodes.Fetch.output.x}":                                         "${nodes.fetch.output.x}",
		"See nodes.Fetch, which gave ${nodes.Fetch.output.x}":             "See nodes.Fetch, which gave ${nodes.fetch.output.x}",
		"${nodes['Fetch'].output.x} of nodes['Fetch'] or $${nodes.Fetch}": "${nodes.fetch.output.x} of nodes['Fetch'] or $${nodes.Fetch}",
		"a ${nodes.Fetch.output.x} b ${nodes.Fetch.output.y} c":           "a ${nodes.fetch.output.x} b ${nodes.fetch.output.y} c",
	} {
		plan := fmt.Appendf(nil, `{"plan": "v1", "nodes": [{"id": "Fetch", "set": {"x": 1, "y": 2}}, {"id": "b", "set": %q}]}`, text)
		if got, left := repaired(t, plan); got != want {
			t.Errorf("%s becomes %s, want %s (%+v)", text, got, want, left)
		}
	}
	plan := `{"plan": "v1", "nodes": [{"id": "Fetch", "set": {"x": true}}, {"id": "b", "when": "nodes.Fetch.output.x", "set": 1}]}`
	if p, says, _ := mended(t, []byte(plan), sampleWorld()); p == nil || p.Definition.Plan.Nodes[1].When != "${nodes.fetch.output.x}" {
		t.Errorf("the condition: %s", says)
	}
}
