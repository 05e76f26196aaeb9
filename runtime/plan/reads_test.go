package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// A name that nothing has is rewritten where it evidently is one misspelt; a name that is merely near, such as a twin, is only named.
func TestNamesThatAreNearAreNotTaken(t *testing.T) {
	for read, want := range map[string]string{ // want is the fix; empty: there is none
		"nodes.step3.output":         "",
		"nodes.step.output":          "",
		"nodes.stepp1.output":        "",
		"nodes.order.output":         "${nodes.orders.output}",
		"nodes.fetched.output":       "",
		"nodes.fetch_page.output":    "${nodes.fetch_pages.output}",
		"inputs.var2":                "",
		"inputs.customr":             "${inputs.customer}",
		"inputs.customer_name":       "",
		"nodes.orders.output.x2":     "",
		"nodes.orders.output.ttl":    "${nodes.orders.output.tt}",
		"nodes.orders.output.totals": "${nodes.orders.output.total}",
		"nodes.orders.output.min_x":  "",
	} {
		_, found := check([]byte(fmt.Sprintf(`{"plan":"v1","inputs":{"var1":1,"customer":2},"nodes":[{"id":"step1","set":1},{"id":"step2","set":1},{"id":"fetch_pages","set":1},{"id":"unfetch_page","set":1},
			{"id":"orders","set":{"x1":1,"tt":2,"total":3,"max_x":4}},{"id":"out","set":"${%s}"}]}`, read)))
		if len(found) != 1 {
			t.Fatalf("%s: %+v", read, found)
		}
		fix := ""
		for _, op := range found[0].Fix {
			fix += strings.Trim(string(op.Value), `"`)
		}
		if fix != want {
			t.Errorf("%s: the fix is %q, want %q (%s)", read, fix, want, found[0].Message)
		}
	}
}

// A node that is no object is reported once, and no finding speaks of it by a name.
func TestANodeThatIsNone(t *testing.T) {
	for _, nodes := range []string{`[[{"id":"a","set":1}],{"id":"b","set":"${nodes.a.output}"}]`, `["a",{"id":"b","set":1,"depends_on":["a"]}]`, `[7,{"id":"b","set":"${nodes.node_1_is_none.output}"}]`} {
		_, found := check([]byte(`{"plan":"v1","nodes":` + nodes + `}`))
		if len(found) == 0 {
			t.Errorf("%s is valid", nodes)
		}
		for _, f := range found {
			if strings.Contains(f.Message, "node_0_is_none") {
				t.Errorf("%s: %s", nodes, f.Message)
			}
		}
	}
}

// A definition within a plan that is refused, in whatever node it stands, is a finding and nothing more.
func TestRefusedDefinitionsWithinEveryNode(t *testing.T) {
	definitions := []string{
		`{"nodes":[{"id":"x","set":"${1 +}"}]}`, `{"nodes":[]}`, `{"nodes":[{"id":"x","capability":"no.such"}]}`, `{"nodes":[{"id":"x","set":1,"depends_on":["x"]}]}`,
		`{"nodes":[{"id":"x","set":1},{"id":"x","set":2}]}`, `{"nodes":[[]]}`, `7`, `{"inputs":{"a":1},"nodes":[{"id":"x","set":"${inputs.b}"}]}`, `{"nodes":[{"id":"x","workflow":{"definition":{"nodes":[{"id":"y"}]}}}]}`,
	}
	for _, definition := range definitions {
		for _, with := range []string{
			``, `"repeat":{"until":"${index > 1}"}`, `"repeat":{"until":"${index > 1}","collect":"${output.a}","once":true}`, `"for_each":[1,2]`, `"for_each":"${inputs.l}","max_parallel":2,"min_success":1`,
			`"compensate":{"capability":"shop.reserve","inputs":{"id":"x"}}`, `"fallback":[{"value":1}]`, `"on_error":"continue","retry":{"max_attempts":3}`, `"inputs":{"a":1,"c":"${inputs.l}"}`, `"when":"${true}","timeout":"1s"`,
		} {
			node := `{"id":"a","workflow":{"definition":` + definition + `}`
			if with != "" {
				node += "," + with
			}
			_, found := check([]byte(`{"plan":"v1","inputs":{"l":[1]},"limits":{"calls":10},"nodes":[` + node + `},{"id":"b","set":"${nodes.a.output} ${nodes.a.errors}","depends_on":["a"]},
				{"id":"r","capability":"shop.get_order","inputs":{"id":"x"},"trigger_rule":"one_success","cancel_others":true,"depends_on":["a","b"]}],"output":"${nodes.a.output.x}"}`))
			if !slices.ContainsFunc(found, func(f schemas.Finding) bool { return f.Severity == schemas.SeverityError }) {
				t.Errorf("%s with %s is valid", definition, with)
			}
		}
	}
}
