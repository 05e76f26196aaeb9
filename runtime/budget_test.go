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
	"github.com/runplane/runplane/runtime/workflow"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/redis"
	"github.com/runplane/runplane/store/redis/redistest"
	"github.com/runplane/runplane/store/storetest"
)

// smallTree are limits that a few nested lists exceed.
func smallTree(c *Config) {
	c.Limits.MaxChildren, c.Limits.MaxOpen, c.Limits.MaxCalls, c.Limits.MaxItems, c.Limits.MaxBytes = 50, 10, 400, 300, 1<<20
}

// many is a node that runs for each of n items; the length of the list is not known before it runs.
func many(id, n, what string) string {
	return fmt.Sprintf(`{"id":"%s","for_each":"${lists.range(%s + 0)}","max_parallel":1000,%s}`, id, n, what)
}

func within(nodes ...string) string {
	return `"workflow":{"definition":{"plan":"v1","nodes":[` + strings.Join(nodes, ",") + `]}}`
}

func planOf(nodes ...string) string {
	return `{"plan":"v1","nodes":[` + strings.Join(nodes, ",") + `]}`
}

const slowRead = `{"id":"r","capability":"r.read","inputs":{"take":"1s"}}`

// bombs are plans that multiply, by how they do it, with the status in which the root ends.
var bombs = map[string]struct {
	plan string
	kept map[string]string // workflows by name, which the plan names
	ends schemas.Status
	unit string // of what is exceeded
}{
	"workflows in workflows": {planOf(many("a", "20", within(many("b", "20", within(many("c", "20", within(slowRead))))))), nil, schemas.StatusFailed, "executions"},
	"kept workflows": {planOf(many("a", "30", `"workflow":"outer"`)), map[string]string{
		"inner": planOf(many("b", "30", within(slowRead))), "outer": planOf(many("a", "30", `"workflow":"inner"`)),
	}, schemas.StatusFailed, "executions"},
	"many nodes": {planOf(many("a", "10", within(slowRead)), many("b", "10", within(slowRead)), many("c", "10", within(slowRead)),
		many("d", "10", within(slowRead)), many("e", "10", within(slowRead)), many("f", "10", within(slowRead))), nil, schemas.StatusFailed, "executions"},
	"items of items":      {planOf(many("a", "20", within(many("b", "40", `"set":1`)))), nil, schemas.StatusFailed, "items"},
	"items of many nodes": {planOf(many("a", "200", `"set":1`), many("b", "200", `"set":1`)), nil, schemas.StatusFailed, "items"},
	"calls of items":      {planOf(many("a", "20", within(many("b", "14", `"capability":"r.read","retry":{"max_attempts":9,"initial_interval":"1ms"},"on_error":"continue","inputs":{"fail":999}`)))), nil, schemas.StatusFailed, "calls"},
	"calls of fallbacks":  {planOf(many("a", "40", within(many("b", "6", `"capability":"r.read","inputs":{"id":"x","fail":999},"fallback":["r.read","r.idempotent","r.read"],"on_error":"continue"`)))), nil, schemas.StatusFailed, "calls"},
	"plans of workflows":  {planOf(many("a", "30", `"workflow":{"definition":{"plan":"v1","inputs":{"text":"`+strings.Repeat("x", 40_000)+`"},"nodes":[`+slowRead+`]}}`)), nil, schemas.StatusFailed, "bytes"},
	"inputs of workflows": {planOf(`{"id":"t","set":"`+strings.Repeat("x", 40_000)+`"}`,
		many("a", "30", `"inputs":{"text":"${nodes.t.output}"},`+within(slowRead))), nil, schemas.StatusFailed, "bytes"},
	"inputs of workflows in workflows": {planOf(`{"id":"t","set":"`+strings.Repeat("x", 40_000)+`"}`, many("b", "3", `"inputs":{"text":"${nodes.t.output}"},`+
		within(many("a", "10", `"inputs":{"text":"${inputs.text}"},`+within(slowRead))))), nil, schemas.StatusFailed, "bytes"},
	"errors that are ignored": {planOf(many("a", "20", `"on_error":"continue",`+within(many("b", "20", `"on_error":"continue",`+within(slowRead))))), nil, schemas.StatusSucceeded, ""},
	"compensation": {planOf(many("a", "40", `"on_error":"compensate",`+within(many("b", "2",
		`"capability":"r.once","inputs":{"id":"i${index}"},"compensate":{"capability":"r.idempotent","inputs":{"id":"undo"}}`), many("c", "5", within(slowRead))))), nil, schemas.StatusFailed, "executions"},
	"deep": {planOf(many("a", "3", within(many("b", "3", within(many("c", "3", within(many("d", "3", within(slowRead))))))))), nil, schemas.StatusFailed, "executions"},
}

