package runtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/safety"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

func TestForEachKeepsOrderAndBoundsParallelism(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		began := time.Now()
		e := p.execute(t, `{"plan":"v1","inputs":{"list":["a","b","c","d","e","f","g"]},"nodes":[
			{"id":"m","capability":"r.once","for_each":"${inputs.list}","max_parallel":3,"inputs":{"id":"${item}-${index}","take":"1s"}},
			{"id":"n","set":"${nodes.m.output.map(x, x.id)}"}],"output":{"n":"${nodes.n.output}","first":"${nodes.m.output[0].id}"}}`)
		want(t, e, schemas.StatusSucceeded, `{"n":["a-0","b-1","c-2","d-3","e-4","f-5","g-6"],"first":"a-0"}`, "m=succeeded n=succeeded")
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("took %s: seven calls of a second, three at once, take 3 s", took)
		}
		if v := e.Nodes[0].Items; v == nil || v.Succeeded != 7 || e.Nodes[0].Attempts != 7 {
			t.Errorf("%+v", e.Nodes[0])
		}
		out, err := p.Executions.NodeOutput(t.Context(), e.ExecutionID, journal.OutputQuery{Node: "m", Item: new(4), Pointer: "/id"})
		if err != nil || string(out.Output) != `"e-4"` {
			t.Errorf("item 4: %s %v", out.Output, err)
		}
		empty := p.execute(t, `{"plan":"v1","inputs":{"list":[]},"nodes":[{"id":"m","capability":"r.once","for_each":"${inputs.list}","inputs":{"id":"${item}"}}]}`)
		want(t, empty, schemas.StatusSucceeded, `{"m":[]}`, "m=succeeded")
	})
}

func TestMapOver500WithFiveFailures(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		var list []int
		for i := range 500 {
			list = append(list, i)
		}
		raw, _ := json.Marshal(list)
		source := func(extra string) string {
			return `{"plan":"v1","inputs":{"list":` + string(raw) + `},"nodes":[{"id":"m","capability":"r.read","for_each":"${inputs.list}",` + extra +
				`"inputs":{"id":"i${index}","fail":"${item % 100 == 7 ? 1 : 0}"}}],"output":"${size(nodes.m.output.filter(x, x == null))}"}`
		}
		e := p.execute(t, source(`"min_success":495,`))
		want(t, e, schemas.StatusSucceeded, `5`, "m=succeeded")
		if v := e.Nodes[0].Items; v.Failed != 5 || len(v.Errors) != 5 || v.Errors[1].Item != 107 {
			t.Errorf("%+v", v)
		}
		w.failed = map[string]int{}
		e = p.execute(t, source(`"min_success":496,`))
		want(t, e, schemas.StatusFailed, "", "m=failed")
		if !strings.Contains(e.Error.Message, "min_success") {
			t.Errorf("%v", e.Error)
		}
		w.failed = map[string]int{}
		want(t, p.execute(t, source(`"on_error":"continue",`)), schemas.StatusSucceeded, `5`, "m=succeeded")
		w.failed = map[string]int{}
		e = p.execute(t, source(``))
		want(t, e, schemas.StatusFailed, "", "m=failed")
		if !strings.Contains(e.Error.Message, "item 7") {
			t.Errorf("%v", e.Error)
		}
	})
}

