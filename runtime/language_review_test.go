package runtime

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/safety"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

const twoDays = `{"id":"t","wait":"48h"}`

func TestParentsLeaveRoomForTheirChildren(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s, func(c *Config) { c.Limits.MaxExecutions = 1 })
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[`+subplan("w", "", `{"id":"a","capability":"r.once"}`)+`]}`)
		if p.Executions.Owns(id) {
			t.Error("an execution that waits for a workflow is kept in memory")
		}
		time.Sleep(time.Minute)
		if e, err := p.Executions.Status(t.Context(), id, "", 0, nil); err != nil || e.Status != schemas.StatusSucceeded {
			t.Errorf("%s %v: the child did not run", e.Status, err)
		}
	})
}

func TestChildrenEndWithTheirParentHoweverItEnds(t *testing.T) {
	for name, plan := range map[string]string{
		"timeout":                   `{"plan":"v1","timeout":"10m","nodes":[` + subplan("w", "", twoDays) + `]}`,
		"another workflow fails":    `{"plan":"v1","nodes":[` + subplan("w", "", twoDays) + `,` + subplan("x", "", `{"id":"t","wait":"5m"},{"id":"a","capability":"r.once","inputs":{"fail":9},"depends_on":["t"]}`) + `]}`,
		"an event does not come":    `{"plan":"v1","nodes":[` + subplan("w", "", twoDays) + `,{"id":"e","wait_for":{"event":"e","timeout":"5m"}}]}`,
		"a node fails at once":      `{"plan":"v1","inputs":{"l":[]},"nodes":[` + subplan("w", "", twoDays) + `,{"id":"s","set":"${inputs.l[3]}"}]}`,
		"a call fails":              `{"plan":"v1","nodes":[` + subplan("w", "", twoDays) + `,{"id":"a","capability":"r.once","inputs":{"fail":9}}]}`,
		"compensation":              `{"plan":"v1","nodes":[{"id":"a","capability":"r.once","compensate":{"capability":"r.read"}},` + subplan("w", "", twoDays) + `,{"id":"e","wait_for":{"event":"e","timeout":"5m"},"on_error":"compensate","depends_on":["a"]}]}`,
		"total_timeout of its node": `{"plan":"v1","nodes":[` + subplan("w", `"total_timeout":"5m","on_error":"continue",`, twoDays) + `]}`,
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				p := run(w, s)
				defer p.stop()
				id := p.submit(t, plan)
				time.Sleep(time.Hour)
				if e, err := p.Executions.Status(t.Context(), id, "", 0, nil); err != nil || !e.Status.Terminal() {
					t.Errorf("the parent is %s %v", e.Status, err)
				}
				for _, c := range p.children(t) {
					if !c.Status.Terminal() {
						t.Errorf("its child is %s", c.Status)
					}
				}
			})
		})
	}
}

func TestChildOfAParentThatEndedMakesNoCall(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		first := run(w, s)
		id := first.submit(t, `{"plan":"v1","nodes":[`+subplan("w", "", `{"id":"t","wait":"1h"},{"id":"a","capability":"r.once","depends_on":["t"]}`)+`,{"id":"q","review":"sure?"}]}`)
		first.stop()
		first.decide(t, first.review(t, id, "q"), safety.Decision{By: "ada"})
		synctest.Wait()
		second := run(w, s)
		defer second.stop()
		want(t, second.rest(t, id), schemas.StatusFailed, "", "w=cancelled q=failed")
		want(t, second.rest(t, second.children(t)[0].ExecutionID), schemas.StatusCancelled, "", "")
		if n := w.calls("", ""); n != 0 {
			t.Errorf("%d calls", n)
		}
	})
}

func TestChildrenCompensateWithTheirParent(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[`+subplan("w", "", `{"id":"a","capability":"r.once","compensate":{"capability":"r.read","inputs":{"id":"undo"}}},{"id":"t","wait":"48h","depends_on":["a"]}`)+`]}`)
		p.cancel(t, id, engine.CancelOptions{Compensate: true})
		p.rest(t, id)
		synctest.Wait()
		if w.calls("read", "undo") != 1 {
			t.Errorf("what the child did was not undone: %v", w.ledger)
		}
	})
}

