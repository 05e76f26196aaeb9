package runtime

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/storetest"
)

// The process dies at each commit in turn, once before it is durable and once after it with the answer lost, and another one goes on: the
// submission is not lost and not doubled, the plan succeeds, and no once call happens twice.
func TestCrashAtEveryCommit(t *testing.T) {
	source := `{"plan":"v1","idempotency_key":"k","nodes":[
		{"id":"a","capability":"r.read","inputs":{"take":"10ms"}},
		{"id":"b","capability":"r.idempotent","inputs":{"id":"b${nodes.a.output.id}","take":"10ms"}},
		{"id":"c","capability":"r.once","inputs":{"id":"c","take":"15ms"},"depends_on":["a"]},
		{"id":"w","wait":"5s","depends_on":["b"]},
		{"id":"d","capability":"r.once","inputs":{"id":"d","take":"10ms"},"depends_on":["b","c","w"]},
		{"id":"e","capability":"r.read","inputs":{"fail":1,"code":"unavailable"},"depends_on":["d"]}],
		"output":"${nodes.e.output.id}"}`
	crashAtEveryCommit(t, source, `"e"`)
}

// The same with lists, fallbacks, verifications and workflows.
func TestCrashAtEveryCommitOfTheWholeLanguage(t *testing.T) {
	crashAtEveryCommit(t, `{"plan":"v1","idempotency_key":"k","inputs":{"l":[1,2,3]},"nodes":[
		{"id":"m","capability":"r.once","for_each":"${inputs.l}","max_parallel":2,"inputs":{"id":"m[${index}]","take":"10ms"}},
		{"id":"f","capability":"r.read","inputs":{"fail":9},"fallback":["r.idempotent",{"value":{"id":"${nodes.f.errors.map(e, e.code).join(',')}"}}]},
		{"id":"v","capability":"r.once","inputs":{"id":"v","take":"10ms"},"depends_on":["f"],"on_unknown":
			{"verify":{"capability":"r.read","inputs":{"id":"look","give":{"happened":true}},"happened":"${output.happened}"}}},
		{"id":"w","workflow":{"definition":{"plan":"v1","nodes":[{"id":"a","capability":"r.once","inputs":{"id":"w.a","take":"10ms"}},{"id":"b","wait":"3s","depends_on":["a"]}],"output":"done"}},"depends_on":["m"]},
		{"id":"x","set":"${nodes.w.output}-${nodes.f.output.id}-${size(nodes.m.output)}-${size(nodes.m.errors)}","depends_on":["v"]}],
		"output":"${nodes.x.output}"}`, `"done-tool_error,tool_error-3-0"`)
}

func crashAtEveryCommit(t *testing.T, source, output string) {
	for _, mode := range storetest.CrashModes {
		t.Run(mode.String(), func(t *testing.T) {
			for at := 1; ; at++ {
				reached := false
				inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
					reached = crashAt(t, w, s, source, output, at, mode)
				})
				if !reached {
					if at < 8 {
						t.Errorf("the whole plan took only %d commits", at-1)
					}
					t.Logf("%d commits", at-1)
					return
				}
			}
		})
	}
}

func crashAt(t *testing.T, w *world, s store.Store, source, output string, at int, mode storetest.CrashMode) (reached bool) {
	dying := storetest.Crash(s, at, mode)
	first := run(w, dying)
	acknowledged := ""
	if e, err := first.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(source)}); err == nil {
		acknowledged = e.ExecutionID
	}
	time.Sleep(time.Minute) // virtual: until all that can happen has happened
	synctest.Wait()
	reached = dying.Crashed()
	first.stop()

	second := run(w, s)
	defer second.stop()
	e, err := second.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(source)})
	if err != nil {
		t.Fatalf("commit %d: submit again: %v", at, err)
	}
	if acknowledged != "" && e.ExecutionID != acknowledged {
		t.Errorf("commit %d: execution %s was acknowledged, the same key now gives %s", at, acknowledged, e.ExecutionID)
	}
	held := map[string]bool{}
	e = second.settleAll(t, w, e.ExecutionID, held)
	second.checkLog(t, e.ExecutionID)
	want(t, e, schemas.StatusSucceeded, output, "")
	for _, n := range e.Nodes {
		if n.Status != schemas.NodeSucceeded {
			t.Errorf("commit %d: %s is %s", at, n.ID, n.Status)
		}
	}
	ids := map[string]int{}
	for _, c := range w.ledger {
		if c.tool == "once" {
			ids[c.id]++
		}
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("commit %d: once call %s happened %d times (held: %v)", at, id, n, held[id])
		}
	}
	return reached
}

// settleAll decides what is held of an execution until it has ended, and notes it in held.
func (p *process) settleAll(t *testing.T, w *world, id string, held map[string]bool) (e schemas.Execution) {
	t.Helper()
	var err error
	for range 100 {
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if e, err = p.Executions.Status(t.Context(), id, schemas.ViewNodes, 0, nil); err != nil {
			t.Fatal(err)
		}
		if e.Status.Terminal() {
			break
		}
		p.settle(t, w, e, "", held)
	}
	return e
}

// settle decides about the once calls that are held in an execution or its children, as if each had happened.
func (p *process) settle(t *testing.T, w *world, e schemas.Execution, prefix string, held map[string]bool) {
	t.Helper()
	patch := schemas.Patch{Nodes: map[string]schemas.NodePatch{}}
	for _, h := range e.WaitingFor {
		name := h.NodeID
		if h.Item != nil {
			name = fmt.Sprintf("%s[%d]", h.NodeID, *h.Item)
		}
		switch h.Reason {
		case schemas.ReasonWorkflow:
			child, err := p.Executions.Status(t.Context(), h.Child, "", 0, nil)
			if err == nil {
				p.settle(t, w, child, prefix+name+".", held)
			}
		case schemas.ReasonUnknown:
			if n := w.calls("once", prefix+name); n > 1 {
				t.Errorf("%s is held after %d calls", prefix+name, n)
			}
			held[prefix+name] = true
			patch.Nodes[name] = schemas.NodePatch{Output: schemas.Value(`{"id":"decided"}`)}
		case schemas.ReasonTimer:
		default:
			t.Errorf("%s is held for %s", prefix+name, h.Reason)
		}
	}
	if len(patch.Nodes) > 0 {
		if _, err := p.Executions.Resume(t.Context(), e.ExecutionID, &patch); err != nil {
			t.Fatal(err)
		}
	}
}
