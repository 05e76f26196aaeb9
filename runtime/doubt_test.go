package runtime

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/storetest"
)

// A once call that runs on after its timeout of 10s, or after the death of the process that made it, has its effect once: a
// verification that has not found it is not believed while it may still run.
func TestSlowCallHasItsEffectOnce(t *testing.T) {
	const ask = `"on_unknown":{"verify":{"capability":"r.read","inputs":{"seen":"n"},"happened":"${output > 0}"}}`
	for name, tt := range map[string]struct {
		runs, settle time.Duration
	}{
		"within the timeout":         {runs: 9 * time.Second},
		"a second longer":            {runs: 11 * time.Second},
		"until the last moment":      {runs: 70*time.Second - 1},
		"as long as the policy says": {runs: 5 * time.Minute, settle: 5 * time.Minute},
		"for an hour":                {runs: time.Hour, settle: time.Hour},
	} {
		for _, crash := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, crash %v", name, crash), func(t *testing.T) {
				inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
					policies := func(c *Config) {
						if tt.settle > 0 {
							c.Policies.Default.Settle = new(schemas.Duration(tt.settle))
						}
					}
					first := s
					if crash {
						first = storetest.Crash(s, 2, storetest.CrashBefore) // what comes after the start is not committed
					}
					p := run(w, first, policies)
					id := p.submit(t, fmt.Sprintf(`{"plan":"v1","nodes":[{"id":"n","capability":"r.once","timeout":"10s","inputs":{"runs":%q},%s}]}`, tt.runs, ask))
					time.Sleep(5 * time.Second)
					if crash {
						p.stop()
						p = run(w, s, policies)
					}
					defer p.stop()
					time.Sleep(3 * time.Hour)
					synctest.Wait()
					e := p.rest(t, id)
					want(t, e, schemas.StatusSucceeded, "", "n=succeeded")
					if effects, calls := w.happened("n"), w.calls("once", "n"); effects != 1 || calls != 1 {
						t.Errorf("%d effects of %d calls", effects, calls)
					}
					if asked := w.calls("read", ""); asked > 25 {
						t.Errorf("asked %d times", asked)
					}
				})
			})
		}
	}
}

// What becomes known of a call after its timeout of 10s decides, as soon as it is known: after 20s here. owned: another node keeps the
// execution in memory; otherwise no process has it then.
func TestLateAnswerSettlesACallThatTimedOut(t *testing.T) {
	const ask = `,"on_unknown":{"verify":{"capability":"r.read","inputs":{"seen":"n"},"happened":"${output > 0}"}},"retry":{"max_attempts":2,"initial_interval":"1ms"}`
	for name, tt := range map[string]struct {
		late, options string
		status        schemas.Status
		node          schemas.NodeStatus
		calls         int
		ended         time.Duration // when it has come so far
	}{
		"held, answered":     {"answer", ``, schemas.StatusSucceeded, schemas.NodeSucceeded, 1, 20 * time.Second},
		"held, failed":       {"fail", ``, schemas.StatusFailed, schemas.NodeFailed, 1, 20 * time.Second},
		"held, ended":        {"ended", ``, schemas.StatusSuspended, schemas.NodeHeld, 1, 0},
		"verified, answered": {"answer", ask, schemas.StatusSucceeded, schemas.NodeSucceeded, 1, 20 * time.Second},
		"verified, failed":   {"fail", ask, schemas.StatusFailed, schemas.NodeFailed, 1, 20 * time.Second},
		"verified, ended":    {"ended", ask, schemas.StatusFailed, schemas.NodeFailed, 2, 40 * time.Second}, // so does the second call
		"to retry, answered": {"answer", `,"on_unknown":"retry"`, schemas.StatusSucceeded, schemas.NodeSucceeded, 1, 20 * time.Second},
		"to retry, ended":    {"ended", `,"on_unknown":"retry","retry":{"max_attempts":2}`, schemas.StatusFailed, schemas.NodeFailed, 2, 30 * time.Second},
		"given up, answered": {"answer", `,"on_unknown":"fail"`, schemas.StatusFailed, schemas.NodeFailed, 1, 10 * time.Second},
	} {
		for _, owned := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, owned %v", name, owned), func(t *testing.T) {
				inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
					p := run(w, s)
					defer p.stop()
					began := time.Now()
					other := ""
					if owned {
						other = `,{"id":"w","capability":"r.read","inputs":{"take":"15s"}}`
					}
					id := p.submit(t, fmt.Sprintf(`{"plan":"v1","nodes":[{"id":"n","capability":"r.once","timeout":"10s","inputs":{"runs":"20s","late":%q}%s}%s]}`,
						tt.late, tt.options, other))
					time.Sleep(3 * time.Hour)
					synctest.Wait()
					e := p.rest(t, id)
					if n := e.Nodes[0].Status; e.Status != tt.status || n != tt.node || w.calls("once", "n") != tt.calls {
						t.Errorf("%s, the node %s, after %d calls, want %s, %s, after %d", e.Status, n, w.calls("once", "n"), tt.status, tt.node, tt.calls)
					}
					if tt.ended > 0 && e.FinishedAt.Sub(began).Truncate(time.Second) != tt.ended {
						t.Errorf("ended after %s, want %s", e.FinishedAt.Sub(began), tt.ended)
					}
					if len(e.WaitingFor) > 0 && e.WaitingFor[0].MayRunUntil != nil {
						t.Errorf("%+v", e.WaitingFor[0])
					}
				})
			})
		}
	}
}

