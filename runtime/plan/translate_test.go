package plan

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// foreignPlan holds one expression, as a model may write it, in a node that comes after three others.
func foreignPlan(text string) []byte {
	value, _ := json.Marshal(text)
	return fmt.Appendf(nil, `{"plan": "v1", "inputs": {"list": [1, 2], "s": "Abc", "n": null, "order_id": "A-17", "user": {"name": "Ann"}}, "nodes": [
		{"id": "order", "capability": "shop.get_order", "inputs": {"id": "x"}},
		{"id": "open_node", "capability": "mail.send", "inputs": {"to": "x"}},
		{"id": "wrapped", "set": {"result": {"total": 5}}},
		{"id": "ok", "review": "Sure?", "depends_on": ["order"]},
		{"id": "many", "set": "${item}", "for_each": "${inputs.list}"},
		{"id": "b", "set": %s, "depends_on": ["order"]}]}`, value)
}

// repaired applies fixes until none is left, and gives the text that stands in node b.
func repaired(t *testing.T, plan []byte) (string, []schemas.Finding) {
	t.Helper()
	for range 5 {
		_, found := check(plan)
		fixes := 0
		for _, f := range found {
			fixes += len(f.Fix)
		}
		if fixes == 0 {
			var p struct{ Nodes []struct{ Set any } }
			if err := json.Unmarshal(plan, &p); err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(p.Nodes[len(p.Nodes)-1].Set), found
		}
		plan = applyFixes(t, plan, found)
	}
	t.Fatalf("fixes without an end: %s", plan)
	return "", nil
}

// TestForeignExpressionsAreRepaired: what one rewrite can mend is mended, and what it cannot has a sentence and stays.
func TestForeignExpressionsAreRepaired(t *testing.T) {
	for _, row := range [][2]string{
		// The run itself, and other members of a node.
		{"$$.Execution.Id", "${execution.id}"}, {"${$$.Execution.Input.user.name}", "${inputs.user.name}"}, {"{{ dag_run.run_id }}", "${execution.id}"},
		{"${$states.context.Execution.StartTime}", "${execution.created_at}"}, {"run {{ $execution.id }}", "run ${execution.id}"},
		{"${$$.Task.Token}", "${$$.Task.Token}"}, {"${$$.Map.Item.Value}", "${$$.Map.Item.Value}"}, {"${each.value}", "${each.value}"},
		{"${nodes.many.failures[0].code}", "${nodes.many.errors[0].code}"}, {"${nodes.order.failures}", "${nodes.order.failures}"},

		// Words of other languages.
		{"${len(inputs.list)}", "${size(inputs.list)}"}, {"${JSON.stringify(inputs.list)}", "${json.encode(inputs.list)}"},
		{"${inputs.s.toLowerCase()}", "${strings.lower(inputs.s)}"},
		{"${inputs.list.includes(1)}", "${1 in inputs.list}"}, {"${inputs.n ?? 1}", "${inputs.n != null ? inputs.n : 1}"},
		{"${size(inputs.list) > 1 and true}", "${size(inputs.list) > 1 && true}"},
		{"${inputs.n is null}", "${inputs.n == null}"}, {"${inputs.s === 'Abc'}", "${inputs.s == 'Abc'}"},
		{"${inputs.list.length}", "${size(inputs.list)}"},
		{"${inputs.list.map(x => x + 1)}", "${inputs.list.map(x, x + 1)}"}, {"${True}", "${true}"},
		{"${`Hi ${inputs.s}`}", "Hi ${inputs.s}"}, {"${{ inputs.s }}", "${inputs.s}"},
		{"a ${steps.order.outputs.id} b ${len(inputs.s)}", "a ${nodes.order.output.id} b ${size(inputs.s)}"},
		{"${nodes.order.output.items.length}", "${size(nodes.order.output.items)}"},
		{"${nodes.order.output.items[-1].sku}", "${nodes.order.output.items[size(nodes.order.output.items) - 1].sku}"},

		// References.
		{"${order.output.id}", "${nodes.order.output.id}"}, {"${steps.order.outputs.id}", "${nodes.order.output.id}"},
		{"${needs.order.outputs.id}", "${nodes.order.output.id}"},
		{"${tasks.order.output.id}", "${nodes.order.output.id}"}, {"${nodes.order.id}", "${nodes.order.output.id}"},
		{"${nodes.order.result.id}", "${nodes.order.output.id}"},
		{"${nodes.order.output.structuredContent.id}", "${nodes.order.output.id}"}, {"${nodes.order.data}", "${nodes.order.output}"},
		{"${nodes.Order.output.id}", "${nodes.order.output.id}"},
		{"${nodes.openNode.output.id}", "${nodes.open_node.output.id}"},
		{"${nodes.open-node.output.id}", "${nodes.open_node.output.id}"},
		{"${nodes.wrapped.result.total}", "${nodes.wrapped.output.result.total}"},
		{"${nodes.wrapped.output.total}", "${nodes.wrapped.output.result.total}"},
		{"${nodes.wrapped.output.result.total}", "${nodes.wrapped.output.result.total}"},
		{"${nodes.open_node.outputs.id}", "${nodes.open_node.output.id}"},
		{"${nodes.open_node.result.id}", "${nodes.open_node.result.id}"},
		{"${nodes.open_node.output.result.id}", "${nodes.open_node.output.result.id}"},
		{"${order_id}", "${inputs.order_id}"}, {"${context.order_id}", "${inputs.order_id}"},
		{"${$.inputs.order_id}", "${inputs.order_id}"}, {"${$.nodes.order.output.id}", "${nodes.order.output.id}"},
		{"${params.order_id}", "${inputs.order_id}"}, {"${$json.id}", "${nodes.order.output.id}"},
		{"${$node['order'].json.id}", "${nodes.order.output.id}"}, {"${vars.order_id + 'x'}", "${inputs.order_id + 'x'}"},
		{"${nodes.order.status == 'success'}", "${nodes.order.status == 'succeeded'}"},
		{"${nodes.ok.output.decision == 'approved'}", "${nodes.ok.output.decision == 'approve'}"},
		{"${nodes.many.output.length}", "${size(nodes.many.output)}"}, {"${env.HOME}", "${env.HOME}"},
		{"${nodes.order.status == 'succeeded'}", "${nodes.order.status == 'succeeded'}"},
		{"${ ${inputs.order_id} + 'x' }", "${inputs.order_id + 'x'}"}, {"{{ $('order').first().json.id }}", "${nodes.order.output.id}"},
		{"={{ $('Order').item.json.id }}", "${nodes.order.output.id}"}, {"@{body('order')?['id']}", "${nodes.order.output.id}"},
		{"@activity('order').output.id", "${nodes.order.output.id}"}, {"${[i['sku'] for i in nodes['order']['output']['items']]}",
			"${nodes.order.output.items.map(i, i['sku'])}"},
		{"${$sum(nodes.order.output.items.count)}", "${nodes.order.output.items.map(x, x.count).sum()}"},
		{"${nodes.order.output.items.group_by(i, i.sku)}", "${nodes.order.output.items.groupBy(i, i.sku)}"},
		{"${inputs.s.index_of('A')}", "${inputs.s.indexOf('A')}"}, {"${order}", "${nodes.order.output}"},
		{"${nodes.order.output.total > '5'}", "${nodes.order.output.total > 5}"}, {"${'true' == nodes.order.output.paid}", "${true == nodes.order.output.paid}"},
		{"${nodes.order.output.total == '1.5'}", "${nodes.order.output.total == 1.5}"}, {"order.json", "order.json"}, {"state.json", "state.json"},

		// What is spelt alike is not what is meant.
		{"${sizee(inputs.list)}", "${sizee(inputs.list)}"}, {"${inputs.list.sort_them()}", "${inputs.list.sort_them()}"},
		{"${inputs.s.toLowerCas()}", "${inputs.s.toLowerCas()}"},
	} {
		got, left := repaired(t, foreignPlan(row[0]))
		if got != row[1] {
			t.Errorf("%s becomes %s, want %s (%+v)", row[0], got, row[1], left)
		}
		if row[0] != row[1] && len(errorsIn(left)) > 0 {
			t.Errorf("%s: repaired and still %+v", row[0], left)
		}
		_, first := check(foreignPlan(row[0]))
		if row[0] != row[1] && len(first) == 0 {
			t.Errorf("%s passes in silence", row[0])
		}
	}
}

