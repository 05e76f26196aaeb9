package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/storetest"
)

const refund = `{"plan":"v1","name":"refund","inputs":{"cents":1200},"nodes":[
	{"id":"order","capability":"r.read","inputs":{"give":{"cents":1200,"items":[{"sku":"a"},{"sku":"b"}]}}},
	{"id":"total","set":{"sum":"${nodes.order.output.cents + 1}","skus":"${nodes.order.output.items.map(i, i.sku)}"}},
	{"id":"pay","capability":"r.once","when":"${nodes.total.output.sum > 5}","inputs":{"give":"${nodes.total.output}"}},
	{"id":"never","capability":"r.once","when":"${nodes.total.output.sum < 5}"}],
	"output":{"paid":"${nodes.pay.output.sum}","skus":"${nodes.pay.output.skus}","never":"${nodes.never.status}"}}`

func TestPlanRunsToItsOutput(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, refund)
		want(t, e, schemas.StatusSucceeded, `{"paid":1201,"skus":["a","b"],"never":"skipped"}`, "order=succeeded total=succeeded pay=succeeded never=skipped")
		if e.Name != "refund" || e.Progress.Succeeded != 3 || e.Progress.Skipped != 1 {
			t.Errorf("%+v", e)
		}
	})
}

func TestOutputOfASkippedBranchIsNull(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","nodes":[{"id":"a","set":1},{"id":"b","when":"${nodes.a.output > 1}","capability":"r.read"}],
			"output":{"a":"${nodes.a.output}","b":"${nodes.b.output.id}","text":"b is ${nodes.b.output.id}.","size":"${size(nodes.b.output.id) + 1}"}}`)
		want(t, e, schemas.StatusSucceeded, `{"a":1,"b":null,"text":"b is .","size":null}`, "a=succeeded b=skipped")
		e = p.execute(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.read"}],"output":"${nodes.a.output.y}"}`)
		want(t, e, schemas.StatusFailed, "", "a=succeeded")
		if e.Error.Code != schemas.CodeExpressionError || e.Error.Field != "/output" {
			t.Errorf("%+v", e.Error)
		}
	})
}

func TestWithoutOutputTheLastNodesAreTheOutput(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		big := strings.Repeat("x", engine.MaxInlineOutput+1)
		e := p.execute(t, `{"plan":"v1","nodes":[{"id":"a","set":1},{"id":"b","set":"${nodes.a.output + 1}"},{"id":"c","set":"`+big+`"}]}`)
		want(t, e, schemas.StatusSucceeded, fmt.Sprintf(`{"b":2,"c":{"output_ref":{"node_id":"c","bytes":%d}}}`, len(big)+2), "")
	})
}

func TestIdempotencyKeyGivesTheSameExecution(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		submit := func(id string) (schemas.Execution, error) {
			return p.Executions.Execute(t.Context(), engine.Submit{IdempotencyKey: "k", Plan: []byte(`{"plan":"v1","nodes":[{"id":"n","capability":"r.once","inputs":{"id":"` + id + `"}}]}`)})
		}
		ids := make([]string, 16)
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() {
				e, err := submit("one")
				if err != nil {
					t.Error(err)
				}
				ids[i] = e.ExecutionID
			})
		}
		wg.Wait()
		for _, id := range ids {
			if id != ids[0] {
				t.Fatalf("one key gave several executions: %v", ids)
			}
		}
		p.rest(t, ids[0])
		if n := w.calls("once", "one"); n != 1 {
			t.Errorf("called %d times", n)
		}
		_, err := submit("two")
		e, ok := errors.AsType[*schemas.Error](err)
		if !ok || e.Code != schemas.CodeConflict || e.ExecutionID != ids[0] {
			t.Errorf("another plan with the same key: %v", err)
		}
		other := as(t, "other")
		theirs, err := p.Executions.Execute(other, engine.Submit{IdempotencyKey: "k", Plan: []byte(`{"plan":"v1","nodes":[{"id":"n","set":1}]}`)})
		if err != nil || theirs.ExecutionID == ids[0] {
			t.Errorf("another principal shares the key: %v %v", theirs.ExecutionID, err)
		}
	})
}

