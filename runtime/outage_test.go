package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

const outagePlan = `{"plan":"v1","nodes":[{"id":"a","capability":"r.once","inputs":{"take":"5s"}},{"id":"b","capability":"r.read","inputs":{"take":"8s"}},
	{"id":"c","capability":"r.once","inputs":{"take":"1m"},"timeout":"5m"},
	{"id":"w","wait":"10s"},{"id":"d","capability":"r.once","inputs":{"take":"1s"},"depends_on":["a","b","w"]},{"id":"e","capability":"r.once","depends_on":["c","d"]}]}`

// Calls in flight go on, and their answers are committed when the store is back, also when the leases have expired by then. No once call is
// repeated, none is held, and what is submitted meanwhile is refused.
func TestStoreOutage(t *testing.T) {
	for _, hang := range []bool{false, true} {
		for _, replicas := range []int{1, 2} {
			for _, long := range []time.Duration{3 * time.Second, 12 * time.Second, 20 * time.Second} {
				t.Run(fmt.Sprintf("hang %v, %d replicas, %s", hang, replicas, long), func(t *testing.T) {
					inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
						began := time.Now()
						out := recordstest.Outage(s, hang, began.Add(2*time.Second), began.Add(2*time.Second+long))
						var all []*process
						for range replicas {
							p := run(w, out)
							defer p.stop()
							all = append(all, p)
						}
						id := all[0].submit(t, outagePlan)
						time.Sleep(3 * time.Second)
						if !hang {
							_, err := all[0].Executions.Execute(t.Context(), engine.Submit{Plan: []byte(outagePlan)})
							if e := schemas.AsError(err); e == nil || e.Code != schemas.CodeUnavailable || e.RetryAfterSeconds <= 0 || !e.Retryable {
								t.Errorf("refused with %v", err)
							}
						}
						time.Sleep(5 * time.Minute)
						e := all[0].rest(t, id)
						want(t, e, schemas.StatusSucceeded, "", "a=succeeded b=succeeded c=succeeded w=succeeded d=succeeded e=succeeded")
						for _, once := range []string{"a", "c", "d", "e"} {
							if n := w.calls("once", once); n != 1 {
								t.Errorf("%s was called %d times", once, n)
							}
						}
						synctest.Wait()
						for _, p := range all {
							p.ownsNothing(t)
						}
					})
				})
			}
		}
	}
}

// A caller is shown what this process knows, with a hint that it may be stale; an execution of another principal is not found, and one that
// this process does not own is unavailable.
func TestStatusDuringAStoreOutage(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		began := time.Now()
		p := run(w, recordstest.Outage(s, false, began.Add(10*time.Second), began.Add(20*time.Second)))
		defer p.stop()
		asleep := p.submit(t, `{"plan":"v1","nodes":[{"id":"n","wait":"1h"}]}`)
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.once","inputs":{"take":"5s"}},{"id":"b","capability":"r.once","inputs":{"take":"12s"},"depends_on":["a"]}]}`)
		time.Sleep(11 * time.Second)
		for _, view := range []schemas.View{schemas.ViewSummary, schemas.ViewNodes} {
			asked := time.Now()
			e, err := p.Executions.Status(t.Context(), id, view, 3*time.Second, nil)
			if err != nil || e.Status != schemas.StatusRunning || e.Progress.Succeeded != 1 || e.Progress.Running != 1 || e.Hint != hintStale || time.Since(asked) != 3*time.Second {
				t.Errorf("%s after %s: %+v %v", view, time.Since(asked), e, err)
			}
		}
		if _, err := p.Executions.Status(as(t, "other"), id, "", 0, nil); codeOf(err) != schemas.CodeNotFound {
			t.Errorf("another principal: %v", err)
		}
		if _, err := p.Executions.Status(t.Context(), asleep, "", 0, nil); codeOf(err) != schemas.CodeUnavailable || schemas.AsError(err).RetryAfterSeconds <= 0 {
			t.Errorf("an execution that this process does not own: %v", err)
		}
		if _, err := p.Executions.Cancel(t.Context(), id, engine.CancelOptions{}); codeOf(err) != schemas.CodeUnavailable {
			t.Errorf("a cancel: %v", err)
		}
		e := p.rest(t, id)
		want(t, e, schemas.StatusSucceeded, "", "a=succeeded b=succeeded")
		if e.Hint != "" || w.calls("once", "") != 2 {
			t.Errorf("%+v after %d calls", e, w.calls("once", ""))
		}
	})
}