func TestSignalReachesNodesThatWaitAndThatWillWait(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"a","wait_for":"paid"},{"id":"b","wait_for":{"event":"paid","timeout":"1h"}},
			{"id":"c","wait_for":"shipped","depends_on":["a"]}],"output":["${nodes.a.output}","${nodes.b.output.n}","${nodes.c.output}"]}`)
		if p.Executions.Owns(id) {
			t.Error("an execution that waits for events is kept in memory")
		}
		p.signal(t, id, "shipped", schemas.Value(`"early"`))
		e, err := p.Executions.Signal(t.Context(), id, "paid", schemas.Value(`{"n":1}`))
		if err != nil {
			t.Fatal(err)
		}
		want(t, p.rest(t, e.ExecutionID), schemas.StatusSucceeded, `[{"n":1},1,"early"]`, "a=succeeded b=succeeded c=succeeded")
		id = p.submit(t, `{"plan":"v1","nodes":[{"id":"b","wait_for":{"event":"paid","timeout":"1h"},"on_error":"continue"}],"output":"${nodes.b.error.code}"}`)
		time.Sleep(2 * time.Hour)
		want(t, p.rest(t, id), schemas.StatusSucceeded, `"timeout"`, "b=failed")
	})
}

func TestReviewOfAQuestion(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		source := `{"plan":"v1","inputs":{"n":3},"nodes":[{"id":"ask","review":{"question":"Delete ${inputs.n} files?","expires":"24h"}},
			{"id":"del","capability":"r.once","depends_on":["ask"]}],"output":"${nodes.ask.output.comment}"}`
		id := p.submit(t, source)
		open, err := p.Safety.Reviews(t.Context())
		if err != nil || len(open) != 1 || open[0].Question != "Delete 3 files?" || open[0].ExecutionID != id {
			t.Fatalf("%+v %v", open, err)
		}
		if e, err := p.Executions.Status(t.Context(), id, "", time.Second, nil); err != nil || !e.Waiting || e.WaitingFor[0].ReviewID != open[0].ReviewID {
			t.Errorf("%+v %v", e, err)
		}
		if _, err := p.Executions.Resume(t.Context(), id, &schemas.Patch{Nodes: map[string]schemas.NodePatch{"ask": {Skip: true}}}); !errors.Is(err, &schemas.Error{Code: schemas.CodeNeedsReview}) {
			t.Errorf("a patch around the review: %v", err)
		}
		p.decide(t, open[0].ReviewID, safety.Decision{Approve: true, Comment: "fine", By: "ada"})
		want(t, p.rest(t, id), schemas.StatusSucceeded, `"fine"`, "ask=succeeded del=succeeded")
		if _, err := p.Safety.Decide(t.Context(), open[0].ReviewID, safety.Decision{Approve: true}); err == nil {
			t.Error("a review was decided twice")
		}
		id = p.submit(t, source)
		p.decide(t, p.review(t, id, "ask"), safety.Decision{Comment: "no", By: "ada"})
		e := p.rest(t, id)
		want(t, e, schemas.StatusFailed, "", "ask=failed del=cancelled")
		if e.Error.Code != schemas.CodeDenied {
			t.Errorf("%v", e.Error)
		}
		id = p.submit(t, source)
		time.Sleep(25 * time.Hour)
		want(t, p.rest(t, id), schemas.StatusFailed, "", "ask=failed del=cancelled")
		if open, err = p.Safety.Reviews(t.Context()); err != nil || len(open) != 0 {
			t.Errorf("still open: %+v %v", open, err)
		}
		if n := w.calls("once", ""); n != 1 {
			t.Errorf("%d calls", n)
		}
	})
}

func TestReviewOfACallShowsAndMayChangeItsInputs(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"pay","capability":"r.once","safety_level":"review","inputs":{"id":"first"}}]}`)
		open, err := p.Safety.Reviews(t.Context())
		if err != nil || len(open) != 1 || string(open[0].Inputs) != `{"id":"first"}` || open[0].Capability != "r.once" {
			t.Fatalf("%+v %v", open, err)
		}
		if w.calls("", "") != 0 {
			t.Error("called before the review")
		}
		if _, err := p.Safety.Decide(t.Context(), open[0].ReviewID, safety.Decision{Approve: true, Inputs: schemas.Object(`{"id":7,"bogus":1}`)}); err == nil {
			t.Error("unfit inputs were accepted")
		}
		p.decide(t, open[0].ReviewID, safety.Decision{Approve: true, Inputs: schemas.Object(`{"id":"second"}`)})
		want(t, p.rest(t, id), schemas.StatusSucceeded, `{"pay":{"id":"second"}}`, "pay=succeeded")
		if w.calls("once", "second") != 1 || w.calls("", "") != 1 {
			t.Errorf("ledger %v", w.ledger)
		}
	})
}

