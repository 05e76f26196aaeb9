package plan

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// operandPlan reads a shop's order, whose schema world_test.go has, and a list whose items are declared.
func operandPlan(expression string) string {
	quoted, err := json.Marshal("${" + expression + "}")
	if err != nil {
		panic(err)
	}
	return `{"plan": "v1", "inputs": {"n": 3, "s": "x", "l": [1, "a"], "open": null}, "nodes": [
		{"id": "made", "set": {"total": 5, "name": "x", "rows": [{"id": 1, "tag": "a"}], "kind": "a"}},
		{"id": "fell", "capability": "shop.get_order", "inputs": {"id": "A"}, "fallback": [{"value": {"total": "none"}}]},
		{"id": "order", "capability": "shop.get_order", "inputs": {"id": "A"}},
		{"id": "out", "depends_on": ["made", "fell", "order"], "trigger_rule": "all_done", "set": ` + string(quoted) + `}]}`
}

func TestOperandsAreChecked(t *testing.T) {
	for _, tt := range []struct {
		expression, want string
		severity         schemas.Severity
		fixed            string
	}{
		{"nodes.made.output.total + 'x'", "string(a)", schemas.SeverityError, "string(nodes.made.output.total) + 'x'"},
		{"'Total: ' + nodes.order.output.total", "string(a)", schemas.SeverityError, "'Total: ' + string(nodes.order.output.total)"},
		{"nodes.made.output.total + nodes.made.output.rows", "nodes.made.output.total is integer and nodes.made.output.rows is array, which + does not take", schemas.SeverityError, ""},
		{"nodes.order.output.id * 2", "nodes.order.output.id is string", schemas.SeverityError, ""},
		{"nodes.order.output.id > 100", "which > does not take", schemas.SeverityError, ""},
		{"inputs.s - inputs.n", "inputs.s is string and inputs.n is integer", schemas.SeverityError, ""},
		{"nodes.order.output.id == 17", "they are never equal", schemas.SeverityWarning, ""},
		{"'a' in nodes.made.output.total", "which in does not take", schemas.SeverityError, ""},
		{"nodes.order.output.items.map(i, i.count + 'x')", "nodes.order.output.items[0].count is integer", schemas.SeverityError, ""},
		{"nodes.order.output.items.map(i, i.skuu)", `"skuu"`, schemas.SeverityWarning, ""},
		{"nodes.order.output.items.slice(0, 1)[0].skuu", `"skuu"`, schemas.SeverityWarning, ""},
		{"nodes.order.output.items.distinct().map(i, i.skuu)", `"skuu"`, schemas.SeverityWarning, ""},
		{"nodes.order.output.items.sortBy(i, i.sku).map(i, i.skuu)", `"skuu"`, schemas.SeverityWarning, ""},
		{"nodes.order.output.items.sortBy(i, i.sku)[0].count + 'x'", "is integer", schemas.SeverityError, ""},
		{"nodes.order.output.items.uniqueBy(i, i.sku).map(i, i.skuu)", `"skuu"`, schemas.SeverityWarning, ""},
		{"nodes.order.output.items.filter(i, i.skuu == 'a')", `"skuu"`, schemas.SeverityWarning, ""},
		{"nodes.order.output.items.filter(i, i.count == 'a')[0].sku", "never equal", schemas.SeverityWarning, ""},
		{"nodes.order.output.items.groupBy(i, i.skuu)", `"skuu"`, schemas.SeverityWarning, ""},
		{"[[1]].map(a, nodes.order.output.items).flatten().map(i, i.skuu)", `"skuu"`, schemas.SeverityWarning, ""},
		{"nodes.order.output.items.filter(i, i.count > 1)[0].skuu", `"skuu"`, schemas.SeverityWarning, ""},
		{"nodes.order.output.items.filter(i, i.count > 1).map(i, i.count + 'x')", "is integer", schemas.SeverityError, ""},
		{"size(nodes.made.output.total)", "nodes.made.output.total is integer, which size does not take; it takes array or object or string", schemas.SeverityError, ""},
		{"nodes.order.output.id.sum()", "nodes.order.output.id is string, which sum does not take; it takes array", schemas.SeverityError, ""},
		{"strings.upper(nodes.order.output.total)", "is integer, which strings.upper does not take; it takes string", schemas.SeverityError, ""},
		{"'a,b'.split(nodes.order.output.total)", "is integer, which split does not take", schemas.SeverityError, ""},
		{"nodes.order.output.id.map(x, x)", "is string, which a macro such as map does not take", schemas.SeverityError, ""},
		{"nodes.order.output.total.exists(x, x == 1) || true", "is integer, which a macro", schemas.SeverityError, ""},
		{"nodes.made.output.total.reverse()", "is integer, which reverse does not take", schemas.SeverityError, ""},
		{"nodes.order.output.items.map(i, i.count.startsWith('a'))", "is integer, which startsWith does not take", schemas.SeverityError, ""},
		{"nodes.order.output.id.getHours()", "it takes a time or a duration: write timestamp", schemas.SeverityError, ""},
		{"cel.bind(n, nodes.made.output.total, size(n))", "nodes.made.output.total is integer", schemas.SeverityError, ""},
		{"nodes.order.output.total > '5'", "without quotes", schemas.SeverityError, "nodes.order.output.total > 5"},
		{"nodes.order.output.total == ' 1.5'", "without quotes", schemas.SeverityError, "nodes.order.output.total == 1.5"},
		{"nodes.order.output.paid != 'True'", "without quotes", schemas.SeverityError, "nodes.order.output.paid != true"},
		{"nodes.order.output.paid == 'yes'", "never equal", schemas.SeverityWarning, ""},
		{"nodes.order.output.total > 'many'", "does not take", schemas.SeverityError, ""},
		{"nodes.order.status == 'success'", "is never \"success\"", schemas.SeverityError, "nodes.order.status == 'succeeded'"},
		{`nodes.order.status != "SUCCEEDED" && nodes.order.output.id != "success"`, "is never \"SUCCEEDED\"", schemas.SeverityError, `nodes.order.status != "succeeded" && nodes.order.output.id != "success"`},
		{"nodes.order.status in ['ok', 'skipped', 'error']", "is never \"ok\"", schemas.SeverityError, "nodes.order.status in ['succeeded', 'skipped', 'failed']"},
		{"'canceled' == nodes.order.status", "is never \"canceled\"", schemas.SeverityError, "'cancelled' == nodes.order.status"},
		{"nodes.order.status == 'gone'", "nodes.order.status is never \"gone\": it is one of succeeded, failed", schemas.SeverityError, ""},
	} {
		_, found := check([]byte(operandPlan(tt.expression)))
		if len(found) != 1 || found[0].Severity != tt.severity || !strings.Contains(found[0].Message, tt.want) || found[0].Path != "/nodes/3/set" {
			t.Errorf("%s: got %+v, want one %s, %q", tt.expression, found, tt.severity, tt.want)
			continue
		}
		if tt.fixed == "" {
			if len(found[0].Fix) > 0 {
				t.Errorf("%s: it has a fix: %+v", tt.expression, found[0].Fix)
			}
			continue
		}
		if len(found[0].Fix) != 1 {
			t.Errorf("%s: fix %+v", tt.expression, found[0].Fix)
			continue
		}
		var got string
		if err := json.Unmarshal(found[0].Fix[0].Value, &got); err != nil || got != "${"+tt.fixed+"}" {
			t.Errorf("%s: fixed to %q, want %q", tt.expression, got, tt.fixed)
		}
	}
}

