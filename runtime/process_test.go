package runtime

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/safety"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// process is a runtime that runs until stop, which is graceful.
type process struct {
	*Runtime
	stop func()
}

// idle is a process that answers and runs nothing.
func idle(r capability.Realms, s store.Store, configure ...func(*Config)) *process {
	c := Config{Store: s, Realms: r}
	for _, f := range configure {
		f(&c)
	}
	return &process{New(c), func() {}}
}

// launch runs a process.
func launch(w *world, s store.Store, configure ...func(*Config)) *process {
	p := idle(w, s, configure...)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { _ = p.Run(ctx); close(done) }() // Run has no error of its own
	p.stop = sync.OnceFunc(func() { cancel(); <-done })
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stops = append(w.stops, p.stop)
	return p
}

// run runs a process in virtual time, with jitter of one half.
func run(w *world, s store.Store, configure ...func(*Config)) *process {
	half := func(c *Config) { c.Random = func() float64 { return 0.5 } }
	p := launch(w, s, append([]func(*Config){half}, configure...)...)
	synctest.Wait()
	return p
}

// begin submits a plan and returns the id of its execution.
func (p *process) begin(t *testing.T, source string) string {
	t.Helper()
	e, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(source)})
	if err != nil {
		t.Fatal(err)
	}
	return e.ExecutionID
}

// submit submits a plan in virtual time, and returns when nothing more happens at this moment.
func (p *process) submit(t *testing.T, source string) string {
	t.Helper()
	id := p.begin(t, source)
	synctest.Wait()
	return id
}

// enqueue submits a plan n times and returns the ids.
func (p *process) enqueue(t *testing.T, n int, sub engine.Submit) (ids []string) {
	t.Helper()
	for range n {
		e, err := p.Executions.Execute(t.Context(), sub)
		if err != nil {
			t.Error(err)
			return ids
		}
		ids = append(ids, e.ExecutionID)
		time.Sleep(time.Millisecond) // no two ids with the same time
	}
	return ids
}

// execute submits a plan and waits until its execution comes to rest.
func (p *process) execute(t *testing.T, source string) schemas.Execution {
	t.Helper()
	return p.rest(t, p.begin(t, source))
}

// rest waits until an execution comes to rest (it ended, is suspended, or waits for a decision or an event), checks its log and returns it
// with its nodes.
func (p *process) rest(t *testing.T, id string) schemas.Execution {
	t.Helper()
	for range 10_000 {
		e, err := p.Executions.Status(t.Context(), id, schemas.ViewNodes, 20*time.Second, nil)
		if err != nil {
			t.Fatalf("status: %v", err)
		}
		if journal.AtRest(&e) && p.checkLog(t, id) == e.Status { // else it went on in between
			p.checkQueue(t)
			return e
		}
	}
	t.Fatal("the execution never comes to rest")
	return schemas.Execution{}
}

// checkQueue asserts that the reconciler found no execution without a queue: one is a defect in any test.
func (p *process) checkQueue(t *testing.T) {
	t.Helper()
	if n := p.upkeep.Unqueued.Load(); n != 0 {
		t.Errorf("%d executions that needed an owner stood in no queue", n)
	}
}

// checkLog asserts that the fold of the whole log, without a snapshot, gives the state that the head and the snapshot give. It returns
// the status of the head.
func (p *process) checkLog(t *testing.T, id string) schemas.Status {
	t.Helper()
	x, err := p.journal.Load(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	want, err := x.State.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	whole := p.journal.New(id, x.Head)
	h := x.Head
	h.Snapshot = 0
	if err := p.journal.Fold(t.Context(), whole, h, x.Version); err != nil {
		t.Fatal(err)
	}
	got, err := whole.State.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("fold(log) differs from the state:\n%s\n%s", got, want)
	}
	if x.Head.Seq != x.State.Seq || x.Head.Status != x.State.Status {
		t.Errorf("the head has event %d, %s; the log %d, %s", x.Head.Seq, x.Head.Status, x.State.Seq, x.State.Status)
	}
	return x.Head.Status
}

// want asserts an execution's status, its output and the status of each node; an empty output or nodes are not compared.
func want(t *testing.T, e schemas.Execution, status schemas.Status, output, nodes string) {
	t.Helper()
	if e.Status != status || output != "" && string(e.Output) != output {
		t.Errorf("got %s %s %v, want %s %s", e.Status, e.Output, e.Error, status, output)
	}
	if nodes == "" {
		return
	}
	var got []string
	for _, n := range e.Nodes {
		got = append(got, n.ID+"="+string(n.Status))
	}
	if s := strings.Join(got, " "); s != nodes {
		t.Errorf("nodes: got %s, want %s", s, nodes)
	}
}

