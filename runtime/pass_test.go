package runtime

import (
	"strings"
	"testing"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// tooLargeToRead makes a text of 500,000 bytes, and a list of three of them that no expression may read. What is in its any
// is known only when it runs.
const tooLargeToRead = `{"id":"text","set":"${lists.range(10000).map(i, 'abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmn').join()}"},
	{"id":"list","set":{"all":["${nodes.text.output}","${nodes.text.output}","${nodes.text.output}"],"n":7,"any":"${dyn({'a': true})}"}},`

// A path alone passes on what is too large for an expression, and takes a part of it; the error of an expression names the way out.
func TestLargeValuesArePassedOn(t *testing.T) {
	for _, tt := range []struct{ node, output, field, message, hint string }{
		{`"set":"${nodes.list.output.all[1]}"`, `"abcdefghij`, "", "", ""},
		{`"capability":"r.read","inputs":{"give":"${nodes.list.output.all}"}`, `["abcdefghij`, "", "", ""},
		{`"set":"${nodes.list.output}"`, `{"all":["abcd`, "", "", ""},
		{`"set":"${nodes.list.output.n}"`, `7`, "", "", ""},
		{`"set":"${size(nodes.list.output.all)}"`, "", "/nodes/2/set", `the output of node "list" has 1500041 bytes (limit 1048576 for what an expression reads, limits.max_output_bytes)`, "nodes.list.output"},
		{`"set":"${nodes.list.text} !"`, "", "/nodes/2/set", "limits.max_output_bytes", "path alone"},
		{`"when":"${nodes.list.output.any.a}","set":1`, "", "/nodes/2/when", "limits.max_output_bytes", "path alone"},
		{`"for_each":"${nodes.list.output.all}","set":1`, "", "/nodes/2/for_each", "limits.max_output_bytes", "path alone"},
		{`"set":"${nodes.list.output.any.some}"`, "", "/nodes/2/set", "has no key \"some\"", "get_node_output"},
		{`"set":"${nodes.text.output + nodes.text.output + nodes.text.output}"`, "", "/nodes/2/set", "more than 1048576 bytes (limits.max_output_bytes)", "path alone"},
	} {
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			p := run(w, s)
			defer p.stop()
			e := p.rest(t, p.submit(t, `{"plan":"v1","nodes":[`+tooLargeToRead+`{"id":"x",`+tt.node+`}],"output":"${nodes.x.output}"}`))
			if tt.output != "" {
				raw, err := p.Executions.NodeOutput(t.Context(), e.ExecutionID, journal.OutputQuery{Node: "x", MaxBytes: 20})
				if err != nil || e.Status != schemas.StatusSucceeded || !strings.HasPrefix(string(raw.Output)+raw.Text, tt.output) {
					t.Errorf("%s: %s %v, %+v %v", tt.node, e.Status, e.Error, raw, err)
				}
				return
			}
			err := e.Nodes[len(e.Nodes)-1].Error
			if err == nil || err.Field != tt.field || !strings.Contains(err.Message, tt.message) || !strings.Contains(err.Hint, tt.hint) {
				t.Errorf("%s: %s, got %+v", tt.node, e.Status, err)
			}
		})
	}
}