func TestParentShowsWhichChildItWaitsFor(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[`+subplan("w", "", `{"id":"q","review":"sure?"}`)+`]}`)
		e, err := p.Executions.Status(t.Context(), id, "", 0, nil)
		if err != nil || len(e.WaitingFor) != 1 || !strings.Contains(e.Hint, e.WaitingFor[0].Child) {
			t.Errorf("%+v %q %v", e.WaitingFor, e.Hint, err)
		}
	})
}

func TestFallbackOfAReviewedCallIsReviewedItself(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"pay","capability":"r.once","safety_level":"review","inputs":{"id":"own","fail":9},
			"fallback":[{"capability":"r.idempotent","inputs":{"id":"other"}}]}]}`)
		approve := func(capability, inputs, instead string) {
			t.Helper()
			synctest.Wait()
			open, err := p.Safety.Reviews(t.Context())
			if err != nil || len(open) != 1 || open[0].Capability != capability || string(open[0].Inputs) != inputs {
				t.Fatalf("%+v %v", open, err)
			}
			p.decide(t, open[0].ReviewID, safety.Decision{Approve: true, Inputs: schemas.Object(instead)})
		}
		approve("r.once", `{"id":"own","fail":9}`, `{"id":"mended","fail":9}`)
		approve("r.idempotent", `{"id":"other"}`, `{"id":"changed"}`)
		want(t, p.rest(t, id), schemas.StatusSucceeded, `{"pay":{"id":"changed"}}`, "pay=succeeded")
		if w.calls("", "") != 2 || w.calls("once", "mended") != 1 {
			t.Errorf("ledger %v", w.ledger)
		}
	})
}

func TestAReviewThatExpiredCannotBeApproved(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"q","review":{"question":"sure?","expires":"1h"}}]}`)
		p.stop()
		time.Sleep(2 * time.Hour) // no process runs that would notice
		if _, err := p.Safety.Decide(t.Context(), p.review(t, id, "q"), safety.Decision{Approve: true, By: "ada"}); !errors.Is(err, &schemas.Error{Code: schemas.CodeConflict}) {
			t.Errorf("approved after its expiry: %v", err)
		}
		want(t, p.rest(t, id), schemas.StatusFailed, "", "q=failed")
	})
}

func TestRerunAsksAgain(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.read"},{"id":"ask","review":"delete?","depends_on":["a"]},{"id":"del","capability":"r.once","depends_on":["ask"]}]}`)
		p.decide(t, p.review(t, id, "ask"), safety.Decision{Approve: true, By: "ada"})
		p.rest(t, id)
		e, err := p.Executions.Rerun(t.Context(), id, "del")
		if err != nil {
			t.Fatal(err)
		}
		want(t, p.rest(t, e.ExecutionID), schemas.StatusRunning, "", "a=succeeded ask=held del=pending")
		if w.calls("once", "del") != 1 || w.calls("read", "a") != 1 {
			t.Errorf("one approval allowed two calls: %v", w.ledger)
		}
	})
}

func TestReviewsAreListedAmongManyOtherWaits(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		var nodes strings.Builder
		for i := range 120 {
			fmt.Fprintf(&nodes, `{"id":"w%d","wait":"48h"},`, i)
		}
		id := p.submit(t, `{"plan":"v1","nodes":[`+nodes.String()+`{"id":"q","review":"sure?"}]}`)
		open, err := p.Safety.Reviews(t.Context())
		if err != nil || len(open) != 1 {
			t.Errorf("%+v %v", open, err)
		}
		e, err := p.Executions.Status(t.Context(), id, "", 0, nil)
		if err != nil || e.WaitingFor[0].ReviewID == "" || !strings.Contains(e.Hint, "person") {
			t.Errorf("%+v %q %v", e.WaitingFor[0], e.Hint, err)
		}
	})
}

