package plan_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// shop is a catalog of one realm with one tool.
type shop struct{}

func (shop) Realms() []string               { return []string{"shop"} }
func (shop) Tools(string) ([]string, error) { return []string{"get_order"}, nil }

func (shop) Tool(_, name string) (plan.Tool, bool) {
	return plan.Tool{
		InputSchema:  json.RawMessage(`{"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"], "additionalProperties": false}`),
		OutputSchema: json.RawMessage(`{"type": "object", "properties": {"total": {"type": "integer"}}, "additionalProperties": false}`),
		Effect:       schemas.EffectRead,
	}, name == "get_order"
}

// A plan is parsed and compiled against the live tools. Findings name the line, and a fix where there is one.
func ExampleCompile() {
	for _, source := range []string{`
plan: v1
nodes:
  - id: order
    capability: shop.get_oder
    inputs: {id: A-17}
  - id: large
    set: "${nodes.order.output.totl > 100}"
`, `
plan: v1
nodes:
  - {id: order, capability: shop.get_order, inputs: {id: A-17}}
  - {id: large, set: "${nodes.order.output.total > 100}"}
`} {
		parsed, findings := plan.Parse(context.Background(), []byte(source), plan.Limits{})
		if parsed == nil {
			fmt.Println(findings)
			continue
		}
		program, more := plan.Compile(context.Background(), parsed, shop{}, plan.Limits{})
		for _, f := range append(findings, more...) {
			fmt.Printf("%d:%d %s: %s\n", f.Line, f.Column, f.Code, f.Message)
		}
		if program != nil {
			large, _ := program.Index("large")
			fmt.Printf("%s is a %s node and depends on nodes %v\n", program.Nodes[large].ID, program.Nodes[large].Kind, program.Nodes[large].Deps)
		}
	}
	// Output:
	// 5:5 unknown_capability: no capability "get_oder" in realm "shop"; did you mean "get_order"?
	// large is a set node and depends on nodes [0]
}
