package runtime

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/storetest"
)

func (p *process) setState(t *testing.T, key, data string, ttl time.Duration) {
	t.Helper()
	if _, err := p.States.Set(t.Context(), state.Write{Ref: state.Ref{Type: "order", Key: key}, Data: schemas.Value(data), TTL: ttl}); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

func (p *process) deleteState(t *testing.T, key string) {
	t.Helper()
	if _, err := p.States.Delete(t.Context(), state.Ref{Type: "order", Key: key}, nil); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

// paid is a wait_for until an order is paid; its brace is open.
const paid = `{"state":{"type":"order","key":"${inputs.order}"},"until":"${state.data.status == 'paid'}"`

func awaiting(waitFor, more string) string {
	return `{"plan":"v1","inputs":{"order":"A"},"nodes":[{"id":"w","wait_for":` + waitFor + more + `},{"id":"b","capability":"r.once","depends_on":["w"]}],"output":"${nodes.w.output}"}`
}

// A plan goes on at once when a state is as it waits for it, whichever replica has set it; the state is the output of the node. While it
// waits the execution is not in memory.
func TestWaitForAState(t *testing.T) {
	for _, tt := range []struct {
		name    string
		waitFor string
		before  func(t *testing.T, p *process) // before the execution is submitted
		set     func(t *testing.T, p *process) // changes nothing yet
		then    func(t *testing.T, p *process) // makes the state as it waits for it
		took    time.Duration                  // from then on
		output  string
	}{
		{
			name: "it is there already", waitFor: paid + "}",
			before: func(t *testing.T, p *process) { p.setState(t, "A", `{"status":"paid"}`, 0) },
			output: `{"found":true,"data":{"status":"paid"},"version":1}`,
		}, {
			name: "it comes", waitFor: `{"state":{"type":"order","key":"A"}}`,
			set:    func(t *testing.T, p *process) { p.setState(t, "B", `1`, 0) },
			then:   func(t *testing.T, p *process) { p.setState(t, "A", `null`, 0) },
			output: `{"found":true,"data":null,"version":1}`,
		}, {
			name: "it becomes so", waitFor: paid + "}",
			before: func(t *testing.T, p *process) { p.setState(t, "A", `{"status":"open"}`, 0) },
			set: func(t *testing.T, p *process) {
				p.setState(t, "A", `{"status":"sent"}`, 0)
				p.deleteState(t, "A")
				p.setState(t, "A", `{"status":"open"}`, 0)
			},
			then:   func(t *testing.T, p *process) { p.setState(t, "A", `{"status":"paid"}`, 0) },
			output: `{"found":true,"data":{"status":"paid"},"version":5}`,
		}, {
			name: "it goes", waitFor: `{"state":{"type":"order","key":"A"},"until":"${!state.found}"}`,
			before: func(t *testing.T, p *process) { p.setState(t, "A", `1`, 0) },
			set:    func(t *testing.T, p *process) { p.setState(t, "A", `2`, 0) },
			then:   func(t *testing.T, p *process) { p.deleteState(t, "A") },
			output: `{"found":false,"data":null,"version":0}`,
		}, {
			name: "it expires", waitFor: `{"state":{"type":"order","key":"A"},"until":"${!state.found}"}`,
			before: func(t *testing.T, p *process) { p.setState(t, "A", `1`, time.Hour) },
			then:   func(*testing.T, *process) {},
			took:   time.Hour + state.ExpiryGrain, output: `{"found":false,"data":null,"version":0}`,
		}, {
			name: "the replica that sets it dies before it notifies", waitFor: paid + "}",
			then: func(t *testing.T, p *process) {
				silent := idle(p.Capabilities.Realms, p.store)
				silent.setState(t, "A", `{"status":"paid"}`, 0)
			},
			took: 2 * state.NotifyPeriod, output: `{"found":true,"data":{"status":"paid"},"version":1}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				here, there := run(w, s), run(w, s)
				defer here.stop()
				defer there.stop()
				do := func(what func(*testing.T, *process)) {
					if what != nil {
						what(t, there)
						synctest.Wait()
					}
				}
				do(tt.before)
				id := here.submit(t, awaiting(tt.waitFor, ""))
				do(tt.set)
				if tt.then != nil {
					e, err := here.Executions.Status(t.Context(), id, "", 0, nil)
					if err != nil || e.Status != schemas.StatusRunning || !e.Waiting || len(e.WaitingFor) != 1 || e.WaitingFor[0].Reason != schemas.ReasonState ||
						*e.WaitingFor[0].State != (schemas.StateName{Type: "order", Key: "A"}) || !strings.Contains(e.Hint, "set_state") {
						t.Fatalf("while it waits: %+v, %v", e, err)
					}
					if inMemory(here)+inMemory(there) != 0 {
						t.Error("it is in memory while it waits")
					}
					do(tt.then)
				}
				time.Sleep(tt.took)
				synctest.Wait()
				e, err := here.Executions.Status(t.Context(), id, schemas.ViewNodes, 0, nil)
				if err != nil {
					t.Fatal(err)
				}
				want(t, e, schemas.StatusSucceeded, tt.output, "w=succeeded b=succeeded")
				here.checkLog(t, id)
			})
		})
	}
}

// A wait ends by its timeout, by a condition that cannot be evaluated and by an invalid key.
func TestWaitForAStateEndsOtherwise(t *testing.T) {
	for _, tt := range []struct {
		name, waitFor, more, data string
		code                      schemas.Code
		field, says               string
		status                    schemas.Status
	}{
		{"timeout", paid + `,"timeout":"90s"}`, "", `{"status":"open"}`, schemas.CodeTimeout, "", `state "A" of type "order"`, schemas.StatusFailed},
		{"timeout, and the plan goes on", paid + `,"timeout":"90s"}`, `,"on_error":"continue"`, `{"status":"open"}`, schemas.CodeTimeout, "", "1m30s", schemas.StatusSucceeded},
		{"a member that is missing", paid + `,"timeout":"5m"}`, "", `{"other":1}`, schemas.CodeExpressionError, "/nodes/0/wait_for/until", "status", schemas.StatusFailed},
		{"a condition that is no boolean", `{"state":{"type":"order","key":"A"},"until":"${state.data}","timeout":"5m"}`, "", `7`, schemas.CodeExpressionError, "/nodes/0/wait_for/until", "true or false", schemas.StatusFailed},
		{"an empty key", `{"state":{"type":"order","key":"${inputs.order.substring(1)}"}}`, "", `7`, schemas.CodeInvalidArgument, "/nodes/0/wait_for/state/key", "0 bytes", schemas.StatusFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				p := run(w, s)
				defer p.stop()
				source := strings.Replace(awaiting(tt.waitFor, tt.more), `,"output":"${nodes.w.output}"`, "", 1)
				id := p.submit(t, source)
				p.setState(t, "A", tt.data, 0)
				time.Sleep(2 * time.Minute)
				e := p.rest(t, id)
				n := e.Nodes[0]
				if e.Status != tt.status || n.Error == nil || n.Error.Code != tt.code || !strings.Contains(n.Error.Message, tt.says) || tt.field != "" && n.Error.Field != tt.field || n.Error.Hint == "" {
					t.Errorf("%s, %+v", e.Status, n.Error)
				}
			})
		})
	}
}

// What is set while the execution is suspended counts when it is resumed; another principal's state of the same name never does.
func TestWaitForAStateWhileSuspended(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		here, there := run(w, s), run(w, s)
		defer here.stop()
		defer there.stop()
		id := here.submit(t, awaiting(paid+"}", ""))
		if _, err := there.States.Set(as(t, "other"), state.Write{Ref: state.Ref{Type: "order", Key: "A"}, Data: schemas.Value(`{"status":"paid"}`)}); err != nil {
			t.Fatal(err)
		}
		if _, err := here.Executions.Suspend(t.Context(), id, "", ""); err != nil {
			t.Fatal(err)
		}
		there.setState(t, "A", `{"status":"paid"}`, 0)
		time.Sleep(20 * state.NotifyPeriod)
		e, err := here.Executions.Status(t.Context(), id, "", 0, nil)
		if err != nil || e.Status != schemas.StatusSuspended {
			t.Fatalf("%s, %v", e.Status, err)
		}
		if !strings.Contains(e.Hint, "resume_execution") {
			t.Errorf("hint of a suspended execution: %s", e.Hint)
		}
		there.resume(t, id)
		time.Sleep(time.Second) // and no poll
		synctest.Wait()
		want(t, here.rest(t, id), schemas.StatusSucceeded, "", "w=succeeded b=succeeded")
	})
}

// An owner that stays for a call in flight is notified of the state all the same, and looks for itself where it was not notified.
func TestWaitForAStateBesideACall(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		silent := idle(w, s)
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"long","capability":"r.read","timeout":"20m","inputs":{"take":"10m"}},
			{"id":"a","wait_for":{"state":{"type":"order","key":"A"}}},{"id":"b","wait_for":{"state":{"type":"order","key":"B"}}}]}`)
		nodes := func() string {
			e, err := p.Executions.Status(t.Context(), id, schemas.ViewNodes, 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			return string(e.Nodes[0].Status) + " " + string(e.Nodes[1].Status) + " " + string(e.Nodes[2].Status)
		}
		p.setState(t, "A", `1`, 0)
		if got := nodes(); got != "running succeeded running" {
			t.Errorf("notified: %s", got)
		}
		silent.setState(t, "B", `1`, 0)
		time.Sleep(2 * state.NotifyPeriod)
		synctest.Wait()
		if got := nodes(); got != "running succeeded succeeded" {
			t.Errorf("not notified: %s", got)
		}
		want(t, p.rest(t, id), schemas.StatusSucceeded, "", "long=succeeded a=succeeded b=succeeded")
	})
}

