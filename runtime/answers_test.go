package runtime

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// withAnswer is a world with one tool, which gives every call the same answer.
func withAnswer(w *world, effect schemas.Effect, output, text string) *scripted {
	return &scripted{
		world: w, tools: map[string]plan.Tool{"r.t": {Effect: effect, InputSchema: json.RawMessage(`{"type":"object"}`)}},
		answer: map[string]func(context.Context, *call.Call) (*call.Result, error){
			"r.t": func(context.Context, *call.Call) (*call.Result, error) {
				return &call.Result{Output: json.RawMessage(output), Text: text}, nil
			},
		},
	}
}

// An invalid JSON answer fails its node, once: it is not taken for a fault of the store, and the execution is not run again.
func TestInvalidJSONAnswerFailsItsNode(t *testing.T) {
	for _, effect := range []schemas.Effect{schemas.EffectRead, schemas.EffectOnce} {
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			d := withAnswer(w, effect, `{"broken":`, "")
			p := run(w, s, func(c *Config) { c.Realms = d })
			defer p.stop()
			e := p.execute(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.t"}]}`)
			want(t, e, schemas.StatusFailed, "", "a=failed")
			if e.Error.Code != schemas.CodeToolError || d.called("r.t") != 1 {
				t.Errorf("%v after %d calls", e.Error, d.called("r.t"))
			}
		})
	}
}

// A large text beside the output is stored in a record of its own, and read where an expression needs it: in the commit that it came
// with, later, by another process and in a rerun.
func TestLargeTextHasARecordOfItsOwn(t *testing.T) {
	for size, aside := range map[int]bool{engine.MaxInlineOutput: false, engine.MaxInlineOutput + 1: true, 64 << 10: true} {
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			text := strings.Repeat("t", size)
			d := withAnswer(w, schemas.EffectRead, `{"id":7}`, text)
			configured := func(c *Config) { c.Realms = d }
			first := run(w, s, configured)
			source := `{"plan":"v1","nodes":[{"id":"a","capability":"r.t"},{"id":"b","set":"${size(nodes.a.text)}"},{"id":"c","wait":"1h","depends_on":["b"]},
				{"id":"d","set":"${nodes.a.text}","depends_on":["c"]},{"id":"n","set":"${nodes.a.output.id}"}],"output":["${nodes.b.output}","${size(nodes.d.output)}","${nodes.n.output}"]}`
			id := first.submit(t, source)
			first.stop()
			p := run(w, s, configured)
			defer p.stop()
			e := p.rest(t, id)
			output := fmt.Sprintf("[%d,%d,7]", size, size)
			want(t, e, schemas.StatusSucceeded, output, "")
			events, err := p.Executions.Events(t.Context(), id, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, ev := range events.Events {
				if ev.Node == "a" && ev.Type == schemas.EventNodeSucceeded && (ev.Text == "") != aside || len(ev.Text) > engine.MaxInlineOutput {
					t.Errorf("%d bytes of text, in the log %d and %+v", size, len(ev.Text), ev.TextRef)
				}
			}
			again, err := p.Executions.Rerun(t.Context(), id, "b")
			if err != nil {
				t.Fatal(err)
			}
			want(t, p.rest(t, again.ExecutionID), schemas.StatusSucceeded, output, "")
			if d.called("r.t") != 1 {
				t.Errorf("%d calls", d.called("r.t"))
			}
		})
	}
}