// What may go together is not reported.
func TestOperandsThatMayFitAreNotReported(t *testing.T) {
	for _, expression := range []string{
		"nodes.made.output.total + 0.5", "nodes.made.output.name + 'x'", "nodes.order.output.total > 2.5", "nodes.order.output.id == 'A'", "nodes.order.output.id == null",
		"nodes.fell.output.total + 'x'", "nodes.fell.output.total == 'none'", "inputs.l[0] + 'x'", "inputs.l.map(x, string(x) + 'y')", "inputs.open + 1", "inputs.open == 'x'",
		"nodes.order.status == 'succeeded' && nodes.order.status != 'skipped'", "nodes.order.status in ['failed', 'cancelled']", "nodes.order.text == 'success'",
		"nodes.order.status == inputs.s", "string(nodes.made.output.total) + 'x'", "nodes.made.output.rows.map(r, has(r.gone) ? r.gone : 0)",
		"nodes.made.output.rows.all(r, has(r.gone)) ? nodes.made.output.rows.map(r, r.gone) : []", "nodes.made.output.rows + [1]", "nodes.order.output.items.map(i, i.sku).join(',')",
		"nodes.made.output.map(k, k + 'x')", "1 in nodes.made.output.rows.map(r, r.id)", "'total' in nodes.made.output", "execution.id + 'x'",
		"timestamp('2030-01-31') > timestamp('2030-01-01')", "duration('1d') == duration('24h')", "cel.bind(n, nodes.made.output.total, n + 1)",
		"nodes.made.output.rows.reduce(t, r, 0, t + r.id)", "nodes.made.output.rows.sortBy(r, r.id)[0].tag + 'x'", "nodes.made.status.upperAscii() == 'SUCCEEDED'",
		"nodes.order.output.items.filter(i, has(i.gone)).map(i, i.gone)", "[1, 2].filter(x, x > 1)[0] + 1",
		"size(nodes.order.output.id) + nodes.order.output.items.size() + size(nodes.made.output)", "size(inputs.open)", "inputs.open.sum()", "size(inputs.l[0])",
		"string(nodes.order.output.total)", "timestamp(inputs.s).getHours()", "nodes.fell.output.total.contains('n')", "nodes.order.output.?id.orValue('').contains('x')", "nodes.made.output.rows.sum()",
		"nodes.order.output.id.split(',').map(x, x)", "inputs.s.matches('x') ? double(inputs.n) : double(inputs.s)", "nodes.made.output.all(k, k != '')", "math.ceil(nodes.made.output.total)",
		"nodes.order.output.?id.orValue('') + 'x'", "nodes.made.output.rows.transformList(i, r, i + r.id)", "inputs.n == 3.0",
	} {
		if _, found := check([]byte(operandPlan(expression))); len(found) > 0 {
			t.Errorf("%s: %+v", expression, found)
		}
	}
}