func TestFallbackServesDegraded(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.read","inputs":{"id":"own","fail":9},
			"fallback":[{"capability":"r.idempotent","inputs":{"id":"second","fail":9}},{"value":{"score":0.5}}]}],"output":"${nodes.a.output.score}"}`)
		want(t, e, schemas.StatusSucceeded, `0.5`, "a=succeeded")
		if !e.Degraded || !e.Nodes[0].Degraded || e.Nodes[0].ServedBy != "fallback value" {
			t.Errorf("%+v", e.Nodes[0])
		}
		e = p.execute(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.read","inputs":{"id":"x","fail":9},"fallback":["r.idempotent"]}]}`)
		want(t, e, schemas.StatusFailed, "", "a=failed") // the same inputs fail there too
		e = p.execute(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.read","inputs":{"id":"y","fail":1},"fallback":[{"capability":"r.idempotent"}]}]}`)
		want(t, e, schemas.StatusSucceeded, `{"a":{"id":"y"}}`, "a=succeeded")
		if e.Nodes[0].ServedBy != "r.idempotent" {
			t.Errorf("%+v", e.Nodes[0])
		}
	})
}

func TestVerificationFindsOutWhetherItHappened(t *testing.T) {
	plan := `{"plan":"v1","nodes":[{"id":"pay","capability":"r.once","timeout":"5s","inputs":{"id":"pay","mute":%s},
		"on_unknown":{"verify":{"capability":"r.read","inputs":{"id":"look","give":{"items":%s}},"happened":"${size(output.items) > 0}","output":"${output.items[0]}"}}}]}`
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, fmt.Sprintf(plan, "true", `[{"id":"R-1"}]`))
		want(t, e, schemas.StatusSucceeded, `{"pay":{"id":"R-1"}}`, "pay=succeeded")
		if w.calls("once", "pay") != 1 || w.calls("read", "look") != 1 {
			t.Errorf("ledger %v", w.ledger)
		}
	})
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, strings.Replace(fmt.Sprintf(plan, "true", `[]`), `"on_unknown"`, `"total_timeout":"80s","on_unknown"`, 1))
		e := p.rest(t, id)
		if n := w.calls("once", "pay"); n != 2 { // it had not happened and was called again, until total_timeout
			t.Errorf("called %d times: %v", n, e.Error)
		}
	})
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, fmt.Sprintf(plan, "true", `7`))
		want(t, e, schemas.StatusSuspended, "", "pay=held")
		if w.calls("once", "pay") != 1 {
			t.Errorf("ledger %v", w.ledger)
		}
	})
}

func TestSagaUndoesInReverseOrder(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","nodes":[
			{"id":"reserve","capability":"r.idempotent","compensate":{"capability":"r.idempotent","inputs":{"id":"undo-${nodes.reserve.output.id}"}}},
			{"id":"charge","capability":"r.once","depends_on":["reserve"],"compensate":{"capability":"r.idempotent","inputs":{"id":"undo-charge","fail":1,"code":"unavailable"}}},
			{"id":"note","capability":"r.once","depends_on":["charge"]},
			{"id":"ship","capability":"r.once","depends_on":["note"],"inputs":{"fail":9},"on_error":"compensate"}]}`)
		want(t, e, schemas.StatusFailed, "", "reserve=compensated charge=compensated note=succeeded ship=failed")
		var order []string
		for _, c := range w.ledger {
			order = append(order, c.id)
		}
		if got := strings.Join(order, " "); got != "reserve charge note ship undo-charge undo-charge undo-reserve" {
			t.Errorf("order: %s", got)
		}
	})
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","nodes":[
			{"id":"a","capability":"r.once","compensate":{"capability":"r.idempotent","inputs":{"id":"undo-a"}}},
			{"id":"b","capability":"r.once","depends_on":["a"],"compensate":{"capability":"r.idempotent","inputs":{"id":"undo-b","fail":9}}},
			{"id":"c","capability":"r.once","depends_on":["b"],"inputs":{"fail":9},"on_error":"compensate"}]}`)
		want(t, e, schemas.StatusFailed, "", "a=compensated b=succeeded c=failed")
		if !strings.Contains(e.Error.Message, "not undone: b") || e.Nodes[1].Error == nil {
			t.Errorf("a failed compensation is not reported: %v, %v", e.Error, e.Nodes[1].Error)
		}
	})
}