// A person who decides that a held call is made again is told until when it may still run, and has to say force before that.
func TestRetryOfACallThatMayStillRunNeedsForce(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		start := time.Now()
		plan := `{"plan":"v1","nodes":[{"id":"n","for_each":[1,2],"capability":"r.once","timeout":"10s","inputs":{"mute":true}%s}]}`
		held := p.submit(t, fmt.Sprintf(plan, ""))
		failed := p.submit(t, fmt.Sprintf(plan, `,"on_unknown":"fail","on_error":"suspend"`))
		time.Sleep(20 * time.Second)
		until := start.Add(70 * time.Second)
		e := p.rest(t, held)
		if got := e.WaitingFor; len(got) != 2 || got[0].Reason != schemas.ReasonUnknown || got[0].MayRunUntil == nil || got[0].MayRunUntil.Sub(until).Abs() > time.Second {
			t.Fatalf("waits for %+v, want until %s", got, until)
		}
		refused := func(id, unit string, p1 schemas.NodePatch) {
			t.Helper()
			_, err := p.Executions.Resume(t.Context(), id, &schemas.Patch{Nodes: map[string]schemas.NodePatch{unit: p1}})
			if e := schemas.AsError(err); !errors.Is(err, &schemas.Error{Code: schemas.CodeConflict}) || e.RetryAfterSeconds < 49 || e.RetryAfterSeconds > 51 {
				t.Errorf("%s: %+v", unit, err)
			}
		}
		refused(held, "n[0]", schemas.NodePatch{Retry: true})
		refused(held, "n[0]", schemas.NodePatch{Inputs: schemas.Object(`{"id":"x"}`)})
		refused(failed, "n[0]", schemas.NodePatch{Retry: true})
		if n := w.calls("once", ""); n != 4 {
			t.Errorf("%d calls", n)
		}
		_, err := p.Executions.Resume(t.Context(), held, &schemas.Patch{Nodes: map[string]schemas.NodePatch{"n[0]": {Skip: true, Force: true}}})
		if !errors.Is(err, &schemas.Error{Code: schemas.CodeInvalidArgument}) {
			t.Errorf("force for a skip: %v", err)
		}
		p.resumeWith(t, held, "n[0]", schemas.NodePatch{Inputs: schemas.Object(`{"id":"forced"}`), Force: true})
		p.resumeWith(t, held, "n[1]", schemas.NodePatch{Output: schemas.Value(`1`)})
		time.Sleep(time.Until(until.Add(time.Second)))
		p.resumeWith(t, failed, "n[0]", schemas.NodePatch{Retry: true})
		synctest.Wait()
		want(t, p.rest(t, held), schemas.StatusSucceeded, "", "n=succeeded")
		if n := w.calls("once", "forced"); n != 1 {
			t.Errorf("%d forced calls", n)
		}
	})
}

// A rerun of a node whose call may still run is refused until it cannot; one that does not call it again is not.
func TestRerunOfACallThatMayStillRun(t *testing.T) {
	for _, tt := range []struct {
		name, node, timeout, from string
		again                     bool // after the doubt
	}{
		{"from the node", "failed", `"timeout":"10s",`, "n", true},
		{"from a node before it", "failed", `"timeout":"10s",`, "a", true},
		{"all of it", "failed", `"timeout":"10s",`, "", true},
		{"from another node, that failed too", "failed", `"timeout":"10s",`, "f", true},
		{"given up at the timeout of the plan", "cancelled", `"timeout":"40s",`, "n", true},
		{"without a timeout", "cancelled", "", "n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				w.change("once", plan.Tool{Effect: schemas.EffectOnce, Hash: "once", Policy: schemas.Policy{Timeout: new(schemas.Duration)}})
				p := run(w, s)
				defer p.stop()
				e := p.execute(t, fmt.Sprintf(`{"plan":"v1","timeout":"20s","nodes":[{"id":"a","capability":"r.read"},{"id":"f","set":"${1/0}","depends_on":["a"],"on_error":"continue"},
					{"id":"n","capability":"r.once","depends_on":["a"],%s"inputs":{"runs":"1m"},"on_unknown":"fail"}]}`, tt.timeout))
				want(t, e, e.Status, "", "a=succeeded f=failed n="+tt.node)
				_, err := p.Executions.Rerun(t.Context(), e.ExecutionID, tt.from)
				if !errors.Is(err, &schemas.Error{Code: schemas.CodeConflict}) {
					t.Fatalf("at once: %v", err)
				}
				time.Sleep(3 * time.Minute)
				_, err = p.Executions.Rerun(t.Context(), e.ExecutionID, tt.from)
				if (err == nil) != tt.again {
					t.Errorf("later: %v", err)
				}
				time.Sleep(time.Hour)
			})
		})
	}
}
