package plan

import (
	"testing"
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
