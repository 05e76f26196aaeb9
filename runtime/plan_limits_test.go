package runtime

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/storetest"
)

// wantLimit checks that an execution is suspended by a limit of its plan, and says so.
func wantLimit(t *testing.T, e schemas.Execution, want schemas.ReachedLimit) {
	t.Helper()
	if e.Status != schemas.StatusSuspended || len(e.WaitingFor) == 0 || e.WaitingFor[0].Reason != schemas.ReasonBudget || e.WaitingFor[0].Limit == nil {
		t.Fatalf("%s, waiting for %+v, error %v", e.Status, e.WaitingFor, e.Error)
	}
	if got := *e.WaitingFor[0].Limit; got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if !strings.Contains(e.Hint, want.Raise) || !strings.Contains(e.Reason, want.Limit) {
		t.Errorf("hint %q, reason %q", e.Hint, e.Reason)
	}
}

func (p *process) raise(t *testing.T, id, to string) error {
	t.Helper()
	_, err := p.Executions.Resume(t.Context(), id, &schemas.Patch{Limits: schemas.Object(to)})
	return err
}

// calls in a row, one after the other.
func inARow(n int) string {
	var nodes []string
	for i := range n {
		node := fmt.Sprintf(`{"id":"n%d","capability":"r.once","inputs":{"id":"c%d"}`, i, i)
		if i > 0 {
			node += fmt.Sprintf(`,"depends_on":["n%d"]`, i-1)
		}
		nodes = append(nodes, node+"}")
	}
	return strings.Join(nodes, ",")
}

func TestLimitOfCallsSuspendsUntilItIsRaised(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","limits":{"calls":2},"nodes":[`+inARow(5)+`],"output":"done"}`)
		wantLimit(t, e, schemas.ReachedLimit{Limit: "calls", Used: "2", Allowed: "2", Raise: `{"limits":{"calls":4}}`})
		if len(w.ledger) != 2 {
			t.Errorf("%d calls were made", len(w.ledger))
		}
		_, err := p.Executions.Resume(t.Context(), e.ExecutionID, nil)
		if refused, ok := errors.AsType[*schemas.Error](err); !ok || refused.Code != schemas.CodeConflict || !strings.Contains(refused.Hint, `{"limits":{"calls":4}}`) {
			t.Errorf("resumed without a raise: %v", err)
		}
		for _, wrong := range []string{`{}`, `{"calls":1}`, `{"calls":2}`, `{"calls":0}`, `{"calls":-1}`, `{"calls":"9"}`, `{"time":"1h"}`, `{"bytes":10}`, `{"tokens":10}`, `[]`} {
			if err := p.raise(t, e.ExecutionID, wrong); err == nil {
				t.Errorf("limits %s were accepted", wrong)
			}
		}
		if err := p.raise(t, e.ExecutionID, `{"calls":4}`); err != nil {
			t.Fatal(err)
		}
		e = p.rest(t, e.ExecutionID)
		wantLimit(t, e, schemas.ReachedLimit{Limit: "calls", Used: "4", Allowed: "4", Raise: `{"limits":{"calls":8}}`})
		if err := p.raise(t, e.ExecutionID, `{"calls":5}`); err != nil {
			t.Fatal(err)
		}
		want(t, p.rest(t, e.ExecutionID), schemas.StatusSucceeded, `"done"`, "")
		m, err := p.Executions.Metrics(t.Context(), e.ExecutionID)
		if err != nil || m.PlanUsed == nil || m.PlanUsed.Calls != 5 || m.PlanLimits == nil || m.PlanLimits.Calls != 5 {
			t.Errorf("metrics: used %+v of %+v, %v", m.PlanUsed, m.PlanLimits, err)
		}
		p.checkLog(t, e.ExecutionID)
	})
}

// An execution that needs no more than it may use ends as usual, and a wait is no call.
func TestLimitThatIsJustEnoughIsNotReached(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		want(t, p.execute(t, `{"plan":"v1","limits":{"calls":1},"on_limit":"fail","nodes":[{"id":"w","wait":"10s"},
			{"id":"a","capability":"r.read","inputs":{"id":"a"},"depends_on":["w"]},{"id":"b","set":1,"depends_on":["a"]},
			{"id":"c","capability":"r.read","inputs":{"id":"c"},"depends_on":["a"],"when":"${false}"}],"output":"${nodes.b.output}"}`),
			schemas.StatusSucceeded, "1", "w=succeeded a=succeeded b=succeeded c=skipped")
	})
}

