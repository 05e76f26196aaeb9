package runtime

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/storetest"
)

// race is a plan in which a wins against what the nodes give as b.
func race(nodes, more string) string {
	return `{"plan":"v1","nodes":[{"id":"a","capability":"r.read","inputs":{"take":"5s"}},` + nodes + `,
		{"id":"first","depends_on":["a","b"],"trigger_rule":"one_success","cancel_others":true,"set":"${nodes.a.status}"}` + more + `]}`
}

// Whatever the others do when the first has succeeded, they end with it, and what only they need does too.
func TestTheOthersOfARaceAreCancelled(t *testing.T) {
	for name, tt := range map[string]struct {
		nodes, more, want string
		within            time.Duration
	}{
		"a call": {`{"id":"b","capability":"r.once","inputs":{"mute":true}}`, "", "a=succeeded b=cancelled first=succeeded", 6 * time.Second},
		"a call that cannot be stopped": {`{"id":"b","capability":"r.once","inputs":{"stuck":true}}`, "",
			"a=succeeded b=cancelled first=succeeded", 16 * time.Second},
		"a backoff": {`{"id":"b","capability":"r.read","inputs":{"fail":9,"code":"unavailable"},"retry":{"max_attempts":9,"initial_interval":"1h","max_interval":"1h"}}`, "",
			"a=succeeded b=cancelled first=succeeded", 6 * time.Second},
		"a wait":      {`{"id":"b","wait":"1h"}`, "", "a=succeeded b=cancelled first=succeeded", 6 * time.Second},
		"an event":    {`{"id":"b","wait_for":"ping"}`, "", "a=succeeded b=cancelled first=succeeded", 6 * time.Second},
		"a review":    {`{"id":"b","review":"sure?"}`, "", "a=succeeded b=cancelled first=succeeded", 6 * time.Second},
		"a workflow":  {subplan("b", "", `{"id":"x","capability":"r.read","inputs":{"mute":true}}`), "", "a=succeeded b=cancelled first=succeeded", 6 * time.Second},
		"a list":      {`{"id":"b","for_each":[1,2,3,4,5],"max_parallel":2,"capability":"r.read","inputs":{"mute":true}}`, "", "a=succeeded b=cancelled first=succeeded", 6 * time.Second},
		"a held node": {`{"id":"b","capability":"r.read","inputs":{"fail":9},"on_error":"suspend"}`, "", "a=succeeded b=cancelled first=succeeded", 6 * time.Second},
		"what it needs": {`{"id":"bb","capability":"r.read","inputs":{"mute":true}},{"id":"b","capability":"r.once","depends_on":["bb"]}`, "",
			"a=succeeded bb=cancelled b=cancelled first=succeeded", 6 * time.Second},
		"what another needs": {`{"id":"bb","capability":"r.read","inputs":{"take":"20s"}},{"id":"b","capability":"r.once","depends_on":["bb"]}`,
			`,{"id":"other","depends_on":["bb"],"set":1}`, "a=succeeded bb=succeeded b=cancelled first=succeeded other=succeeded", 21 * time.Second},
		"what needs it": {`{"id":"b","capability":"r.read","inputs":{"mute":true}}`, `,{"id":"after","depends_on":["b"],"set":1}`,
			"a=succeeded b=cancelled first=succeeded after=skipped", 6 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				p := run(w, s)
				defer p.stop()
				id, began := p.submit(t, race(tt.nodes, tt.more)), time.Now()
				for time.Since(began) < tt.within {
					time.Sleep(time.Second)
					synctest.Wait()
				}
				e, err := p.Executions.Status(t.Context(), id, schemas.ViewNodes, 0, nil)
				if err != nil {
					t.Fatal(err)
				}
				want(t, e, schemas.StatusSucceeded, "", tt.want)
				for _, n := range e.Nodes {
					switch {
					case n.Status != schemas.NodeCancelled:
					case name == "a call that cannot be stopped":
						if code(n.Error) != schemas.CodeOutcomeUnknown {
							t.Errorf("what may have happened has the error %v", n.Error)
						}
					case n.Error == nil || name != "a call" && !strings.Contains(n.Error.Message, `"first" has started`):
						t.Errorf("%s does not say why: %v", n.ID, n.Error)
					}
				}
				for _, child := range p.children(t) {
					if !child.Status.Terminal() {
						t.Errorf("the workflow of the loser is %s", child.Status)
					}
				}
				p.checkLog(t, id)
			})
		})
	}
}

// Over a crash at any commit the race has one winner, and no once call of a loser is made again.
func TestCrashAtEveryCommitOfARace(t *testing.T) {
	source := `{"plan":"v1","idempotency_key":"k","nodes":[
		{"id":"a","capability":"r.read","inputs":{"take":"10ms"}},
		{"id":"b","capability":"r.once","inputs":{"id":"b","take":"1h"},"timeout":"2h"},
		{"id":"c","wait":"5s"},{"id":"d","capability":"r.once","inputs":{"id":"d"},"depends_on":["c"]},
		{"id":"first","depends_on":["a","b","d"],"trigger_rule":"one_success","cancel_others":true,"capability":"r.once","inputs":{"id":"first","take":"10ms"}}],
		"output":"${nodes.first.output.id}"}`
	for _, mode := range storetest.CrashModes {
		for at, reached := 1, true; reached; at++ {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				dying := storetest.Crash(s, at, mode)
				first := run(w, dying)
				_, _ = first.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(source)}) // it may not have been stored
				time.Sleep(time.Minute)
				synctest.Wait()
				reached = dying.Crashed()
				first.stop()
				second := run(w, s)
				defer second.stop()
				e, err := second.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(source)})
				if err != nil {
					t.Fatal(err)
				}
				held := map[string]bool{}
				e = second.settleAll(t, w, e.ExecutionID, held)
				second.checkLog(t, e.ExecutionID)
				if e.Status != schemas.StatusSucceeded || string(e.Output) != `"first"` && !held["first"] {
					t.Errorf("%s, commit %d: %s %s %v", mode, at, e.Status, e.Output, e.Error)
				}
				for _, once := range []string{"b", "first"} {
					if n := w.calls("once", once); n > 1 {
						t.Errorf("%s, commit %d: %s was called %d times (held: %v)", mode, at, once, n, held[once])
					}
				}
			})
		}
	}
}
