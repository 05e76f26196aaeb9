package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/runtime/safety"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// on_error: suspend holds a for_each node itself, when its list is invalid and when too few items succeeded; a retry evaluates the list
// again, or runs those items again that did not succeed.
func TestForEachNodeIsHeldOnError(t *testing.T) {
	t.Run("an invalid list", func(t *testing.T) {
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			p := run(w, s)
			defer p.stop()
			id := p.submit(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.read","inputs":{"give":7}},
				{"id":"m","for_each":"${nodes.a.output}","capability":"r.read","inputs":{"id":"${item}"},"on_error":"suspend"}]}`)
			e := p.rest(t, id)
			want(t, e, schemas.StatusSuspended, "", "a=succeeded m=held")
			if e.WaitingFor[0].Reason != schemas.ReasonError || e.Nodes[1].Error.Code != schemas.CodeExpressionError {
				t.Errorf("%+v %v", e.WaitingFor, e.Nodes[1].Error)
			}
			want(t, p.patch(t, id, "m", schemas.NodePatch{Retry: true}), schemas.StatusSuspended, "", "a=succeeded m=held")
			want(t, p.patch(t, id, "m", schemas.NodePatch{Output: schemas.Value(`[1]`)}), schemas.StatusSucceeded, `{"m":[1]}`, "a=succeeded m=succeeded")
		})
	})
	t.Run("too few succeeded", func(t *testing.T) {
		for _, crash := range []bool{false, true} {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				p := run(w, s)
				defer func() { p.stop() }()
				id := p.submit(t, `{"plan":"v1","nodes":[{"id":"m","for_each":[0,1,2,3,4],"min_success":4,"max_parallel":1,"on_error":"suspend","when":"${true}",
					"capability":"r.once","safety_level":"review","inputs":{"id":"i${item}"}},{"id":"n","set":"${nodes.m.output.size()}"}]}`)
				decide := func(node string, yes bool) {
					t.Helper()
					synctest.Wait()
					open, err := p.Safety.Reviews(t.Context())
					if err != nil || len(open) != 1 || fmt.Sprintf("m[%d]", *open[0].Item) != node {
						t.Fatalf("%+v %v, want a review of %s", open, err, node)
					}
					p.decide(t, open[0].ReviewID, safety.Decision{Approve: yes, By: "ada"})
				}
				decide("m[0]", true)
				decide("m[1]", false)
				decide("m[2]", true)
				decide("m[3]", false)
				e := p.rest(t, id)
				want(t, e, schemas.StatusSuspended, "", "m=held n=pending")
				if err := e.Nodes[0].Error; err == nil || !strings.Contains(err.Message, "min_success is 4") {
					t.Errorf("%v", err)
				}
				if _, err := p.Executions.Resume(t.Context(), id, &schemas.Patch{Nodes: map[string]schemas.NodePatch{"m": {Inputs: schemas.Object(`{"id":"x"}`)}}}); !errors.Is(err, &schemas.Error{Code: schemas.CodeInvalidArgument}) {
					t.Errorf("inputs for a list: %v", err)
				}
				p.resumeWith(t, id, "m", schemas.NodePatch{Retry: true})
				if crash {
					p.stop()
					p = run(w, s)
				}
				decide("m[1]", true)
				decide("m[3]", true)
				decide("m[4]", true)
				want(t, p.rest(t, id), schemas.StatusSucceeded, `{"n":5}`, "m=succeeded n=succeeded")
				for i := range 5 {
					if n := w.calls("once", fmt.Sprintf("i%d", i)); n != 1 {
						t.Errorf("item %d was called %d times", i, n)
					}
				}
			})
		}
	})
}

// A skipped item is no success, and a list that is too short cannot have enough successes.
func TestMinSuccessCountsSuccesses(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		plan := `{"plan":"v1","inputs":{"l":[0,1,2]},"nodes":[{"id":"m","for_each":"${inputs.l}","min_success":%d,"on_error":"suspend","capability":"r.once","inputs":{"id":"i${item}","fail":"${item == 1 ? 9 : 0}"}}]}`
		for least, after := range map[int]schemas.Status{2: schemas.StatusSucceeded, 3: schemas.StatusSuspended} {
			w.failed = map[string]int{}
			id := p.submit(t, fmt.Sprintf(plan, least))
			want(t, p.rest(t, id), schemas.StatusSuspended, "", "m=running")
			e := p.patch(t, id, "m[1]", schemas.NodePatch{Skip: true})
			if e.Status != after {
				t.Errorf("two of three succeeded, one was skipped, min_success is %d: %s %v", least, e.Status, e.Nodes[0].Error)
			}
			if after == schemas.StatusSuspended { // a skipped item stays skipped: the decision has to give an output
				want(t, p.patch(t, id, "m", schemas.NodePatch{Retry: true}), schemas.StatusSuspended, "", "m=held")
				want(t, p.patch(t, id, "m", schemas.NodePatch{Output: schemas.Value(`[]`)}), schemas.StatusSucceeded, "", "m=succeeded")
			}
		}
		calls := w.calls("", "")
		e := p.execute(t, strings.Replace(fmt.Sprintf(plan, 4), "suspend", "fail", 1))
		want(t, e, schemas.StatusFailed, "", "m=failed")
		if !strings.Contains(e.Error.Message, "the list has 3 items") || w.calls("", "") != calls {
			t.Errorf("%v after %d calls", e.Error, w.calls("", "")-calls)
		}
	})
}

// Of a list of workflows as many run at once as max_parallel of the node or the plan allows.
func TestWorkflowsOfAListStartAsMaxParallelAllows(t *testing.T) {
	for setting, most := range map[string]int{``: 3, `"max_parallel":2,`: 2, `"max_parallel":5,`: 5} {
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			p := run(w, s)
			defer p.stop()
			id := p.submit(t, `{"plan":"v1","max_parallel":3,"nodes":[`+subplan("m", setting+`"for_each":"${lists.range(12)}",`, `{"id":"t","wait":"1m"}`)+`]}`)
			for round := 1; round*most <= 12; round++ {
				if n := len(p.children(t)); n != round*most {
					t.Fatalf("%q: %d children in minute %d, want %d", setting, n, round, round*most)
				}
				time.Sleep(time.Minute + time.Millisecond)
				synctest.Wait()
			}
			want(t, p.rest(t, id), schemas.StatusSucceeded, "", "m=succeeded")
		})
	}
}

// The list of a for_each node is read again by the next process; a store that does not answer then fails no item.
func TestStoreThatDoesNotAnswerFailsNoItem(t *testing.T) {
	for _, list := range []string{`["${nodes.big.output}","b","c"]`, `"${[nodes.big.output,nodes.slow.status,'c']}"`} {
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			first := run(w, s)
			id := first.submit(t, `{"plan":"v1","nodes":[{"id":"big","capability":"r.read","inputs":{"give":"`+strings.Repeat("x", 2*engine.MaxInlineOutput)+`"}},
				{"id":"slow","capability":"r.read","inputs":{"take":"50s"}},
				{"id":"m","for_each":`+list+`,"trigger_rule":"one_success","max_parallel":1,"capability":"r.read","inputs":{"id":"${index} ${size(item)}","take":"20s"},"depends_on":["slow"]}]}`)
			first.stop()
			var left atomic.Int32 // reads of outputs that fail
			left.Store(3)
			p := run(w, &hooks{Store: s, get: func(ctx context.Context, k store.Key) (store.Record, error) {
				if k.Kind == journal.KindOutput && left.Add(-1) >= 0 {
					return store.Record{}, recordstest.ErrUnreachable
				}
				return s.Get(ctx, k)
			}})
			defer p.stop()
			want(t, p.rest(t, id), schemas.StatusSucceeded, "", "big=succeeded slow=succeeded m=succeeded")
			if w.calls("", "2 1") != 1 {
				t.Errorf("ledger %v", w.ledger)
			}
			if left.Load() >= 0 {
				t.Error("the list was not read again")
			}
		})
	}
}

// A list that has no room for what its items have answered says that they have run, and keeps it.
func TestListThatIsTooLargeSaysThatItsItemsRan(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s, func(c *Config) { c.Limits.MaxList = 10_000 })
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.read","for_each":"${lists.range(20)}","inputs":{"give":"`+strings.Repeat("x", 1000)+`"}}]}`)
		if e.Error == nil || e.Error.Code != schemas.CodePayloadTooLarge || e.Error.Outcome != schemas.RanFailed || !strings.Contains(e.Error.Hint, "limits.max_list_bytes") {
			t.Errorf("%+v", e.Error)
		}
		out, err := p.Executions.NodeOutput(t.Context(), e.ExecutionID, journal.OutputQuery{Node: "n", Item: new(7)})
		if err != nil || !strings.Contains(string(out.Output), "xxx") {
			t.Errorf("%+v, %v", out, err)
		}
	})
}