// review is the id of the open review of a node.
func (p *process) review(t *testing.T, id, node string) string {
	t.Helper()
	e, err := p.Executions.Status(t.Context(), id, "", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range e.WaitingFor {
		if w.NodeID == node && w.ReviewID != "" {
			return w.ReviewID
		}
	}
	t.Fatalf("node %q waits for no review: %+v", node, e.WaitingFor)
	return ""
}

func (p *process) suspend(t *testing.T, id, mode string) {
	t.Helper()
	if _, err := p.Executions.Suspend(t.Context(), id, mode, "lunch"); err != nil {
		t.Fatalf("suspend: %v", err)
	}
}

func (p *process) resume(t *testing.T, id string) {
	t.Helper()
	if _, err := p.Executions.Resume(t.Context(), id, nil); err != nil {
		t.Fatalf("resume: %v", err)
	}
}

// resumeWith resumes an execution with a patch of one unit.
func (p *process) resumeWith(t *testing.T, id, unit string, patch schemas.NodePatch) {
	t.Helper()
	if _, err := p.Executions.Resume(t.Context(), id, &schemas.Patch{Nodes: map[string]schemas.NodePatch{unit: patch}}); err != nil {
		t.Fatalf("resume with a patch of %s: %v", unit, err)
	}
}

func (p *process) cancel(t *testing.T, id string, o engine.CancelOptions) {
	t.Helper()
	if _, err := p.Executions.Cancel(t.Context(), id, o); err != nil {
		t.Fatalf("cancel: %v", err)
	}
}

func (p *process) signal(t *testing.T, id, event string, data schemas.Value) {
	t.Helper()
	if _, err := p.Executions.Signal(t.Context(), id, event, data); err != nil {
		t.Fatalf("signal %s: %v", event, err)
	}
}

func (p *process) decide(t *testing.T, review string, d safety.Decision) {
	t.Helper()
	if _, err := p.Safety.Decide(t.Context(), review, d); err != nil {
		t.Fatalf("decide review %s: %v", review, err)
	}
}

// patch resumes an execution with a patch of one unit, and waits until it comes to rest.
func (p *process) patch(t *testing.T, id, unit string, patch schemas.NodePatch) schemas.Execution {
	t.Helper()
	p.resumeWith(t, id, unit, patch)
	synctest.Wait()
	return p.rest(t, id)
}

// children are the executions that have a parent.
func (p *process) children(t *testing.T) []schemas.Execution {
	t.Helper()
	l, err := p.Executions.List(t.Context(), journal.Query{Limit: records.PageSize})
	if err != nil {
		t.Fatal(err)
	}
	var out []schemas.Execution
	for _, e := range l.Executions {
		if e.ParentID != "" {
			out = append(out, e)
		}
	}
	return out
}

// createSession creates a session.
func (p *process) createSession(t *testing.T, u schemas.SessionUpdates) schemas.Session {
	t.Helper()
	s, err := p.Sessions.Create(t.Context(), u)
	if err != nil {
		t.Fatalf("create session: %v", err)
	}
	return s
}

// chainPlan is a plan of n calls, each of which reads the output of the one before.
func chainPlan(n int, tool string) string {
	var b strings.Builder
	b.WriteString(`{"plan":"v1","nodes":[`)
	for i := range n {
		if i > 0 {
			fmt.Fprintf(&b, `,{"id":"n%d","capability":"r.%s","inputs":{"id":"${nodes.n%d.output.id}-%d"}}`, i, tool, i-1, i)
		} else {
			fmt.Fprintf(&b, `{"id":"n0","capability":"r.%s","inputs":{"id":"x"}}`, tool)
		}
	}
	b.WriteString(`]}`)
	return b.String()
}

// subplan writes a workflow node with a name for the execution of its plan.
func subplan(id, extra, nodes string) string {
	return fmt.Sprintf(`{"id":"%s",%s"workflow":{"definition":{"plan":"v1","name":"%s","nodes":[%s]}}}`, id, extra, id, nodes)
}

// as is the test's context with another principal.
func as(t *testing.T, principal string) context.Context {
	t.Helper()
	return caller.With(t.Context(), caller.Caller{Principal: principal})
}

func code(e *schemas.Error) schemas.Code {
	if e == nil {
		return ""
	}
	return e.Code
}

func codeOf(err error) schemas.Code { return code(schemas.AsError(err)) }

func errOf[T any](_ T, err error) error { return err }
