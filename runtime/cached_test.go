package runtime

import (
	"testing"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// What executions keep for their expressions may be dropped at any time, also before it is committed: nothing is different then but what is
// read again.
func TestExpressionsReadWhatIsNotKept(t *testing.T) {
	const source = `{"plan":"v1","inputs":{"n":400,"text":"0123456789012345678901234567890123456789"},"nodes":[
		{"id":"big","set":"${lists.range(inputs.n).map(i, inputs.text + string(i))}"},
		{"id":"long","set":"${nodes.big.output.join('')}"},
		{"id":"slow","capability":"r.read","inputs":{"take":"1s"}},
		{"id":"items","for_each":"${nodes.big.output}","set":{"a":"${item}","i":"${index}","of":"${nodes.big.output.size()}","last":"${nodes.big.output[399]}"}},
		{"id":"early","depends_on":["slow","big"],"trigger_rule":"one_success","for_each":"${nodes.big.output}","set":"${item + string(nodes.long.output.size())}"},
		{"id":"calls","depends_on":["slow","long"],"trigger_rule":"one_success","capability":"r.read","inputs":{"id":"${nodes.long.output}"}},
		{"id":"child","workflow":{"definition":{"plan":"v1","inputs":{"list":[]},"nodes":[
			{"id":"s","set":"${inputs.list.size()}"},{"id":"t","set":"${nodes.s.output + inputs.list.size()}"}]}},"inputs":{"list":"${nodes.items.output}"}}],
		"output":{"items":"${nodes.items.output}","child":"${nodes.child.output.t}","long":"${nodes.long.text.size()}","session":"${session}"}}`
	var want string
	for _, most := range []int64{0, 1, 20_000} {
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			p := run(w, s, func(c *Config) { c.Limits.MaxCached = most })
			defer p.stop()
			e := p.execute(t, source)
			if e.Status != schemas.StatusSucceeded {
				t.Fatalf("with %d bytes it is %s: %v", most, e.Status, e.Error)
			}
			got := string(e.Output)
			if e.OutputRef != nil {
				output, err := p.Executions.NodeOutput(t.Context(), e.ExecutionID, journal.OutputQuery{Node: journal.OutputNode, MaxBytes: 1 << 20})
				if err != nil {
					t.Fatal(err)
				}
				got = string(output.Output) + output.Text
			}
			if want == "" {
				want = got
			}
			if got != want || len(got) < 10_000 {
				t.Errorf("with %d bytes: %.200s, want %.200s", most, got, want)
			}
		})
	}
}