func TestExecutionOfAnotherPrincipalDoesNotExist(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		mine := p.execute(t, `{"plan":"v1","nodes":[{"id":"n","set":1}]}`).ExecutionID
		ctx := as(t, "other")
		ask := func(id string) []error {
			_, status := p.Executions.Status(ctx, id, schemas.ViewNodes, time.Second, nil)
			_, metrics := p.Executions.Metrics(ctx, id)
			_, output := p.Executions.NodeOutput(ctx, id, journal.OutputQuery{Node: "n"})
			_, events := p.Executions.Events(ctx, id, 0, 0)
			_, suspend := p.Executions.Suspend(ctx, id, "", "")
			_, resume := p.Executions.Resume(ctx, id, nil)
			_, cancel := p.Executions.Cancel(ctx, id, engine.CancelOptions{})
			_, signal := p.Executions.Signal(ctx, id, "e", nil)
			_, rerun := p.Executions.Rerun(ctx, id, "")
			return []error{status, metrics, output, events, suspend, resume, cancel, signal, rerun}
		}
		theirs, none := ask(mine), ask("01J00000000000000000000000")
		for i := range theirs {
			a, b := schemas.AsError(theirs[i]), schemas.AsError(none[i])
			if a == nil || b == nil || a.Code != schemas.CodeNotFound || strings.ReplaceAll(a.Error(), mine, "") != strings.ReplaceAll(b.Error(), "01J00000000000000000000000", "") {
				t.Errorf("request %d tells another principal's execution from none: %v; %v", i, a, b)
			}
		}
		list, err := p.Executions.List(ctx, journal.Query{})
		if err != nil || len(list.Executions) != 0 {
			t.Errorf("list: %v %v", list, err)
		}
	})
}

func TestTwoDayWaitLeavesMemoryAndComesBack(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		began := time.Now()
		e, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"w","wait":"48h"},{"id":"n","capability":"r.read","depends_on":["w"]}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if p.Executions.Owns(e.ExecutionID) {
			t.Error("an execution that only waits is kept in memory")
		}
		now, err := p.Executions.Status(t.Context(), e.ExecutionID, "", 0, nil)
		if err != nil || !now.Waiting || len(now.WaitingFor) != 1 || now.WaitingFor[0].Reason != schemas.ReasonTimer {
			t.Errorf("%+v %v", now, err)
		}
		time.Sleep(48*time.Hour - time.Minute)
		want(t, p.rest(t, e.ExecutionID), schemas.StatusSucceeded, "", "w=succeeded n=succeeded")
		if took := time.Since(began); took < 48*time.Hour || took > 48*time.Hour+time.Minute {
			t.Errorf("took %s", took)
		}
	})
}

func TestSuspendDrainsAndResumeGoesOn(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[
			{"id":"a","capability":"r.once","inputs":{"take":"10s"}},{"id":"b","capability":"r.read","depends_on":["a"]}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		e, err = p.Executions.Suspend(t.Context(), e.ExecutionID, "", "lunch")
		if err != nil || e.Status != schemas.StatusSuspending {
			t.Fatalf("%s %v", e.Status, err)
		}
		e = p.rest(t, e.ExecutionID)
		want(t, e, schemas.StatusSuspended, "", "a=succeeded b=ready")
		synctest.Wait() // its owner releases it after the commit that this was read from
		if p.Executions.Owns(e.ExecutionID) {
			t.Error("a suspended execution is kept in memory")
		}
		if e, err = p.Executions.Resume(t.Context(), e.ExecutionID, nil); err != nil {
			t.Fatal(err)
		}
		want(t, p.rest(t, e.ExecutionID), schemas.StatusSucceeded, "", "a=succeeded b=succeeded")
		if _, err = p.Executions.Resume(t.Context(), e.ExecutionID, nil); !errors.Is(err, &schemas.Error{Code: schemas.CodeAlreadyFinished}) {
			t.Errorf("resume of a finished execution: %v", err)
		}
	})
}