// submitBomb submits a plan with the workflows that it names.
func (p *process) submitBomb(t *testing.T, name string) string {
	t.Helper()
	for _, inner := range []string{"inner", "outer"} {
		if source := bombs[name].kept[inner]; source != "" {
			if _, err := p.Workflows.Create(t.Context(), workflow.Spec{Name: inner, Definition: []byte(source)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return p.submit(t, bombs[name].plan)
}

// open counts the executions below roots that have not ended.
func (p *process) open(t *testing.T) (open, all int) {
	t.Helper()
	for _, e := range p.children(t) {
		if all++; !e.Status.Terminal() {
			open++
		}
	}
	return open, all
}

// A plan that multiplies makes no more executions, calls and items than one tree may have, not more of them at once than may be open, and
// ends in order: with quota_exceeded if its errors count, and with nothing left open.
func TestPlansThatMultiplyEnd(t *testing.T) {
	for name, bomb := range bombs {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				p := run(w, s, smallTree)
				defer p.stop()
				id := p.submitBomb(t, name)
				for range 600 {
					if open, _ := p.open(t); open > 10 {
						t.Fatalf("%d executions are open at once", open)
					}
					if e, err := p.Executions.Status(t.Context(), id, "", 0, nil); err != nil || e.Status.Terminal() {
						break
					}
					time.Sleep(500 * time.Millisecond)
					synctest.Wait()
				}
				e := p.rest(t, id)
				if e.Status != bomb.ends {
					t.Errorf("it is %s: %v", e.Status, e.Error)
				}
				if e.Status == schemas.StatusFailed {
					if e.Error.Code != schemas.CodeQuotaExceeded || !strings.Contains(e.Error.Message, bomb.unit) ||
						!strings.Contains(e.Error.Message, "limits.max_tree_") || !strings.Contains(e.Error.Message, "(limit ") {
						t.Errorf("it failed with %v", e.Error)
					}
				}
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				open, all := p.open(t)
				if open > 0 || all > 50 {
					t.Errorf("%d executions below it, %d of them open", all, open)
				}
				if n := len(w.ledger); n > 400 {
					t.Errorf("%d calls", n)
				}
				m, err := p.Executions.Metrics(t.Context(), id)
				if err != nil || m.Used.Executions < int64(all) || m.Used.Executions > 50 || m.Used.Items > 300 || m.Limits.Executions != 50 {
					t.Errorf("%d executions, and it says that it used %+v of %+v: %v", all, m.Used, m.Limits, err)
				}
			})
		})
	}
}

// A plan that multiplies can be cancelled at any time: the answer comes at once, and soon nothing of it is open.
func TestPlansThatMultiplyAreCancelled(t *testing.T) {
	for name := range bombs {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				p := run(w, s, smallTree)
				defer p.stop()
				id := p.submitBomb(t, name)
				before := time.Now()
				_, err := p.Executions.Cancel(t.Context(), id, engine.CancelOptions{Grace: time.Second})
				if took := time.Since(before); took > 0 || err != nil && schemas.AsError(err).Code != schemas.CodeAlreadyFinished {
					t.Errorf("after %s: %v", took, err)
				}
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				if open, all := p.open(t); open > 0 {
					t.Errorf("%d of %d executions are still open", open, all)
				}
			})
		})
	}
}

// What a tree may have is not refused: exactly as many executions as the limit, also if each of them makes others, whose number only they
// know, and uses far more calls than it was granted at its start.
func TestTreesWithinTheirBudgetSucceed(t *testing.T) {
	for name, source := range map[string]string{
		"executions":       planOf(many("a", "50", within(slowRead))),
		"two levels":       planOf(many("a", "10", within(many("b", "4", within(slowRead))))),
		"one takes most":   planOf(`{"id":"x",`+within(slowRead)+`}`, `{"id":"a",`+within(many("b", "47", within(slowRead)))+`}`),
		"calls of a child": planOf(`{"id":"a",` + within(many("b", "290", `"capability":"r.read"`)) + `}`),
		"calls of all":     planOf(many("a", "10", within(many("b", "29", `"capability":"r.read"`)))),
		"four levels":      planOf(many("a", "2", within(many("b", "2", within(many("c", "2", within(many("d", "2", within(slowRead))))))))),
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				p := run(w, s, smallTree)
				defer p.stop()
				if e := p.execute(t, source); e.Status != schemas.StatusSucceeded {
					t.Errorf("%s: %v", e.Status, e.Error)
				}
			})
		})
	}
}

// The process dies at each commit in turn, and another one goes on: the tree ends as without a crash, and has made the same executions and
// items. No grant is lost or made twice.
func TestCrashAtEveryCommitOfATreeWithABudget(t *testing.T) {
	for name, source := range map[string]string{
		"within":   `{"plan":"v1","idempotency_key":"k","nodes":[` + many("a", "2", within(many("b", "3", `"capability":"r.read"`), many("c", "2", within(`{"id":"s","set":1}`)))) + `]}`,
		"exceeded": `{"plan":"v1","idempotency_key":"k","nodes":[` + many("a", "2", `"max_parallel":1,"on_error":"continue",`+within(many("c", "4", `"on_error":"continue",`+within(`{"id":"s","set":1}`)))) + `]}`,
	} {
		source = strings.Replace(source, `"max_parallel":1000,"max_parallel":1`, `"max_parallel":1`, 1)
		for _, mode := range storetest.CrashModes {
			t.Run(name+", "+mode.String(), func(t *testing.T) {
				first := ""
				for at := 1; ; at++ {
					reached, used := false, ""
					inVirtualTime(t, func(t *testing.T, w *world, s store.Store) { reached, used = usedAfterCrash(t, w, s, source, at, mode) })
					if first == "" {
						first = used
					}
					if used != first {
						t.Errorf("commit %d: %s, want %s", at, used, first)
					}
					if !reached {
						t.Logf("%d commits; %s", at-1, first)
						return
					}
				}
			})
		}
	}
}

