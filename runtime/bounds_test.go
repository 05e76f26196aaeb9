package runtime

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// hopCounter notes how many hops each call carries.
type hopCounter struct {
	*world
	mu   sync.Mutex
	hops []int
}

func (h *hopCounter) Invoke(ctx context.Context, c *call.Call) (*call.Result, error) {
	h.mu.Lock()
	h.hops = append(h.hops, caller.Hops(ctx))
	h.mu.Unlock()
	return h.world.Invoke(ctx, c)
}

// Every runtime on the way adds a hop, an execution passes on the hops that it came with, and their number is limited.
func TestPlanThatReachesItsOwnRuntimeIsStopped(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		h := &hopCounter{world: w}
		p := run(w, s, func(c *Config) { c.Realms = h })
		defer p.stop()
		plan := engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"n","capability":"r.read"},
			{"id":"w","workflow":{"definition":{"plan":"v1","nodes":[{"id":"a","capability":"r.read"}]}}}]}`)}
		e, err := p.Executions.Execute(caller.WithHops(t.Context(), caller.MaxHops), plan)
		if err != nil {
			t.Fatal(err)
		}
		want(t, p.rest(t, e.ExecutionID), schemas.StatusSucceeded, "", "n=succeeded w=succeeded")
		if len(h.hops) != 2 || h.hops[0] != caller.MaxHops || h.hops[1] != caller.MaxHops {
			t.Errorf("calls carry %v hops, want those of the request", h.hops)
		}
		far := caller.WithHops(t.Context(), caller.MaxHops+1)
		if _, err := p.Executions.Execute(far, plan); !errors.Is(err, &schemas.Error{Code: schemas.CodeDenied}) {
			t.Errorf("a plan that went too far: %v", err)
		}
		if _, err := p.Capabilities.Invoke(far, capability.Invocation{Realm: "r", Capability: "read"}); !errors.Is(err, &schemas.Error{Code: schemas.CodeDenied}) {
			t.Errorf("a call that went too far: %v", err)
		}
	})
}

// Calls and bytes of one execution are capped, whatever its plan multiplies.
func TestOneExecutionIsBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		limit func(*engine.Limits)
		plan  string
		calls int
	}{
		"calls": {
			func(l *engine.Limits) { l.MaxCalls = 25 },
			`{"plan":"v1","nodes":[{"id":"m","capability":"r.read","for_each":"${lists.range(10 * 10)}","on_error":"continue","inputs":{"id":"${string(item)}"}},
				{"id":"n","capability":"r.read","depends_on":["m"]}]}`, 25,
		},
		"attempts": {
			func(l *engine.Limits) { l.MaxCalls = 5 },
			`{"plan":"v1","nodes":[{"id":"n","capability":"r.read","retry":{"max_attempts":50},"inputs":{"fail":99,"code":"unavailable"}}]}`, 5,
		},
		"bytes": {
			func(l *engine.Limits) { l.MaxBytes = 100 },
			`{"plan":"v1","nodes":[{"id":"a","capability":"r.read","inputs":{"give":"` + strings.Repeat("x", 120) + `"}},{"id":"n","capability":"r.read","depends_on":["a"]}]}`, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				p := run(w, s, func(c *Config) { tt.limit(&c.Limits) })
				defer p.stop()
				e := p.execute(t, tt.plan)
				if e.Status != schemas.StatusFailed || e.Error.Code != schemas.CodeQuotaExceeded {
					t.Errorf("%s: %v", e.Status, e.Error)
				}
				if n := w.calls("", ""); n != tt.calls {
					t.Errorf("%d calls, want %d", n, tt.calls)
				}
			})
		})
	}
}

func TestTimerThatPassesWhileSuspendedCountsOnResume(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"w","wait":"1h"},{"id":"n","capability":"r.read","depends_on":["w"]}]}`)
		if _, err := p.Executions.Suspend(t.Context(), id, "", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Hour)
		want(t, p.rest(t, id), schemas.StatusSuspended, "", "w=running n=pending")
		began := time.Now()
		p.resume(t, id)
		want(t, p.rest(t, id), schemas.StatusSucceeded, "", "w=succeeded n=succeeded")
		if took := time.Since(began); took > time.Second {
			t.Errorf("the timer that had passed took another %s", took)
		}
	})
}