func TestItemsOfAReusedOutput(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","inputs":{"l":[1,2]},"nodes":[{"id":"m","set":"${item}","for_each":"${inputs.l}"},{"id":"n","capability":"r.read","depends_on":["m"]}]}`)
		again, err := p.Executions.Rerun(t.Context(), e.ExecutionID, "n")
		if err != nil {
			t.Fatal(err)
		}
		p.rest(t, again.ExecutionID)
		out, err := p.Executions.NodeOutput(t.Context(), again.ExecutionID, journal.OutputQuery{Node: "m", Item: new(1)})
		if err != nil || string(out.Output) != `2` {
			t.Errorf("%s %v", out.Output, err)
		}
		if _, err := p.Executions.NodeOutput(t.Context(), again.ExecutionID, journal.OutputQuery{Node: "m", Item: new(2)}); err == nil {
			t.Error("there is no item 2")
		}
	})
}

// What was approved is what runs, also where a node starts before all of its dependencies have ended and its expressions have another value
// by then.
func TestWhatWasApprovedIsWhatRuns(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.read"},{"id":"b","capability":"r.read","inputs":{"take":"30s"}},
			{"id":"pay","capability":"r.once","safety_level":"review","trigger_rule":"one_success","depends_on":["a"],"inputs":{"id":"${nodes.b.status}"}}]}`)
		open, err := p.Safety.Reviews(t.Context())
		if err != nil || len(open) != 1 || string(open[0].Inputs) != `{"id":"running"}` {
			t.Fatalf("%+v %v", open, err)
		}
		time.Sleep(time.Minute)
		if open, err = p.Safety.Reviews(t.Context()); err != nil || string(open[0].Inputs) != `{"id":"running"}` {
			t.Fatalf("what the review shows changes: %+v %v", open, err)
		}
		p.decide(t, open[0].ReviewID, safety.Decision{Approve: true, By: "ada"})
		p.rest(t, id)
		if w.calls("once", "running") != 1 || w.calls("once", "") != 1 {
			t.Errorf("ledger %v", w.ledger)
		}
	})
}

// A choice and data are checked before anything is decided; what is decided is the output, also after another process has taken over.
func TestApprovalsWithChoicesAndData(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"q","review":{"question":"how?","choices":["all","some"],
			"schema":{"type":"object","properties":{"cents":{"type":"integer"}},"required":["cents"]}}},
			{"id":"pay","capability":"r.once","inputs":{"id":"${nodes.q.output.choice}-${nodes.q.output.data.cents}"}}]}`)
		synctest.Wait()
		p.stop()
		p = run(w, s)
		defer p.stop()
		open := p.review(t, id, "q")
		if e, err := p.Executions.Status(t.Context(), id, "", 0, nil); err != nil || len(e.WaitingFor[0].Choices) != 2 || !strings.Contains(string(e.WaitingFor[0].Schema), "cents") {
			t.Errorf("%+v %v", e.WaitingFor, err)
		}
		for _, tt := range []struct {
			d     safety.Decision
			field string
		}{
			{safety.Decision{Approve: true}, "choice"},
			{safety.Decision{Approve: true, Choice: "none", Data: schemas.Value(`{"cents":1}`)}, "choice"},
			{safety.Decision{Approve: true, Choice: "all"}, "data"},
			{safety.Decision{Approve: true, Choice: "all", Data: schemas.Value(`null`)}, "data"},
			{safety.Decision{Approve: true, Choice: "all", Data: schemas.Value(`{"cents":"1"}`)}, "data/cents"},
			{safety.Decision{Choice: "all"}, ""},
			{safety.Decision{Approve: true, Choice: "all", Data: schemas.Value(`{"cents":1}`), Inputs: schemas.Object(`{"id":"x"}`)}, "inputs"},
		} {
			_, err := p.Safety.Decide(t.Context(), open, tt.d)
			if e := schemas.AsError(err); err == nil || e.Code != schemas.CodeInvalidArgument || e.Field != tt.field {
				t.Errorf("%+v: %v, field %q", tt.d, err, e.Field)
			}
		}
		p.decide(t, open, safety.Decision{Approve: true, By: "ada", Choice: "some", Data: schemas.Value(`{"cents":900}`)})
		want(t, p.rest(t, id), schemas.StatusSucceeded, "", "q=succeeded pay=succeeded")
		if w.calls("once", "some-900") != 1 {
			t.Errorf("ledger %v", w.ledger)
		}
	})
}