// parserWords are CEL's own words for what it cannot read.
var parserWords = []string{
	"token recognition", "extraneous input", "mismatched input", "no viable alternative", "missing '", "<EOF>", "expecting",
	"undeclared", "overload", "Syntax error",
	"reserved identifier", "@in", "_[_]", "dyn)", "%!(", "(MISSING)", "%!s(", "%!d(", "%!v(",
}

// TestNoParserWords: a broken expression has a sentence of ours.
func TestNoParserWords(t *testing.T) {
	broken := []string{
		"1 +", "(1", "1)", "a b", "inputs.s inputs.s", "'a", "\"a", "[1, 2", "{'a': }", "inputs.", "inputs..s", "inputs.list[",
		"inputs.list[]]", "? 1 : 2", "1 ? 2", "1 ? : 2", "@#", "inputs.s @ 1", "a => ",
		"if x then y", "for x in y", "function(x) { return x }", "x = 1; y", "#{a}", "<% a %>", "inputs.s ~= 1", "1 === ",
		"inputs.list.map(x =>", "&& true", "!", "inputs.s!!!", "\\d", "a\\b", "1..2", "1.2.3", "0x", "1e",
		"'a' 'b'", "r'", "not", "and", "in", "inputs.list in", "|", "inputs.s | ", "inputs.s || ",
		"`a", "/a", "${", "}", "{", "{{", "{{ a", "$", "$.", "...", "...a", "=>", "x, y", ";", "a;", "a ? b : c :", "import x", "as",
		"break", "const", "package", "namespace.x", "void", "loop", "while", "{a: 1}", "Msg{a: 1}", ".a", "inputs.s.map(1, 2)",
		"inputs.list.map(1, x)", "has(1)", "has(inputs)", "'\\q'", "'\\u12'", "1u + 'a'", "size()", "size(1, 2, 3)", "-'a'", "!1",
	}
	for _, text := range broken {
		_, found := check(foreignPlan("${" + text + "}"))
		for _, f := range found {
			for _, word := range parserWords {
				if strings.Contains(f.Message, word) {
					t.Errorf("%s: %q is a word of the parser: %s", text, word, f.Message)
				}
			}
			if strings.Contains(f.Message, "%!") || len(f.Message) > 1000 {
				t.Errorf("%s: %s", text, f.Message)
			}
		}
	}
}