// A direct call of a session, under limits, waits a few seconds for a store that hangs, and is made.
func TestDirectCallsOfASessionWhileTheStoreHangs(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		began := time.Now()
		out := recordstest.Outage(s, true, began.Add(time.Minute), began.Add(3*time.Minute))
		p := runWithPolicy(w, out, schemas.Policy{RateLimit: rate(100, time.Second)})
		defer p.stop()
		session, err := p.Sessions.Create(t.Context(), schemas.SessionUpdates{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(61 * time.Second)
		for range 5 {
			asked := time.Now()
			if _, err := p.Capabilities.Invoke(t.Context(), capability.Invocation{Realm: "r", Capability: "once", SessionID: session.SessionID, Inputs: json.RawMessage(`{}`)}); err != nil || time.Since(asked) > 5*time.Second {
				t.Errorf("after %s: %v", time.Since(asked), err)
			}
		}
	})
}

// A batch that the store refuses for good is not tried for ever. The execution is suspended with a reason, and tried again when it is
// resumed.
func TestCommitThatTheStoreRefusesForGood(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		var mu sync.Mutex
		refused, refuse := 0, true
		p := run(w, &hooks{Store: s, commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
			mu.Lock()
			defer mu.Unlock()
			for _, a := range b.Appends {
				var e schemas.Event
				if err := json.Unmarshal(a.Value, &e); err != nil {
					t.Error(err)
				}
				if refuse && e.Type == schemas.EventNodeSucceeded && e.Node == "n" {
					refused++
					return store.Committed{}, fmt.Errorf("%w: as the test asks for", store.ErrInvalid)
				}
			}
			return s.Commit(ctx, b)
		}})
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.once","inputs":{"take":"1s"}}]}`)
		time.Sleep(time.Hour)
		e := p.rest(t, id)
		if e.Status != schemas.StatusSuspended || e.Reason == "" || refused != 1 {
			t.Errorf("%s for %q after %d refusals", e.Status, e.Reason, refused)
		}
		p.ownsNothing(t)
		mu.Lock()
		refuse = false
		mu.Unlock()
		p.resume(t, id)
		want(t, p.rest(t, id), schemas.StatusSuspended, "", "n=held") // the outcome of its call is unknown
		if w.calls("once", "n") != 1 {
			t.Errorf("ledger %v", w.ledger)
		}
	})
}

// hintStale is the hint of an execution that is shown while the store does not answer.
const hintStale = "the store does not answer: this is the state of the last commit. Calls in flight continue, and their results are " +
	"committed when the store answers again; ask again then"

// What an execution may spend on expressions is not spent while its store does not answer, or answers late.
func TestSlowStoreSpendsNoEvaluationBudget(t *testing.T) {
	for name, outages := range map[string]int64{"slow": 0, "an outage": 30} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				var reads atomic.Int64
				slow := &hooks{Store: s, get: func(ctx context.Context, k store.Key) (store.Record, error) {
					if k.Kind == journal.KindOutput {
						time.Sleep(4 * time.Second)
						if reads.Add(1) <= outages {
							return store.Record{}, errors.New("no connection")
						}
					}
					return s.Get(ctx, k)
				}}
				p := run(w, slow, func(c *Config) { c.Limits.MaxEvaluation = 2 * time.Second })
				defer p.stop()
				e := p.execute(t, poison(`{"id":"p","set":"${nodes.poison.output.v + 'x'}","depends_on":["w"]}`))
				m, err := p.Executions.Metrics(t.Context(), e.ExecutionID)
				if e.Status != schemas.StatusSucceeded || err != nil || m.Used.EvaluationMS >= 2000 || reads.Load() <= outages {
					t.Errorf("%s after %d reads: %v; used %+v, %v", e.Status, reads.Load(), e.Error, m.Used, err)
				}
			})
		})
	}
}