func TestLimitFailsTheExecutionWhereThePlanSaysSo(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","limits":{"calls":3},"on_limit":"fail","nodes":[
			{"id":"a","capability":"r.read","inputs":{"id":"a","fail":9},"retry":{"max_attempts":9},"on_error":"continue"}]}`)
		if e.Status != schemas.StatusFailed || e.Error == nil || e.Error.Code != schemas.CodeQuotaExceeded || !strings.Contains(e.Error.Message, "3 of 3, the calls") {
			t.Fatalf("%s: %v", e.Status, e.Error)
		}
		if len(w.ledger) > 3 {
			t.Errorf("%d calls were made: retries count", len(w.ledger))
		}
	})
}

// The time stands still while the execution is suspended. Calls in flight end, and their results are kept.
func TestLimitOfTimeCountsRunningTime(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","limits":{"time":"1m"},"nodes":[{"id":"a","capability":"r.once","inputs":{"id":"a","take":"50s"}},
			{"id":"b","capability":"r.once","inputs":{"id":"b","take":"30s"},"depends_on":["a"]},{"id":"c","set":1,"depends_on":["b"]}],"output":"${nodes.c.output}"}`)
		time.Sleep(20 * time.Second)
		p.suspend(t, id, "drain")
		time.Sleep(time.Hour)
		synctest.Wait()
		p.resume(t, id)
		e := p.rest(t, id)
		if len(e.WaitingFor) == 0 || e.WaitingFor[0].Limit == nil {
			t.Fatalf("%s: %+v %v", e.Status, e.WaitingFor, e.Error)
		}
		wantLimit(t, e, schemas.ReachedLimit{Limit: "time", Used: "1m", Allowed: "1m", Raise: `{"limits":{"time":"2m"}}`})
		if e.Progress.Succeeded != 2 {
			t.Errorf("progress %+v", e.Progress)
		}
		if err := p.raise(t, id, `{"time":"2m"}`); err != nil {
			t.Fatal(err)
		}
		want(t, p.rest(t, id), schemas.StatusSucceeded, "1", "")
	})
}

// A limit of time is reached when it is over, whatever its parts of a millisecond, in a plan and in a patch.
func TestLimitOfTimeMayHavePartsOfAMillisecond(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","limits":{"time":"1500us"},"nodes":[{"id":"a","wait":"1s"}]}`)
		wantLimit(t, e, schemas.ReachedLimit{Limit: "time", Used: "1.5ms", Allowed: "1.5ms", Raise: `{"limits":{"time":"3ms"}}`})
		if err := p.raise(t, e.ExecutionID, `{"time":"2ms100ns"}`); err != nil {
			t.Fatal(err)
		}
		e = p.rest(t, e.ExecutionID)
		wantLimit(t, e, schemas.ReachedLimit{Limit: "time", Used: "2.0001ms", Allowed: "2.0001ms", Raise: `{"limits":{"time":"4.0002ms"}}`})
	})
}

func TestLimitOfBytesAndOfWorkflows(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","limits":{"bytes":1000},"nodes":[{"id":"a","set":"`+strings.Repeat("x", 1200)+`"},{"id":"b","set":1,"depends_on":["a"]}]}`)
		wantLimit(t, e, schemas.ReachedLimit{Limit: "bytes", Used: "1202", Allowed: "1000", Raise: `{"limits":{"bytes":2000}}`})

		// What a workflow has called counts when it has ended.
		e = p.execute(t, `{"plan":"v1","limits":{"calls":3},"nodes":[{"id":"w","workflow":{"definition":{"nodes":[`+inARow(3)+`]}}},
			{"id":"a","capability":"r.once","inputs":{"id":"after"},"depends_on":["w"]}],"output":"${nodes.a.output.id}"}`)
		wantLimit(t, e, schemas.ReachedLimit{Limit: "calls", Used: "3", Allowed: "3", Raise: `{"limits":{"calls":6}}`})
		if err := p.raise(t, e.ExecutionID, `{"calls":6}`); err != nil {
			t.Fatal(err)
		}
		want(t, p.rest(t, e.ExecutionID), schemas.StatusSucceeded, `"after"`, "")
	})
}

// Whatever commit the process dies at, no more calls are made than the limit allows, and the raise is not lost.
func TestLimitSurvivesCrashAtEveryCommit(t *testing.T) {
	const source = `"limits":{"calls":3}`
	for _, mode := range storetest.CrashModes {
		t.Run(mode.String(), func(t *testing.T) {
			for at := 1; ; at++ {
				reached := false
				inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
					dying := storetest.Crash(s, at, mode)
					first := run(w, dying)
					_, _ = first.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(
						`{"plan":"v1","idempotency_key":"k",` + source + `,"nodes":[` + strings.ReplaceAll(inARow(5), "r.once", "r.read") + `],"output":"done"}`)})
					time.Sleep(time.Minute)
					synctest.Wait()
					reached = dying.Crashed()
					first.stop()
					second := run(w, s)
					defer second.stop()
					id := second.submit(t, `{"plan":"v1","idempotency_key":"k",`+source+`,"nodes":[`+strings.ReplaceAll(inARow(5), "r.once", "r.read")+`],"output":"done"}`)
					e := second.rest(t, id)
					if len(w.ledger) > 3 {
						t.Errorf("commit %d: %d calls were made", at, len(w.ledger))
					}
					wantLimit(t, e, schemas.ReachedLimit{Limit: "calls", Used: "3", Allowed: "3", Raise: `{"limits":{"calls":6}}`})
					if err := second.raise(t, id, `{"calls":9}`); err != nil {
						t.Fatal(err)
					}
					want(t, second.rest(t, id), schemas.StatusSucceeded, `"done"`, "")
					second.checkLog(t, id)
				})
				if !reached {
					if at < 5 {
						t.Errorf("the plan took only %d commits", at-1)
					}
					return
				}
			}
		})
	}
}

// The raise that is proposed can be made.
func TestProposedRaiseCanBeMade(t *testing.T) {
	limits := schemas.PlanLimits{Time: schemas.Duration(200 * 24 * time.Hour)}
	if r := limits.Reached(schemas.PlanLimits{Time: limits.Time}, true, false); r == nil || r.Raise != `{"limits":{"time":"8784h"}}` {
		t.Errorf("%+v", r)
	}
}
