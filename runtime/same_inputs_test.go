package runtime

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/storetest"
)

// earlyPlan is a plan whose nodes start before all that they read has ended: the values of their expressions depend on when they are
// evaluated.
func earlyPlan(r *rand.Rand) string {
	status := fmt.Sprintf("${nodes.slow.status}%s", strings.Repeat("x", r.IntN(2)*engine.MaxInlineOutput)) // small, or so large that it has a record of its own
	call := func(id, inputs string) string {
		return fmt.Sprintf(`"capability":"r.%s","trigger_rule":"one_success","depends_on":["quick"],"inputs":{"id":"%s %s","take":"%dms"%s}`,
			[]string{"read", "idempotent"}[r.IntN(2)], id, inputs, 1+r.IntN(40), []string{"", `,"fail":1,"code":"unavailable"`}[r.IntN(2)])
	}
	return fmt.Sprintf(`{"plan":"v1","idempotency_key":"k","max_parallel":%d,"nodes":[
		{"id":"quick","capability":"r.read"},
		{"id":"slow","capability":"r.read","inputs":{"take":"%dms"}},
		{"id":"one",%s},
		{"id":"list","for_each":"${nodes.slow.status == 'succeeded' ? ['late'] : ['early', 'early', 'early']}","max_parallel":%d,%s},
		{"id":"within","trigger_rule":"one_success","depends_on":["quick"],"workflow":{"definition":{"plan":"v1","inputs":{"s":""},
			"nodes":[{"id":"a","capability":"r.idempotent","inputs":{"id":"within ${inputs.s}"}}]}},"inputs":{"s":"%s"}}]}`,
		2+r.IntN(4), 1+r.IntN(60), call("one", status), 1+r.IntN(3), call("list ${item}", status), status)
}

// Such plans run with the process dying at one of their commits and another one going on: calls that are repeated send what the first one
// sent, and the items of a list stay those that it had when they were made.
func TestOneKeyStandsForOneSetOfInputs(t *testing.T) {
	first := uint64(time.Now().UnixNano())
	for seed := first; seed < first+12; seed++ {
		source := earlyPlan(rand.New(rand.NewPCG(seed, 0)))
		commits := 0
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			counting := storetest.Crash(s, 0, storetest.CrashBefore)
			p := run(w, counting)
			defer p.stop()
			p.execute(t, source)
			commits = counting.Commits()
		})
		for at := 1; at <= commits; at++ {
			mode := storetest.CrashModes[at%2]
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				dying := run(w, storetest.Crash(s, at, mode))
				_, _ = dying.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(source)}) // it may die meanwhile
				time.Sleep(time.Minute)
				synctest.Wait()
				dying.stop()
				p := run(w, s)
				defer p.stop()
				e := p.execute(t, source)
				sent := map[string]string{} // by key
				lists := map[string]bool{}
				for _, c := range w.ledger {
					if id, ok := sent[c.key]; ok && id != c.id {
						t.Errorf("%s was called with %.40q, and then with %.40q", c.key, id, c.id)
					}
					sent[c.key] = c.id
					if rest, ok := strings.CutPrefix(c.id, "list "); ok {
						item, _, _ := strings.Cut(rest, " ")
						lists[item] = true
					}
				}
				if len(lists) != 1 {
					t.Errorf("the items are of more than one list, or of none: %v", lists)
				}
				if t.Failed() {
					t.Errorf("seed %d, crash at commit %d of %d (%s): %s %v, plan %s", seed, at, commits, mode, e.Status, e.Error, source)
				}
			})
			if t.Failed() {
				return
			}
		}
	}
}

// A compensation sends its own inputs, also where those of its node were replaced by a decision.
func TestCompensationSendsItsOwnInputs(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.once","inputs":{"fail":9},"on_error":"suspend","compensate":{"capability":"r.idempotent","inputs":{"id":"undo"}}},
			{"id":"e","wait_for":"never","depends_on":["a"]}]}`)
		for _, patch := range []schemas.NodePatch{{Inputs: schemas.Object(`{"id":"mended","fail":9}`)}, {Output: schemas.Value(`1`)}} {
			want(t, p.rest(t, id), schemas.StatusSuspended, "", "a=held e=pending")
			p.resumeWith(t, id, "a", patch)
			synctest.Wait()
		}
		p.cancel(t, id, engine.CancelOptions{Compensate: true})
		want(t, p.rest(t, id), schemas.StatusCancelled, "", "a=compensated e=cancelled")
		if w.calls("idempotent", "undo") != 1 || w.calls("idempotent", "") != 1 {
			t.Errorf("ledger %v", w.ledger)
		}
	})
}

// Each call of a node keeps its own inputs: that a fallback was called does not change what the node's own call sends when a decision has it
// tried again.
func TestEachCallOfANodeKeepsItsInputs(t *testing.T) {
	for _, restart := range []bool{false, true} {
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			p := run(w, s)
			defer func() { p.stop() }()
			id := p.submit(t, `{"plan":"v1","nodes":[{"id":"quick","capability":"r.read"},{"id":"slow","capability":"r.read","inputs":{"take":"10s"}},
				{"id":"one","capability":"r.idempotent","trigger_rule":"one_success","depends_on":["quick"],"inputs":{"id":"own ${nodes.slow.status}","fail":2},"retry":{"max_attempts":1},
					"fallback":[{"capability":"r.once","inputs":{"id":"other ${nodes.slow.status}","fail":1}}],"on_error":"suspend"}]}`)
			want(t, p.rest(t, id), schemas.StatusSuspended, "", "quick=succeeded slow=succeeded one=held")
			if restart {
				p.stop()
				p = run(w, s)
			}
			want(t, p.patch(t, id, "one", schemas.NodePatch{Retry: true}), schemas.StatusSucceeded, "", "quick=succeeded slow=succeeded one=succeeded")
			for _, c := range []struct{ tool, id string }{{"idempotent", "own running"}, {"once", "other running"}} {
				if w.calls(c.tool, "") != 2 || w.calls(c.tool, c.id) != 2 {
					t.Errorf("%s did not send %q twice: %v", c.tool, c.id, w.ledger)
				}
			}
		})
	}
}

// A retry after a crash has to render the same inputs, so expressions read the creation time of the log. This needs a real clock: in virtual
// time no time passes between submission and first commit.
func TestExpressionsReadTheCreationTimeOfTheLog(t *testing.T) {
	r := replica(t, newWorld(), recordstest.Memory(t))
	r.Queue.SetEmpty(true) // so that the submitter owns it
	var got, want []string
	for range 5 {
		e, err := r.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"n","set":"${execution.created_at}"}],"output":"${nodes.n.output}"}`)})
		if err != nil {
			t.Fatal(err)
		}
		if e, err = r.Executions.Status(t.Context(), e.ExecutionID, "", 5*time.Second, nil); err != nil {
			t.Fatal(err)
		}
		text, _ := e.CreatedAt.MarshalJSON()
		got, want = append(got, string(e.Output)), append(want, string(text))
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("expressions read %v, the executions show %v", got, want)
	}
}