func TestSuspendNowStopsWhatMayBeRepeated(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		began := time.Now()
		e, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[
			{"id":"a","capability":"r.once","inputs":{"take":"10s"}},{"id":"b","capability":"r.read","inputs":{"take":"50s"}}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // both calls are in flight
		if e, err = p.Executions.Suspend(t.Context(), e.ExecutionID, "now", ""); err != nil {
			t.Fatal(err)
		}
		want(t, p.rest(t, e.ExecutionID), schemas.StatusSuspended, "", "a=succeeded b=ready")
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("took %s: the read call was waited for, or the once call was not", took)
		}
		p.resume(t, e.ExecutionID)
		want(t, p.rest(t, e.ExecutionID), schemas.StatusSucceeded, "", "")
		if w.calls("read", "b") != 2 || w.calls("once", "a") != 1 {
			t.Errorf("ledger %v", w.ledger)
		}
	})
}

func TestCancelStopsCallsAndListsWhatIsUnknown(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		began := time.Now()
		e, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[
			{"id":"good","capability":"r.once","inputs":{"mute":true}},{"id":"bad","capability":"r.once","inputs":{"stuck":true}},
			{"id":"later","capability":"r.read","depends_on":["good"]}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // both calls are in flight
		if e, err = p.Executions.Cancel(t.Context(), e.ExecutionID, engine.CancelOptions{Reason: "changed my mind", Grace: 7 * time.Second}); err != nil {
			t.Fatal(err)
		}
		e = p.rest(t, e.ExecutionID)
		want(t, e, schemas.StatusCancelled, "", "good=cancelled bad=cancelled later=cancelled")
		if took := time.Since(began); took != 7*time.Second {
			t.Errorf("took %s, want the grace period", took)
		}
		for _, n := range e.Nodes[:2] {
			if n.Error == nil || n.Error.Outcome != schemas.Unknown {
				t.Errorf("%s is not listed as unknown: %v", n.ID, n.Error)
			}
		}
		if again, err := p.Executions.Cancel(t.Context(), e.ExecutionID, engine.CancelOptions{}); err != nil || again.Status != schemas.StatusCancelled {
			t.Errorf("a second cancel: %v", err)
		}
		time.Sleep(time.Hour) // the stuck call returns, and no one waits for it
	})
}

func TestGracefulStopReleasesAndTheNextProcessGoesOn(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		first := run(w, s)
		e, err := first.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[
			{"id":"a","capability":"r.once","inputs":{"take":"5s"}},{"id":"b","capability":"r.read","inputs":{"take":"50s"}},
			{"id":"c","capability":"r.once","depends_on":["a"]}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		began := time.Now()
		first.stop()
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("stop took %s, want the time of the once call", took)
		}
		if w.calls("once", "c") != 0 {
			t.Error("a stopping runtime started a call")
		}
		second := run(w, s)
		defer second.stop()
		began = time.Now()
		e = second.rest(t, e.ExecutionID)
		want(t, e, schemas.StatusSucceeded, "", "a=succeeded b=succeeded c=succeeded")
		if w.calls("once", "") != 2 {
			t.Errorf("ledger %v", w.ledger)
		}
		if took := time.Since(began); took > 51*time.Second {
			t.Errorf("took %s: the lease was not released", took)
		}
	})
}

func TestStopHoldsOnceCallsThatDoNotEnd(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		first := run(w, s)
		e, err := first.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"a","capability":"r.once","inputs":{"mute":true}}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		first.stop()
		second := run(w, s)
		defer second.stop()
		e = second.rest(t, e.ExecutionID)
		want(t, e, schemas.StatusSuspended, "", "a=held")
		if w.calls("once", "") != 1 {
			t.Errorf("ledger %v", w.ledger)
		}
	})
}

