package plan

import (
	"fmt"
	"strings"
	"testing"
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