// A wait that failed and is held may be tried again, skipped or given an output; one that goes on may be cancelled.
func TestWaitForAStateIsDecidedByAPerson(t *testing.T) {
	for _, tt := range []struct {
		name   string
		patch  schemas.NodePatch
		output string
		nodes  string
	}{
		{"output", schemas.NodePatch{Output: schemas.Value(`{"found":true,"data":"mine","version":9}`)}, `{"found":true,"data":"mine","version":9}`, "w=succeeded b=succeeded"},
		{"retry", schemas.NodePatch{Retry: true}, `{"found":true,"data":{"status":"paid"},"version":1}`, "w=succeeded b=succeeded"},
		{"skip", schemas.NodePatch{Skip: true}, "null", "w=skipped b=skipped"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				p := run(w, s)
				defer p.stop()
				id := p.submit(t, awaiting(paid+`,"timeout":"1m"}`, `,"on_error":"suspend"`))
				time.Sleep(2 * time.Minute)
				e := p.rest(t, id)
				if e.Status != schemas.StatusSuspended || len(e.WaitingFor) != 1 || e.WaitingFor[0].Reason != schemas.ReasonError {
					t.Fatalf("%s, %+v", e.Status, e.WaitingFor)
				}
				p.setState(t, "A", `{"status":"paid"}`, 0)
				p.resumeWith(t, id, "w", tt.patch)
				want(t, p.rest(t, id), schemas.StatusSucceeded, tt.output, tt.nodes)
			})
		})
	}
	t.Run("cancel", func(t *testing.T) {
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			p := run(w, s)
			defer p.stop()
			id := p.submit(t, awaiting(paid+"}", ""))
			p.cancel(t, id, engine.CancelOptions{})
			p.setState(t, "A", `{"status":"paid"}`, 0)
			want(t, p.rest(t, id), schemas.StatusCancelled, "", "w=cancelled b=cancelled")
			records, err := s.List(t.Context(), store.Query{Kind: journal.KindExecution, Term: journal.TermAwaits(state.Key("", schemas.StateName{Type: "order", Key: "A"}))})
			if err != nil || len(records) > 0 {
				t.Errorf("%d executions are found that wait, %v", len(records), err)
			}
		})
	})
}