func TestCancelMayCompensate(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.once","compensate":{"capability":"r.idempotent","inputs":{"id":"undo"}}},{"id":"w","wait":"48h","depends_on":["a"]}]}`)
		p.cancel(t, id, engine.CancelOptions{Compensate: true})
		want(t, p.rest(t, id), schemas.StatusCancelled, "", "a=compensated w=cancelled")
		if w.calls("idempotent", "undo") != 1 {
			t.Errorf("ledger %v", w.ledger)
		}
	})
}

func TestRepairLoopOfAnAgent(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.once","on_error":"suspend","inputs":{"id":"bad","fail":9}},
			{"id":"b","capability":"r.read","depends_on":["a"]}],"output":"${nodes.a.output.id}"}`)
		want(t, e, schemas.StatusSuspended, "", "a=held b=pending")
		if e.WaitingFor[0].Reason != schemas.ReasonError || !strings.Contains(e.Hint, "patch") {
			t.Errorf("%+v %q", e.WaitingFor, e.Hint)
		}
		p.resumeWith(t, e.ExecutionID, "a", schemas.NodePatch{Inputs: schemas.Object(`{"id":"good"}`)})
		want(t, p.rest(t, e.ExecutionID), schemas.StatusSucceeded, `"good"`, "a=succeeded b=succeeded")
	})
}

func TestItemsAreHeldAndPatchedByIndex(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","inputs":{"l":[false,true,false]},"nodes":[{"id":"m","capability":"r.once","for_each":"${inputs.l}","timeout":"5s","inputs":{"id":"i${index}","mute":"${item}"}}],
			"output":"${nodes.m.output}"}`)
		want(t, e, schemas.StatusSuspended, "", "m=running")
		if len(e.WaitingFor) != 1 || e.WaitingFor[0].Item == nil || *e.WaitingFor[0].Item != 1 {
			t.Errorf("%+v", e.WaitingFor)
		}
		p.resumeWith(t, e.ExecutionID, "m[1]", schemas.NodePatch{Output: schemas.Value(`"decided"`)})
		want(t, p.rest(t, e.ExecutionID), schemas.StatusSucceeded, `[{"id":"i0"},"decided",{"id":"i2"}]`, "m=succeeded")
	})
}