func TestNodeTimeoutOfOnceCallIsHeldAndRetriedOnDecision(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.once","timeout":"5s","inputs":{"mute":true}}]}`)
		want(t, e, schemas.StatusSuspended, "", "a=held")
		if e.Hint == "" || !strings.Contains(e.Nodes[0].Error.Message, "5s, the timeout of its node") {
			t.Errorf("hint %q, error %v", e.Hint, e.Nodes[0].Error)
		}
		for name, patch := range map[string]schemas.NodePatch{
			"no decision":   {},
			"two decisions": {Skip: true, Retry: true},
			"inputs unfit":  {Inputs: schemas.Object(`{"take":7}`)},
		} {
			if _, err := p.Executions.Resume(t.Context(), e.ExecutionID, &schemas.Patch{Nodes: map[string]schemas.NodePatch{"a": patch}}); !errors.Is(err, &schemas.Error{Code: schemas.CodeInvalidArgument}) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := p.Executions.Resume(t.Context(), e.ExecutionID, &schemas.Patch{Nodes: map[string]schemas.NodePatch{"b": {Skip: true}}}); !errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
			t.Errorf("unknown node: %v", err)
		}
		want(t, p.rest(t, e.ExecutionID), schemas.StatusSuspended, "", "a=held")
		time.Sleep(2 * time.Minute) // the call can no longer run
		p.resumeWith(t, e.ExecutionID, "a", schemas.NodePatch{Inputs: schemas.Object(`{"give":7}`)})
		want(t, p.rest(t, e.ExecutionID), schemas.StatusSucceeded, `{"a":7}`, "a=succeeded")
	})
}

// A commit takes a second here, so that all results that come meanwhile go into the next one, however the goroutines are scheduled. A result
// waits a second at most for its commit, which takes a second, as the call that it starts: 34 rounds of 30 calls take 102 seconds, with a
// commit in each.
func TestWideFanOutSharesCommits(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		var commits atomic.Int64
		p := run(w, &hooks{Store: s, commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
			commits.Add(1)
			time.Sleep(time.Second)
			return s.Commit(ctx, b)
		}})
		defer p.stop()
		var b strings.Builder
		for i := range 999 {
			fmt.Fprintf(&b, `{"id":"n%d","capability":"r.read","inputs":{"take":"1s"}},`, i)
		}
		e := p.execute(t, `{"plan":"v1","max_parallel":30,"nodes":[`+b.String()+`{"id":"end","set":1}],"output":1}`)
		want(t, e, schemas.StatusSucceeded, `1`, "")
		if n := commits.Load(); n > 105 {
			t.Errorf("%d commits for 999 calls, 30 at once", n)
		}
	})
}

func TestChainCostsOneCommitANode(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		counting := storetest.Crash(s, 0, storetest.CrashBefore)
		p := run(w, counting)
		defer p.stop()
		e := p.execute(t, chainPlan(100, "once"))
		want(t, e, schemas.StatusSucceeded, "", "")
		if n := counting.Commits(); n != 101 {
			t.Errorf("%d commits for a chain of 100, want 101", n)
		}
	})
}

func TestLongChainPassesSnapshots(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, chainPlan(1000, "read"))
		want(t, e, schemas.StatusSucceeded, "", "")
		if e.Progress.Succeeded != 1000 {
			t.Errorf("%+v", e.Progress)
		}
		x, err := p.journal.Load(t.Context(), e.ExecutionID)
		if err != nil {
			t.Fatal(err)
		}
		if x.Head.Snapshot == 0 {
			t.Error("no snapshot was put")
		}
	})
}