// An owner has begun to wait and dies before it has looked at the state. A caller that changes the execution meanwhile does not remove the
// wake by which the next owner finds it.
func TestChangeBeforeTheFirstLookLeavesItToTheNextOwner(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		counting := storetest.Crash(s, 0, storetest.CrashAfter)
		begins := func(b *store.Batch) bool {
			return slices.ContainsFunc(b.Appends, func(e store.Append) bool { return strings.Contains(string(e.Value), `"node_started"`) })
		}
		dying := run(w, &hooks{Store: counting, commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
			if begins(&b) {
				counting.Reset(1)
			}
			return counting.Commit(ctx, b)
		}})
		dying.setState(t, "A", `{"status":"paid"}`, 0)
		time.Sleep(2 * state.NotifyPeriod) // that is not notified any more
		synctest.Wait()
		e, err := dying.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(strings.Replace(awaiting(paid+"}", ""), `"v1"`, `"v1","idempotency_key":"k"`, 1))})
		if err != nil && !counting.Crashed() {
			t.Fatal(err)
		}
		synctest.Wait()
		p := run(w, s)
		defer p.stop()
		records, err := s.List(t.Context(), store.Query{Kind: journal.KindExecution})
		if err != nil || len(records) != 1 || !counting.Crashed() {
			t.Fatalf("%d executions, %v, %v", len(records), err, e)
		}
		id := records[0].Key.ID
		p.signal(t, id, "nothing waits for it", nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		shown, err := p.Executions.Status(t.Context(), id, schemas.ViewNodes, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		want(t, shown, schemas.StatusSucceeded, "", "w=succeeded b=succeeded")
	})
}

