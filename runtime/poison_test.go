package runtime

import (
	"context"
	"fmt"
	"strings"
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

// poisoned is the store of a process that dies, or panics, by an evaluation: by one that reads the large output of the node named poison.
type poisoned struct {
	store.Store
	takes time.Duration // how long it lives while it evaluates
	die   func()        // nil: the evaluation panics
	hits  atomic.Int64
}

func (s *poisoned) Get(ctx context.Context, k store.Key) (store.Record, error) {
	if k.Kind == journal.KindOutput && strings.HasSuffix(k.ID, "/poison") {
		s.hits.Add(1)
		time.Sleep(s.takes)
		if s.die == nil {
			panic("poisoned")
		}
		s.die()
	}
	return s.Store.Get(ctx, k)
}

// large is the output that is too large for the log.
var large = strings.Repeat("x", 2*engine.MaxInlineOutput)

// poisons are plans that evaluate what kills the process, after everything of them has left memory once.
var poisons = map[string]string{
	"set":       poison(`{"id":"p","set":"${nodes.poison.output.v + 'x'}","depends_on":["w"]}`),
	"when":      poison(`{"id":"p","set":1,"when":"${nodes.poison.output.v == 'y'}","depends_on":["w"]}`),
	"inputs":    poison(`{"id":"p","capability":"r.read","inputs":{"give":"${nodes.poison.output.v}"},"depends_on":["w"]}`),
	"list":      poison(`{"id":"p","set":1,"for_each":"${[nodes.poison.output.v]}","depends_on":["w"]}`),
	"wait":      poison(`{"id":"p","wait":"${nodes.poison.output.v}","depends_on":["w"]}`),
	"a plan":    poison(`{"id":"p","workflow":{"definition":{"plan":"v1","inputs":{},"nodes":[{"id":"s","set":1}]}},"inputs":{"v":"${nodes.poison.output.v}"},"depends_on":["w"]}`),
	"output":    strings.TrimSuffix(poison(`{"id":"p","set":1,"depends_on":["w"]}`), "}") + `,"output":"${nodes.poison.output.v + 'x'}"}`,
	"in a plan": `{"plan":"v1","nodes":[{"id":"c","workflow":{"definition":` + poison(`{"id":"p","set":"${nodes.poison.output.v}","depends_on":["w"]}`) + `}}]}`,
}

func poison(node string) string {
	return `{"plan":"v1","nodes":[{"id":"poison","capability":"r.read","inputs":{"give":{"v":"` + large + `"}}},{"id":"w","wait":"1m","depends_on":["poison"]},` + node + `]}`
}

// An execution that kills two processes in a row by what it evaluates is held by the next one before it is evaluated again, also if they die
// at once when it wakes. It can be cancelled there, resumed, and found; others go on as after any crash.
func TestPoisonedExecutionCannotKillThrice(t *testing.T) {
	for name, source := range poisons {
		for end, takes := range map[string]time.Duration{"cancel": 2 * time.Second, "resume": 2 * time.Second, "cancel at once": 0, "resume at once": 0} {
			t.Run(name+", "+end, func(t *testing.T) {
				end, _, _ := strings.Cut(end, " ")
				inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
					var root string
					var others []string
					for death := range 2 {
						dying := storetest.Crash(s, 0, storetest.CrashBefore)
						bad := &poisoned{Store: dying, takes: takes, die: dying.Die}
						first := run(w, bad)
						if death == 0 {
							root = first.submit(t, source)
						}
						for range 20 - 20*death {
							others = append(others, first.submit(t, `{"plan":"v1","nodes":[{"id":"a","wait":"50s"},{"id":"b","capability":"r.read","inputs":{"take":"20s"},"depends_on":["a"]},{"id":"c","capability":"r.idempotent","depends_on":["b"]}]}`))
						}
						time.Sleep(2 * time.Minute)
						synctest.Wait()
						if !dying.Crashed() || bad.hits.Load() != 1 {
							t.Fatalf("it was evaluated %d times", bad.hits.Load())
						}
						first.stop()
					}

					next := &poisoned{Store: s, takes: 2 * time.Second, die: func() { t.Error("it was evaluated again") }}
					second := run(w, next)
					defer second.stop()
					for _, id := range others {
						want(t, second.rest(t, id), schemas.StatusSucceeded, "", "")
					}
					held := second.heldExecution(t)
					if held.ExecutionID != root && held.ParentID != root {
						t.Fatalf("%+v is held", held)
					}
					if !strings.Contains(held.Hint, "resume_execution") || !strings.Contains(held.Reason, "died") || held.WaitingFor[0].Reason != schemas.ReasonRecovery {
						t.Errorf("%+v", held)
					}
					check, _ := schemas.Encode(second.Health.Check(t.Context(), schemas.ScopeRuntime))
					if !strings.Contains(string(check), held.ExecutionID) {
						t.Errorf("check_health: %s", check)
					}
					if end == "resume" {
						next.takes, next.die = 0, func() {}
						second.resume(t, held.ExecutionID)
						if e := second.rest(t, root); !e.Status.Terminal() || next.hits.Load() == 0 {
							t.Errorf("%s after a resume", e.Status)
						}
						return
					}
					if _, err := second.Executions.Cancel(t.Context(), root, engine.CancelOptions{}); err != nil {
						t.Error(err)
					}
					want(t, second.rest(t, root), schemas.StatusCancelled, "", "")
					time.Sleep(time.Minute)
					synctest.Wait()
					if open, _ := second.open(t); open > 0 {
						t.Errorf("%d are open", open)
					}
				})
			})
		}
	}
}