func usedAfterCrash(t *testing.T, w *world, s store.Store, source string, at int, mode storetest.CrashMode) (reached bool, used string) {
	limits := func(c *Config) { c.Limits.MaxChildren = 7 }
	dying := storetest.Crash(s, at, mode)
	first := run(w, dying, limits)
	_, _ = first.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(source)}) // it may die here
	time.Sleep(time.Minute)
	synctest.Wait()
	reached = dying.Crashed()
	first.stop()
	second := run(w, s, limits)
	defer second.stop()
	e, err := second.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(source)})
	if err != nil {
		t.Fatalf("commit %d: %v", at, err)
	}
	e = second.rest(t, e.ExecutionID)
	time.Sleep(time.Minute)
	synctest.Wait()
	open, all := second.open(t)
	m, err := second.Executions.Metrics(t.Context(), e.ExecutionID)
	if err != nil || open > 0 || m.Used.Executions != int64(all) {
		t.Errorf("commit %d: %d executions, %d of them open, used %+v: %v", at, all, open, m.Used, err)
	}
	return reached, fmt.Sprintf("%s, %d executions, %d items", e.Status, m.Used.Executions, m.Used.Items)
}

// Workflows that name each other many times multiply before anything runs: the plan is refused as soon as it has too many nodes.
func TestKeptWorkflowsThatMultiplyAreRefused(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		counted := &getCounter{Store: s}
		p := run(w, counted)
		defer p.stop()
		times := func(node string) string {
			var nodes []string
			for i := range 25 {
				nodes = append(nodes, fmt.Sprintf(`{"id":"n%d",%s}`, i, node))
			}
			return planOf(nodes...)
		}
		for _, kept := range []struct{ name, node string }{{"one", `"set":1`}, {"two", `"workflow":"one"`}} {
			if _, err := p.Workflows.Create(t.Context(), workflow.Spec{Name: kept.name, Definition: []byte(times(kept.node))}); err != nil {
				t.Fatal(err)
			}
		}
		counted.gets.Store(0)
		v, err := p.Executions.Validate(t.Context(), []byte(times(`"workflow":"two"`)))
		if err != nil || v.Valid || v.Findings[0].Code != "too_many_nodes" || !strings.Contains(v.Findings[0].Message, "limit 1000, limits.max_nodes") {
			t.Errorf("%+v, %v", v.Findings, err)
		}
		if n := counted.gets.Load(); n > 200 {
			t.Errorf("%d records were read", n)
		}
	})
}

// getCounter counts the records that are read one by one.
type getCounter struct {
	store.Store
	gets atomic.Int64
}

func (c *getCounter) Get(ctx context.Context, k store.Key) (store.Record, error) {
	c.gets.Add(1)
	return c.Store.Get(ctx, k)
}

// Two replicas share one budget: each runs a part of the tree, and together they make no more than it may have.
func TestReplicasOnRedisShareABudget(t *testing.T) {
	t.Parallel()
	url := redistest.Standalone(t).URL()
	w := newWorld()
	few := func(c *Config) { smallTree(c); c.Limits.MaxExecutions = 3 }
	one, two := onRedis(t, w, redis.Options{URL: url}, few), onRedis(t, w, redis.Options{URL: url}, few)
	id := one.begin(t, planOf(many("a", "4", `"on_error":"continue",`+within(many("b", "30", `"on_error":"continue",`+within(`{"id":"r","capability":"r.read","inputs":{"hold":true}}`))))))
	eventually(t, "each replica runs a part", func() bool { return len(workersOfChildren(t, one)) == 2 })
	w.release("r")
	var e schemas.Execution
	eventually(t, "the tree ends", func() bool {
		var err error
		e, err = two.Executions.Status(t.Context(), id, "", time.Second, nil)
		open, _ := two.open(t)
		return err == nil && e.Status.Terminal() && open == 0
	})
	m, err := one.Executions.Metrics(t.Context(), id)
	if _, all := one.open(t); err != nil || all != 50 || m.Used.Executions != 50 {
		t.Errorf("%s: %d executions, used %+v: %v", e.Status, all, m.Used, err)
	}
}

// workersOfChildren returns which replicas have started executions below roots.
func workersOfChildren(t *testing.T, p *process) map[string]bool {
	t.Helper()
	workers := map[string]bool{}
	for _, child := range p.children(t) {
		events, err := p.Executions.Events(t.Context(), child.ExecutionID, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events.Events {
			if e.Type == schemas.EventStarted {
				workers[e.By] = true
			}
		}
	}
	return workers
}