// Whichever commit the process dies at, the wait ends once, with what was set.
func TestCrashWhileWaitingForAState(t *testing.T) {
	source := `{"plan":"v1","idempotency_key":"k","inputs":{"order":"A"},"nodes":[{"id":"a","capability":"r.once"},{"id":"w","wait_for":` + paid +
		`},"depends_on":["a"]},{"id":"b","capability":"r.once","depends_on":["w"]}],"output":"${nodes.w.output.data.status}"}`
	submit := func(t *testing.T, p *process) (string, error) {
		e, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(source)})
		synctest.Wait()
		return e.ExecutionID, err
	}
	setAndWait := func(t *testing.T, p *process) {
		_, _ = submit(t, p) // it may die of it
		_, _ = p.States.Set(t.Context(), state.Write{Ref: state.Ref{Type: "order", Key: "A"}, Data: schemas.Value(`{"status":"paid"}`)})
		time.Sleep(4 * state.NotifyPeriod)
		synctest.Wait()
	}
	commits := 0
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		counting := storetest.Crash(s, 0, storetest.CrashBefore)
		p := run(w, counting)
		defer p.stop()
		setAndWait(t, p)
		commits = counting.Commits()
	})
	if commits < 6 {
		t.Fatalf("%d commits", commits)
	}
	for at := 1; at <= commits; at++ {
		for _, mode := range storetest.CrashModes {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				dying := run(w, storetest.Crash(s, at, mode))
				setAndWait(t, dying)
				dying.stop()
				p := run(w, s)
				defer p.stop()
				id, err := submit(t, p)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := p.Executions.Signal(t.Context(), id, "nothing waits for it", nil); err != nil && schemas.AsError(err).Code != schemas.CodeAlreadyFinished { // a change before an owner has looked
					t.Fatal(err)
				}
				if there, err := p.States.Get(t.Context(), state.Ref{Type: "order", Key: "A"}); err != nil || !there.Found { // it was lost in the crash
					p.setState(t, "A", `{"status":"paid"}`, 0)
				}
				for range 10 {
					time.Sleep(2 * state.NotifyPeriod)
					synctest.Wait()
					e, err := p.Executions.Status(t.Context(), id, schemas.ViewNodes, 0, nil)
					if err != nil {
						t.Fatal(err)
					}
					if e.Status == schemas.StatusSuspended { // a once call of unknown outcome
						p.settle(t, w, e, "", map[string]bool{})
					}
				}
				want(t, p.rest(t, id), schemas.StatusSucceeded, `"paid"`, "a=succeeded w=succeeded b=succeeded")
				if a, b := w.calls("once", "a"), w.calls("once", "b"); a > 1 || b > 1 { // none where a person decided what became of it
					t.Errorf("a was called %d times, b %d", a, b)
				}
			})
			if t.Failed() {
				t.Fatalf("crash at commit %d of %d (%s)", at, commits, mode)
			}
		}
	}
}

func inMemory(p *process) int {
	return p.Executions.InMemory()
}

// An owner that could not read a state that is awaited reads it again only while the wait goes on: after that it sleeps.
func TestOwnerSleepsAfterAWaitThatItCouldNotCheck(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		reads := 0
		p := run(w, &hooks{Store: s, get: func(ctx context.Context, k store.Key) (store.Record, error) {
			if k.Kind == state.Kind {
				reads++
				return store.Record{}, errors.New("down")
			}
			return s.Get(ctx, k)
		}})
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.once","inputs":{"take":"1h"},"timeout":"2h"},
			{"id":"b","wait_for":{"state":{"type":"t","key":"k"},"timeout":"3500ms"},"on_error":"continue"}]}`)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if e, err := p.Executions.Status(t.Context(), id, schemas.ViewNodes, 0, nil); err != nil || e.Nodes[1].Status != schemas.NodeFailed || reads < 3 || reads > 5 {
			t.Errorf("%d reads of the state, %+v, %v", reads, e.Nodes, err)
		}
	})
}