// An execution whose own expressions had taken many steps when its process died needs no second death: the mark says what they took.
func TestExecutionThatKillsByItsOwnExpressionsKillsOnce(t *testing.T) {
	digits := "[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19]"
	heavy := "${" + digits + ".map(a, " + digits + ".map(b, " + digits + ".map(c, a * b * c).size()).size()).size()}"
	many := ""
	for i := range 25 {
		many += fmt.Sprintf(`{"id":"h%d","set":"%s","depends_on":["w"]},`, i, heavy)
	}
	for name, node := range map[string]string{
		"in one value":  `{"id":"p","set":{"a":[` + strings.Repeat(`"`+heavy+`",`, 25) + `0],"b":"${nodes.poison.output.v}"},"depends_on":["w"]}`,
		"in many nodes": many + `{"id":"p","set":"${nodes.poison.output.v}","depends_on":["w"]}`,
		"in arguments":  `{"id":"p","capability":"r.read","inputs":{"give":{"a":[` + strings.Repeat(`"`+heavy+`",`, 25) + `0],"b":"${nodes.poison.output.v}"}},"depends_on":["w"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				dying := storetest.Crash(s, 0, storetest.CrashBefore)
				bad := &poisoned{Store: dying, takes: 2 * time.Second, die: dying.Die}
				first := run(w, bad)
				id := first.submit(t, poison(node))
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				if !dying.Crashed() {
					e, _ := first.Executions.Status(t.Context(), id, schemas.ViewNodes, 0, nil)
					t.Fatalf("the process lives: %+v", e)
				}
				first.stop()
				second := run(w, &poisoned{Store: s, die: func() { t.Error("it was evaluated again") }})
				defer second.stop()
				time.Sleep(time.Minute)
				synctest.Wait()
				if held := second.heldExecution(t); held.ExecutionID != id {
					t.Errorf("%+v", held)
				}
			})
		})
	}
}

// heldExecution returns the one execution that is held because the last process died by it.
func (p *process) heldExecution(t *testing.T) schemas.Execution {
	t.Helper()
	var found []schemas.Execution
	for _, e := range p.byName(t) {
		if len(e.WaitingFor) > 0 && e.WaitingFor[0].Reason == schemas.ReasonRecovery {
			found = append(found, e)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d executions are held", len(found))
	}
	e, err := p.Executions.Status(t.Context(), found[0].ExecutionID, schemas.ViewNodes, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// The same with replicas that share the store: two die and do not come back, and another one takes over and lives.
func TestPoisonedExecutionKillsTwoReplicas(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		var root string
		for death := range 2 {
			dying := storetest.Crash(s, 0, storetest.CrashBefore)
			replica := run(w, &poisoned{Store: dying, takes: 2 * time.Second, die: dying.Die})
			if death == 0 {
				root = replica.submit(t, poison(`{"id":"p","set":"${nodes.poison.output.v + 'x'}","depends_on":["w"]}`))
			}
			time.Sleep(65 * time.Second)
			synctest.Wait()
			if !dying.Crashed() {
				t.Fatal("the replica lives")
			}
		}
		other := &poisoned{Store: s, takes: 2 * time.Second, die: func() { t.Error("it was evaluated by the other replica") }}
		second := run(w, other)
		defer second.stop()
		time.Sleep(time.Minute)
		synctest.Wait()
		if held := second.heldExecution(t); held.ExecutionID != root || held.Status != schemas.StatusSuspended {
			t.Errorf("%+v", held)
		}
	})
}

// Executions that were at work, however long, when their process was killed once by something else go on: those that were evaluated, also
// before their first commit after the claim, and those that were read by a store that is slow.
func TestInnocentExecutionsAreNotHeldAfterAKill(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		var ids []string
		for death := range 2 {
			dying := storetest.Crash(s, 0, storetest.CrashBefore)
			slow := &hooks{Store: dying, log: func(ctx context.Context, k store.Key, after int64, limit int) ([]store.Entry, error) {
				time.Sleep(2 * time.Second)
				return dying.Log(ctx, k, after, limit)
			}}
			p := run(w, &poisoned{Store: slow, takes: time.Duration(1-death) * 10 * time.Second, die: func() {}})
			if death == 0 {
				for range 10 {
					ids = append(ids, p.submit(t, poison(`{"id":"p","set":"${nodes.poison.output.v + 'x'}","depends_on":["w"]}`)))
				}
				time.Sleep(65 * time.Second) // all are evaluated
			} else {
				time.Sleep(time.Second) // all are read, perhaps
			}
			dying.Die()
			time.Sleep(time.Minute)
			synctest.Wait()
			p.stop()
		}
		last := run(w, s)
		defer last.stop()
		for _, id := range ids {
			if e := last.rest(t, id); e.Status != schemas.StatusSucceeded {
				t.Errorf("%s: %v, %+v", e.Status, e.Error, e.WaitingFor)
			}
		}
	})
}

// What kills at once, after a call, leaves no mark at first. After a few deaths it is evaluated alone, with a mark, and then held; no other
// execution is.
func TestExecutionThatKillsAtOnceIsFound(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		var root string
		var others []string
		deaths := 0
		for range 10 {
			dying := storetest.Crash(s, 0, storetest.CrashBefore)
			p := run(w, &poisoned{Store: dying, die: dying.Die})
			if root == "" {
				root = p.submit(t, poison(`{"id":"c","capability":"r.read","inputs":{"take":"10s"},"depends_on":["w"]},
					{"id":"p","set":"${nodes.poison.output.v + 'x'}","depends_on":["c"]}`))
				for range 30 {
					others = append(others, p.submit(t, `{"plan":"v1","nodes":[{"id":"a","wait":"58s"},{"id":"b","capability":"r.idempotent","inputs":{"take":"40s"},"depends_on":["a"]}]}`))
				}
			}
			time.Sleep(90 * time.Second)
			synctest.Wait()
			if !dying.Crashed() {
				if held := p.heldExecution(t); held.ExecutionID != root {
					t.Errorf("%+v is held", held)
				}
				for _, id := range others {
					want(t, p.rest(t, id), schemas.StatusSucceeded, "", "")
				}
				p.stop()
				break
			}
			deaths++
			p.stop()
		}
		if deaths < 1 || deaths > 4 {
			t.Errorf("it killed %d processes", deaths)
		}
	})
}

// A panic in an evaluation is a defect that ends the node, not the process.
func TestPanicInAnEvaluationEndsTheNode(t *testing.T) {
	for name, source := range poisons {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				p := run(w, &poisoned{Store: s})
				defer p.stop()
				e := p.execute(t, source)
				if e.Status != schemas.StatusFailed || e.Error.Code != schemas.CodeInternal {
					t.Errorf("%s: %v", e.Status, e.Error)
				}
			})
		})
	}
}