func TestChildOfANodeThatTimedOutIsCancelled(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","nodes":[
			{"id":"w","workflow":{"definition":{"plan":"v1","nodes":[{"id":"a","wait":"1h"},{"id":"b","capability":"r.once","depends_on":["a"]}]}},"total_timeout":"10s","on_error":"continue"},
			{"id":"n","wait":"2h"}],"output":"${nodes.w.error.code}"}`)
		want(t, e, schemas.StatusSucceeded, `"timeout"`, "w=failed n=succeeded")
		if child := p.rest(t, e.Nodes[0].Child); child.Status != schemas.StatusCancelled || w.calls("once", "") != 0 {
			t.Errorf("the child is %s after %d calls", child.Status, w.calls("once", ""))
		}
	})
}

func TestItemsAreNotStartedOnceTheNodeHasFailed(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","max_parallel":2,"nodes":[{"id":"m","capability":"r.once","for_each":"${lists.range(50)}","inputs":{"id":"i${index}","fail":"${item == 3 ? 9 : 0}","take":"1s"}}]}`)
		want(t, e, schemas.StatusFailed, "", "m=failed")
		if n := w.calls("once", ""); n > 5 {
			t.Errorf("%d calls, though the fourth item had failed the node", n)
		}
	})
}

func TestOutputsAreKeptAsTheyCame(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.read","inputs":{"give":{"html":"<b>R&D</b>","big":12345678901234567890}}},{"id":"b","set":"${nodes.a.output}"}],"output":"${nodes.b.output}"}`)
		want(t, e, schemas.StatusSucceeded, `{"html":"<b>R&D</b>","big":12345678901234567890}`, "")
		if got := string(e.Nodes[0].Output); got != string(e.Output) {
			t.Errorf("the node shows %s", got)
		}
	})
}

// Children without an owner are cancelled at the moment in which Run sees the last owner end. Whether their parents are notified at once or
// look for themselves later, Run and the callers that cancel do not get in each other's way.
func TestChildrenAreCancelledWhileTheRuntimeStops(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		var parents []string
		for range 20 {
			parents = append(parents, p.submit(t, `{"plan":"v1","nodes":[{"id":"w","workflow":{"definition":{"plan":"v1","nodes":[{"id":"a","wait":"1h"}]}}}]}`))
		}
		time.Sleep(time.Second)
		p.ownsNothing(t)
		p.submit(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.once","inputs":{"take":"5s"}}]}`)
		ends := time.Now().Add(5 * time.Second)
		var callers sync.WaitGroup
		for _, id := range parents {
			e, err := p.Executions.Status(t.Context(), id, "", 0, nil)
			if err != nil || len(e.WaitingFor) != 1 {
				t.Fatalf("%+v %v", e, err)
			}
			callers.Go(func() {
				time.Sleep(time.Until(ends))
				if _, err := p.Executions.Cancel(t.Context(), e.WaitingFor[0].Child, engine.CancelOptions{}); err != nil {
					t.Error(err)
				}
			})
		}
		p.stop()
		callers.Wait()
		next := run(w, s)
		defer next.stop()
		for _, id := range parents {
			want(t, next.rest(t, id), schemas.StatusFailed, "", "w=failed")
		}
	})
}

func TestSignalIsBounded(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"w","wait":"1h"}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		data := func(n int) schemas.Value { return schemas.Value(`"` + strings.Repeat("x", n-2) + `"`) }
		if _, err := p.Executions.Signal(t.Context(), e.ExecutionID, "s", data(engine.MaxSignalData)); err != nil {
			t.Error(err)
		}
		if _, err := p.Executions.Signal(t.Context(), e.ExecutionID, "s", data(engine.MaxSignalData+1)); !errors.Is(err, &schemas.Error{Code: schemas.CodePayloadTooLarge}) {
			t.Errorf("%v", err)
		}
	})
}