func TestRerunFromANodeReusesTheRest(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		old := p.execute(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.once"},{"id":"x","capability":"r.once"},
			{"id":"b","capability":"r.once","inputs":{"id":"b","fail":1},"depends_on":["a"]},{"id":"c","capability":"r.read","depends_on":["b","x"]}],"output":"${nodes.c.output.id}"}`)
		want(t, old, schemas.StatusFailed, "", "a=succeeded x=succeeded b=failed c=cancelled")
		e, err := p.Executions.Rerun(t.Context(), old.ExecutionID, "b")
		if err != nil {
			t.Fatal(err)
		}
		e = p.rest(t, e.ExecutionID)
		want(t, e, schemas.StatusSucceeded, `"c"`, "a=succeeded x=succeeded b=succeeded c=succeeded")
		if e.RerunOf != old.ExecutionID || w.calls("once", "a") != 1 || w.calls("once", "x") != 1 || w.calls("once", "b") != 2 {
			t.Errorf("rerun of %q, ledger %v", e.RerunOf, w.ledger)
		}
		if _, err := p.Executions.Rerun(t.Context(), old.ExecutionID, "bb"); !errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
			t.Errorf("unknown node: %v", err)
		}
	})
}

func TestInvalidPlanStartsNothing(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		for _, source := range []string{`{`, `{"plan":"v1","nodes":[]}`, `{"plan":"v1","nodes":[{"id":"a","capability":"r.reed"}]}`} {
			_, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(source)})
			e, ok := errors.AsType[*schemas.Error](err)
			if !ok || e.Code != schemas.CodeInvalidPlan || len(e.Findings) == 0 {
				t.Errorf("%s: %v", source, err)
			}
		}
		list, err := p.Executions.List(t.Context(), journal.Query{})
		if err != nil || len(list.Executions) != 0 {
			t.Errorf("%+v %v", list, err)
		}
	})
}

func TestStoreThatFailsForAWhileLosesNoResult(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		var full atomic.Bool
		p := run(w, &hooks{Store: s, commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
			if full.Load() {
				return store.Committed{}, errors.New("disk full")
			}
			return s.Commit(ctx, b)
		}})
		defer p.stop()
		e, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"a","capability":"r.once","inputs":{"take":"1s"}}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		full.Store(true)
		time.Sleep(5 * time.Second)
		if _, err := p.Executions.Cancel(t.Context(), e.ExecutionID, engine.CancelOptions{}); !errors.Is(err, &schemas.Error{Code: schemas.CodeUnavailable}) {
			t.Errorf("cancel while the store fails: %v", err)
		}
		full.Store(false)
		want(t, p.rest(t, e.ExecutionID), schemas.StatusSucceeded, "", "a=succeeded")
		if w.calls("once", "") != 1 {
			t.Errorf("ledger %v", w.ledger)
		}
	})
}

func TestEndOfTheCallerEndsOnlyItsWait(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"a","capability":"r.read","inputs":{"take":"10s"}}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Executions.Status(ctx, e.ExecutionID, "", 20*time.Second, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		want(t, p.rest(t, e.ExecutionID), schemas.StatusSucceeded, "", "")
	})
}

func TestMoreExecutionsThanRoomAllRun(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s, func(c *Config) { c.Limits.MaxExecutions = 3 })
		defer p.stop()
		var ids []string
		for i := range 20 {
			e, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: fmt.Appendf(nil, `{"plan":"v1","nodes":[{"id":"a","capability":"r.once","inputs":{"id":"e%d","take":"10s"}}]}`, i)})
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, e.ExecutionID)
			time.Sleep(time.Millisecond) // ids sort by milliseconds
		}
		for _, id := range ids {
			want(t, p.rest(t, id), schemas.StatusSucceeded, "", "")
		}
		if n := w.calls("once", ""); n != 20 {
			t.Errorf("%d calls", n)
		}
		page, err := p.Executions.List(t.Context(), journal.Query{Limit: 15, Status: schemas.StatusSucceeded})
		if err != nil || len(page.Executions) != 15 || page.Executions[0].ExecutionID != ids[19] {
			t.Fatalf("first page: %d %v", len(page.Executions), err)
		}
		rest, err := p.Executions.List(t.Context(), journal.Query{Limit: 15, Status: schemas.StatusSucceeded, Cursor: page.NextCursor})
		if err != nil || len(rest.Executions) != 5 || rest.NextCursor != "" || rest.Executions[4].ExecutionID != ids[0] {
			t.Fatalf("second page: %d %q %v", len(rest.Executions), rest.NextCursor, err)
		}
	})
}
