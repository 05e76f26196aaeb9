package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// nestedLists is a plan with a node for each of a list, which runs a plan with a node for each of a list, and so on.
func nestedLists(leaf string, lists ...string) string {
	plan := fmt.Sprintf(`{"plan":"v1","nodes":[%s]}`, leaf)
	for i := len(lists) - 1; i >= 0; i-- {
		plan = fmt.Sprintf(`{"plan":"v1","nodes":[{"id":"n","for_each":%q,"workflow":{"definition":%s}}]}`, lists[i], plan)
	}
	return plan
}

// Explain multiplies lists, workflows and attempts; a list that is not known is as long as max_items. A plan is refused if it is certain
// that it needs more than a tree may have, and only then.
func TestPlansAreMeasuredBeforeTheyRun(t *testing.T) {
	tree := schemas.Budget{Executions: 100, Calls: 10_000, Items: 1000, Bytes: 200_000}
	long := strings.Repeat("x", 40_000)
	within := func(list, inputs string) string {
		return fmt.Sprintf(`{"plan":"v1","nodes":[{"id":"n","for_each":%q,"workflow":{"definition":{"plan":"v1","inputs":{"a":%q},"nodes":[{"id":"s","set":1}]}}%s}]}`,
			list, long, inputs)
	}
	const (
		ten, unknown = "${lists.range(10)}", "${[1, 2].map(x, x)}"
		set, call    = `{"id":"s","set":1}`, `{"id":"c","capability":"shop.find","inputs":{"order":"x"}}`
	)
	for name, tt := range map[string]struct {
		plan                     string
		executions, calls, items int
		refused                  string // the setting; empty: it is not
	}{
		"no lists":           {nestedLists(call), 0, 3, 0, ""},
		"executions":         {nestedLists(set, ten, ten), 110, 0, 110, "limits.max_tree_executions"},
		"as many as allowed": {nestedLists(set, "${lists.range(100)}"), 100, 0, 100, ""},
		"one too many":       {nestedLists(set, "${ lists.range( 101 ) }"), 101, 0, 101, "limits.max_tree_executions"},
		"three levels":       {nestedLists(call, ten, "${lists.range(5)}", ten), 560, 1500, 560, "limits.max_tree_executions"},
		"not known":          {nestedLists(call, unknown, unknown), 100_010_000, 300_000_000, 100_010_000, ""},
		"no overflow":        {nestedLists(call, unknown, unknown, unknown, unknown), maxCount, maxCount, maxCount, ""},
		"items": {`{"plan":"v1","nodes":[{"id":"s","set":1,"for_each":"${lists.range(1001)}"}]}`, 0, 0, 1001,
			"limits.max_tree_items"},
		"items of several nodes": {`{"plan":"v1","nodes":[{"id":"s","set":1,"for_each":"${lists.range(600)}"},{"id":"t","set":1,"for_each":"${lists.range(600)}"}]}`, 0, 0, 1200, "limits.max_tree_items"},
		"plans":                  {within("${lists.range(4)}", ""), 4, 0, 4, ""},
		"too many plans":         {within("${lists.range(5)}", ""), 5, 0, 5, "limits.max_tree_bytes"},
		"inputs that may change": {within("${lists.range(5)}", `,"inputs":{"a":"${index}"}`), 5, 0, 5, ""},
		"only on a condition":    {`{"plan":"v1","inputs":{"x":true},"nodes":[{"id":"s","set":1,"for_each":"${lists.range(1001)}","when":"${inputs.x}"}]}`, 0, 0, 1001, ""},
	} {
		t.Run(name, func(t *testing.T) {
			parsed, findings := Parse(t.Context(), []byte(tt.plan), Limits{})
			if parsed == nil {
				t.Fatal(findings)
			}
			p, findings := Compile(t.Context(), parsed, sampleWorld(), Limits{Tree: tree})
			if (p == nil) != (tt.refused != "") {
				t.Fatalf("refused: %v, want %q", findings, tt.refused)
			}
			if p == nil {
				f := findings[len(findings)-1]
				if f.Code != codeOverBudget || !strings.Contains(f.Message, tt.refused) || !strings.HasPrefix(f.Path, "/nodes/") {
					t.Errorf("%+v", f)
				}
				p, _ = Compile(t.Context(), parsed, sampleWorld(), Limits{})
			}
			if e := p.Explain(); e.MaxExecutions != tt.executions || e.MaxCalls != tt.calls || e.MaxItems != tt.items {
				t.Errorf("%d executions, %d calls, %d items", e.MaxExecutions, e.MaxCalls, e.MaxItems)
			} else if (e.WorkflowBytes > 0) != (e.MaxExecutions > 0) || strings.Contains(tt.plan, long) &&
				e.WorkflowBytes/len(long) != e.MaxExecutions {
				t.Errorf("%d bytes of plans", e.WorkflowBytes)
			}
		})
	}
}
