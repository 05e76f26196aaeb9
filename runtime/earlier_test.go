package runtime

import (
	"strings"
	"testing"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// The answer to a submission with a key that was used says so, and how to run the plan again.
func TestEarlierExecutionOfAKeySaysSo(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		sub := engine.Submit{IdempotencyKey: "k", Plan: []byte(`{"plan":"v1","nodes":[{"id":"a","capability":"r.read","inputs":{"fail":9}}]}`)}
		first, err := p.Executions.Execute(t.Context(), sub)
		if err != nil || first.Earlier || strings.Contains(first.Hint, "idempotency_key") {
			t.Fatalf("first: %+v %v", first, err)
		}
		p.rest(t, first.ExecutionID)
		again, err := p.Executions.Execute(t.Context(), sub)
		if err != nil || again.ExecutionID != first.ExecutionID || again.Status != schemas.StatusFailed || !again.Earlier ||
			!strings.Contains(again.Hint, "nothing was started now") || !strings.Contains(again.Hint, "rerun_execution") {
			t.Errorf("again: %+v %v", again, err)
		}
		if later, err := p.Executions.Status(t.Context(), first.ExecutionID, "", 0, nil); err != nil || later.Earlier {
			t.Errorf("its status: %+v %v", later, err)
		}
	})
}

// The field of an error in rendered arguments is where the plan has them.
func TestFieldOfAnArgument(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","inputs":{"n":"x"},"nodes":[{"id":"a","set":{"n":"x"}},{"id":"b","capability":"r.read","inputs":{"fail":"${nodes.a.output.?n}"}}]}`)
		if e := p.rest(t, id); len(e.Nodes) != 2 || e.Nodes[1].Error == nil || e.Nodes[1].Error.Field != "/nodes/1/inputs/fail" {
			t.Errorf("%+v", e.Nodes)
		}
	})
}
