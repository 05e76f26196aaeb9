package runtime

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// One replica loses its lease while its calls are in flight, whether it learns of that or not; another one takes over after 15 s. At 40 s
// the calls end. Their results count for units whose outcome is unknown, and for nothing else.
func TestLateResultsOfAReplicaThatLostItsLease(t *testing.T) {
	tests := []struct {
		name, plan     string
		between        func(t *testing.T, p *process, id string) // at 30 s
		status         schemas.Status
		nodes, outputs string // outputs: of the first node
		once           int    // calls
		used, unused   int64
	}{
		{
			name:   "held: the result is taken",
			plan:   `{"id":"n","capability":"r.once","inputs":{"take":"40s"}},{"id":"m","capability":"r.once","depends_on":["n"]}`,
			status: schemas.StatusSucceeded, nodes: "n=succeeded m=succeeded", outputs: `{"id":"n"}`, once: 2, used: 1,
		},
		{
			name:   "held: it failed",
			plan:   `{"id":"n","capability":"r.once","inputs":{"take":"40s","fail":1}}`,
			status: schemas.StatusFailed, nodes: "n=failed", once: 1, used: 1,
		},
		{
			name:   "held: it failed, and a fallback serves",
			plan:   `{"id":"n","capability":"r.once","inputs":{"take":"40s","fail":1},"fallback":[{"value":7}]}`,
			status: schemas.StatusSucceeded, nodes: "n=succeeded", outputs: `7`, once: 1, used: 1,
		},
		{
			name:   "held: it failed, on_error suspend",
			plan:   `{"id":"n","capability":"r.once","inputs":{"take":"40s","fail":1},"on_error":"suspend"}`,
			status: schemas.StatusSuspended, nodes: "n=held", once: 1, used: 1,
		},
		{
			name:   "held: it was refused, and is called again",
			plan:   `{"id":"n","capability":"r.once","inputs":{"take":"40s","fail":1,"code":"rate_limited"},"retry":{"max_attempts":1}}`,
			status: schemas.StatusSucceeded, nodes: "n=succeeded", outputs: `{"id":"n"}`, once: 2, used: 1,
		},
		{
			name:   "held items: each takes its own result",
			plan:   `{"id":"n","for_each":"${[1,2,3]}","capability":"r.once","inputs":{"id":"i${index}","take":"4${index}s"}}`,
			status: schemas.StatusSucceeded, nodes: "n=succeeded", outputs: `[{"id":"i0"},{"id":"i1"},{"id":"i2"}]`, once: 3, used: 3,
		},
		{
			name:   "held, and the replica that makes the call looks before it ends: the result is taken",
			plan:   `{"id":"n","capability":"r.once","inputs":{"take":"40s"}},{"id":"w","wait":"30s"}`,
			status: schemas.StatusSucceeded, nodes: "n=succeeded w=succeeded", outputs: `{"id":"n"}`, once: 1, used: 1,
		},
		{
			name:   "two are held: one result is not enough",
			plan:   `{"id":"n","capability":"r.once","inputs":{"take":"40s"}},{"id":"m","capability":"r.once","inputs":{"take":"2h"},"timeout":"3h"}`,
			status: schemas.StatusSuspended, nodes: "n=succeeded m=held", outputs: `{"id":"n"}`, once: 2, used: 1,
		},
		{
			name:   "being verified: the result is taken",
			plan:   `{"id":"n","capability":"r.once","inputs":{"take":"40s"},"on_unknown":{"verify":{"capability":"r.read","inputs":{"take":"50s"},"happened":"${false}"}}}`,
			status: schemas.StatusSucceeded, nodes: "n=succeeded", outputs: `{"id":"n"}`, once: 1, used: 1,
		},
		{
			name: "denied by a verification, and not called again yet: the result is taken",
			plan: `{"id":"n","capability":"r.once","inputs":{"take":"40s"},"retry":{"max_attempts":2,"initial_interval":"1h","max_interval":"2h"},
				"on_unknown":{"verify":{"capability":"r.read","happened":"${false}"}}}`,
			status: schemas.StatusSucceeded, nodes: "n=succeeded", outputs: `{"id":"n"}`, once: 1, used: 1,
		},
		{
			name: "denied by a verification while it may still run: the result is taken",
			plan: `{"id":"n","capability":"r.once","inputs":{"take":"40s"},"retry":{"max_attempts":2},
				"on_unknown":{"verify":{"capability":"r.read","happened":"${false}"}}}`,
			status: schemas.StatusSucceeded, nodes: "n=succeeded", outputs: `{"id":"n"}`, once: 1, used: 1,
		},
		{
			name: "patched: the result is ignored",
			plan: `{"id":"n","capability":"r.once","inputs":{"take":"40s"}},{"id":"w","wait":"5m","depends_on":["n"]}`,
			between: func(t *testing.T, p *process, id string) {
				patch := &schemas.Patch{Nodes: map[string]schemas.NodePatch{"n": {Output: schemas.Value(`"patched"`)}}}
				if _, err := p.Executions.Resume(t.Context(), id, patch); err != nil {
					t.Error(err)
				}
			},
			status: schemas.StatusSucceeded, nodes: "n=succeeded w=succeeded", outputs: `"patched"`, once: 1, unused: 1,
		},
		{
			name:   "failed: the result is ignored",
			plan:   `{"id":"n","capability":"r.once","inputs":{"take":"40s"},"on_unknown":"fail","on_error":"continue"},{"id":"w","wait":"5m"}`,
			status: schemas.StatusSucceeded, nodes: "n=failed w=succeeded", once: 1, unused: 1,
		},
		{
			name: "cancelled: the result is ignored",
			plan: `{"id":"n","capability":"r.once","inputs":{"take":"40s"}}`,
			between: func(t *testing.T, p *process, id string) {
				if _, err := p.Executions.Cancel(t.Context(), id, engine.CancelOptions{}); err != nil {
					t.Error(err)
				}
			},
			status: schemas.StatusCancelled, nodes: "n=cancelled", once: 1, unused: 1,
		},
		{
			name: "a compensation: the result is ignored",
			plan: `{"id":"n","capability":"r.read","compensate":{"capability":"r.once","inputs":{"id":"undo","take":"40s"}}},
				{"id":"f","capability":"r.read","inputs":{"fail":9},"depends_on":["n"],"on_error":"compensate"}`,
			status: schemas.StatusFailed, nodes: "n=succeeded f=failed", once: 1, unused: 1,
		},
	}
	for _, tt := range tests {
		for mode, until := range map[string]time.Duration{"it learns that": 20 * time.Second, "it does not know": time.Minute} {
			t.Run(tt.name+", "+mode, func(t *testing.T) {
				inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
					first := run(w, withoutLeases(s, time.Now().Add(until)))
					defer first.stop()
					id := first.submit(t, `{"plan":"v1","nodes":[`+tt.plan+`]}`)
					second := run(w, s)
					defer second.stop()
					time.Sleep(30 * time.Second)
					if tt.between != nil {
						tt.between(t, second, id)
					}
					time.Sleep(30 * time.Minute)
					e := second.rest(t, id)
					want(t, e, tt.status, "", tt.nodes)
					if got := string(e.Nodes[0].Output); tt.outputs != "" && got != tt.outputs {
						t.Errorf("output %s, want %s", got, tt.outputs)
					}
					if n := w.calls("once", ""); n != tt.once {
						t.Errorf("%d calls: %v", n, w.ledger)
					}
					if c := &first.Executions.Counters; mode == "it learns that" && (c.LateUsed.Load() != tt.used || c.LateUnused.Load() != tt.unused) {
						t.Errorf("late results: %d used, %d unused", c.LateUsed.Load(), c.LateUnused.Load())
					}
					synctest.Wait()
				})
			})
		}
	}
}
