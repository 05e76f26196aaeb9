package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// mirror is a world whose calls with the id self come back to the runtime: their input give is a plan, which is executed and waited for.
type mirror struct {
	*world
	p      *process
	origin func(key string) string // of the request, by the key of the call
}

func (m *mirror) Invoke(ctx context.Context, c *call.Call) (*call.Result, error) {
	var d deed
	if err := json.Unmarshal(c.Inputs, &d); err != nil || d.ID != "self" {
		return m.world.Invoke(ctx, c)
	}
	ctx = caller.WithHops(caller.WithOrigin(caller.With(ctx, caller.Caller{Principal: c.Principal}), m.origin(c.Key)), caller.Hops(ctx)+1)
	e, err := m.p.Executions.Execute(ctx, engine.Submit{Plan: d.Give})
	if err == nil && !e.Status.Terminal() {
		e, err = m.p.Executions.Status(ctx, e.ExecutionID, "", time.Minute, nil)
	}
	if err != nil {
		return nil, schemas.AsError(err)
	}
	out, err := json.Marshal(e.Status)
	return &call.Result{Output: out, ServedBy: c.Name()}, err
}

// selfCalls is a plan that makes calls to its own runtime, n at each of some levels; the last one makes ordinary calls.
func selfCalls(n, levels int) string {
	inputs := `{"take":"1s"}`
	if levels > 0 {
		inputs = `{"id":"self","give":` + selfCalls(n, levels-1) + `}`
	}
	return fmt.Sprintf(`{"plan":"v1","nodes":[{"id":"n","capability":"r.read","for_each":"${lists.range(%d)}","max_parallel":1000,"on_error":"continue","inputs":%s}],"output":1}`, n, inputs)
}

// A tree of executions that comes about by calls of plans to their own runtime ends without waiting for itself, keeps others out no longer than
// a tree of workflow nodes does, and spends the budget of its root. Of a request that says what is not so, nothing is counted.
func TestSelfCallsSpendTheBudgetOfTheirRoot(t *testing.T) {
	ofKey := func(key string) string { id, _, _ := strings.Cut(key, "/"); return id }
	for name, tt := range map[string]struct {
		origin    func(string) string
		n, levels int
		max, want int // executions below the root: the limit, and how many there are
	}{
		"within the budget":  {ofKey, 3, 3, 100, 3 + 9 + 27},
		"beyond the budget":  {ofKey, 4, 3, 30, 30},
		"wide":               {ofKey, 24, 1, 1000, 24},
		"deep":               {ofKey, 1, 7, 1000, 7},
		"of another runtime": {func(string) string { return "01J00000000000000000000000" }, 3, 2, 10, 3 + 9},
		"that say nothing":   {func(string) string { return "" }, 3, 2, 10, 3 + 9},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				m := &mirror{world: w, origin: tt.origin}
				p := run(w, s, func(c *Config) {
					c.Realms, c.Limits.MaxExecutions, c.Limits.MaxChildren = m, 32, tt.max
				})
				m.p = p
				defer p.stop()
				root := p.submit(t, selfCalls(tt.n, tt.levels))
				time.Sleep(2 * time.Second)
				began := time.Now()
				want(t, p.execute(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.read"}],"output":1}`), schemas.StatusSucceeded, `1`, "")
				if took := time.Since(began); took > 5*time.Second && tt.max > 10 {
					t.Errorf("another execution took %s", took)
				}
				for range 100 {
					if e, err := p.Executions.Status(t.Context(), root, "", time.Minute, nil); err != nil || e.Status.Terminal() {
						break
					}
				}
				took := time.Since(began)
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				e := p.rest(t, root)
				want(t, e, schemas.StatusSucceeded, `1`, "")
				list, err := p.Executions.List(t.Context(), journal.Query{Limit: 100})
				if below := len(list.Executions) - 2; err != nil || below != tt.want {
					t.Errorf("%d executions below the root, %v", below, err)
				}
				if tt.max > 10 && took > 3*time.Minute {
					t.Errorf("it took %s", took)
				}
				used, err := p.Executions.Metrics(t.Context(), root)
				counted := tt.want
				if tt.max == 10 {
					counted = 0
				}
				if err != nil || used.Used.Executions != int64(counted) {
					t.Errorf("%d count in the budget of the root, %v", used.Used.Executions, err)
				}
			})
		})
	}
}

// An execution of another caller, or one that has ended, pays for nothing.
func TestForgedOriginGivesNothing(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		ended := p.execute(t, `{"plan":"v1","nodes":[{"id":"a","set":1}]}`).ExecutionID
		theirs, err := p.Executions.Execute(as(t, "other"), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"w","wait":"1h"}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		mine := p.submit(t, `{"plan":"v1","nodes":[{"id":"w","wait":"1h"}]}`)
		for id, counts := range map[string]bool{ended: false, theirs.ExecutionID: false, mine: true, "../x": false, strings.Repeat("x", 1024): false} {
			for hops := range 2 {
				ctx := caller.WithHops(caller.WithOrigin(t.Context(), id), hops)
				e, err := p.Executions.Execute(ctx, engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"a","set":1}]}`)})
				if err != nil {
					t.Fatal(err)
				}
				h, _, err := p.journal.ReadHead(t.Context(), e.ExecutionID)
				if err != nil || (h.CalledBy != "") != (counts && hops > 0) {
					t.Errorf("%.30s: counts in %q, %v", id, h.CalledBy, err)
				}
			}
		}
	})
}

// What the queue refuses counts in no budget.
func TestRefusedSelfCallIsNotPaidFor(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s, func(c *Config) { c.MaxQueued = 1 })
		defer p.stop()
		root := p.submit(t, `{"plan":"v1","nodes":[{"id":"w","wait":"1h"}]}`)
		if _, err := p.Queue.Pause(t.Context(), "", ""); err != nil {
			t.Fatal(err)
		}
		ctx := caller.WithHops(caller.WithOrigin(t.Context(), root), 1)
		for i, wantPaid := range []int64{1, 1} {
			_, err := p.Executions.Execute(ctx, engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"a","set":1}]}`)})
			if refused := errors.Is(err, &schemas.Error{Code: schemas.CodeRateLimited}); refused != (i > 0) {
				t.Fatalf("execution %d: %v", i, err)
			}
			used, err := p.Executions.Metrics(t.Context(), root)
			if err != nil || used.Used.Executions != wantPaid {
				t.Errorf("after execution %d, %d are paid for, %v", i, used.Used.Executions, err)
			}
		}
	})
}