func TestErrorsOfTimeoutsNameTheTimeout(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","max_parallel":1,"nodes":[
			{"id":"total","capability":"r.idempotent","inputs":{"fail":99,"code":"unavailable"},"retry":{"max_attempts":50,"initial_interval":"1s","backoff_coefficient":1,"jitter":0},"total_timeout":"10s","on_error":"continue"},
			{"id":"beat","capability":"r.read","inputs":{"take":"1m"},"heartbeat_timeout":"5s","retry":{"max_attempts":1},"on_error":"continue","depends_on":["total"],"trigger_rule":"all_done"},
			{"id":"long","capability":"r.read","inputs":{"take":"20s"},"depends_on":["beat"],"trigger_rule":"all_done"},
			{"id":"queue","capability":"r.read","queue_timeout":"5s","on_error":"continue","depends_on":["beat"],"trigger_rule":"all_done","priority":5}],
			"output":["${nodes.total.error.message}","${nodes.beat.error.code}","${nodes.queue.error.code}"]}`)
		want(t, e, schemas.StatusSucceeded, "", "total=failed beat=failed long=succeeded queue=failed")
		for _, s := range []string{"total_timeout", "heartbeat_lost", "queue_timeout"} {
			if !strings.Contains(string(e.Output), s) {
				t.Errorf("%s does not say %s", e.Output, s)
			}
		}
	})
}

func TestNodePriorityDecidesTheOrder(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		p.execute(t, `{"plan":"v1","max_parallel":1,"nodes":[{"id":"z","capability":"r.read","priority":5},{"id":"y","capability":"r.read"},{"id":"x","capability":"r.read","priority":1}]}`)
		var order string
		for _, c := range w.ledger {
			order += c.id
		}
		if order != "xyz" {
			t.Errorf("order %s", order)
		}
	})
}

func TestWorkflowRunsAPlanWithinThePlan(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		inner := `{"plan":"v1","name":"inner","timeout":"1m","inputs":{"n":0,"x":"y"},"nodes":[{"id":"a","capability":"r.once","inputs":{"id":"in-${inputs.n}","take":"90s"}}],"output":"${nodes.a.output.id}${inputs.x}"}`
		e := p.execute(t, `{"plan":"v1","nodes":[{"id":"w","workflow":{"definition":`+inner+`},"inputs":{"n":7}},{"id":"b","set":"${nodes.w.output}!"}],"output":"${nodes.b.output}"}`)
		want(t, e, schemas.StatusFailed, "", "w=failed b=cancelled") // a plan's own timeouts hold inside, too
		if !strings.Contains(e.Error.Message, "workflow: ") {
			t.Errorf("%v", e.Error)
		}
		inner = strings.Replace(inner, "90s", "50s", 1)
		e = p.execute(t, `{"plan":"v1","nodes":[{"id":"w","workflow":{"definition":`+inner+`},"inputs":{"n":8}},{"id":"b","set":"${nodes.w.output}!"}],"output":"${nodes.b.output}"}`)
		want(t, e, schemas.StatusSucceeded, `"in-8y!"`, "w=succeeded b=succeeded")
		kid, err := p.Executions.Status(t.Context(), e.Nodes[0].Child, "", 0, nil)
		if err != nil || kid.ParentID != e.ExecutionID || kid.Name != "inner" {
			t.Errorf("%+v %v", kid, err)
		}
		each := p.execute(t, `{"plan":"v1","inputs":{"l":[1,2,3]},"nodes":[{"id":"w","for_each":"${inputs.l}","workflow":{"definition":`+inner+`},"inputs":{"n":"${item}"}}],"output":"${nodes.w.output}"}`)
		want(t, each, schemas.StatusSucceeded, `["in-1y","in-2y","in-3y"]`, "")
	})
}

func TestCancelFlowsDownToWorkflows(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"w","workflow":{"definition":{"plan":"v1","nodes":[{"id":"a","wait":"48h"}]}}}]}`)
		e, err := p.Executions.Status(t.Context(), id, "nodes", 0, nil)
		if err != nil || e.Nodes[0].Child == "" {
			t.Fatalf("%+v %v", e, err)
		}
		p.cancel(t, id, engine.CancelOptions{})
		want(t, p.rest(t, id), schemas.StatusCancelled, "", "w=cancelled")
		want(t, p.rest(t, e.Nodes[0].Child), schemas.StatusCancelled, "", "a=cancelled")
	})
}

func TestWorkflowSurvivesACrash(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		first := run(w, s)
		id := first.submit(t, `{"plan":"v1","nodes":[{"id":"w","workflow":{"definition":{"plan":"v1","nodes":[{"id":"a","wait":"1h"},{"id":"b","capability":"r.once","depends_on":["a"]}],"output":1}}}]}`)
		first.stop()
		second := run(w, s)
		defer second.stop()
		want(t, second.rest(t, id), schemas.StatusSucceeded, `{"w":1}`, "w=succeeded")
		if w.calls("once", "b") != 1 {
			t.Errorf("ledger %v", w.ledger)
		}
	})
}
