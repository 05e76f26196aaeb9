package runtime

import (
	"context"
	"errors"
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

// unreadable is the store of a process that dies when it reads the log, or the snapshot, of an execution, unless it is small.
type unreadable struct {
	store.Store
	die   func()
	reads atomic.Int64
}

func (s *unreadable) large(ctx context.Context, id string) bool {
	rec, err := s.Store.Get(ctx, journal.ExecutionKey(id))
	return err == nil && (strings.Contains(string(rec.Value), `"name":"large"`))
}

func (s *unreadable) Get(ctx context.Context, k store.Key) (store.Record, error) {
	if k.Kind == journal.KindSnapshot && s.large(ctx, k.ID) {
		s.reads.Add(1)
		s.die()
	}
	return s.Store.Get(ctx, k)
}

func (s *unreadable) Log(ctx context.Context, k store.Key, after int64, limit int) ([]store.Entry, error) {
	if k.Kind == journal.KindExecution && limit == 0 && s.large(ctx, k.ID) {
		s.reads.Add(1)
		s.die()
	}
	return s.Store.Log(ctx, k, after, limit)
}

// largePlan has a log that is large, or if many, a snapshot and a small log; then comes what the nodes say.
func largePlan(many bool, nodes string) string {
	text, n, all := strings.Repeat("x", 2000), 8, ""
	if many {
		text, n = text[:50], 256
	}
	for i := range n {
		all += fmt.Sprintf(`{"id":"n%d","set":"%s"},`, i, text)
	}
	return `{"plan":"v1","name":"large","nodes":[` + all + nodes + `]}`
}

// largeExecutions are executions that are woken, or were at work when the process died.
var largeExecutions = map[string]struct {
	source string
	cancel bool // it is being cancelled when the first process dies
	status schemas.Status
}{
	"a long log that wakes":     {source: largePlan(false, `{"id":"w","wait":"1m"},{"id":"p","set":1,"depends_on":["w"]}`)},
	"a large snapshot":          {source: largePlan(true, `{"id":"w","wait":"1m"},{"id":"p","set":1,"depends_on":["w"]}`)},
	"with a call":               {source: largePlan(false, `{"id":"c","capability":"r.idempotent","inputs":{"take":"1h"}},{"id":"o","capability":"r.once","inputs":{"take":"1h"}}`)},
	"that is being cancelled":   {source: largePlan(false, `{"id":"c","capability":"r.once","inputs":{"stuck":true}}`), cancel: true, status: schemas.StatusCancelling},
	"that is being compensated": {source: largePlan(false, `{"id":"a","capability":"r.once","compensate":{"capability":"r.once","inputs":{"take":"1h"}}},{"id":"f","capability":"r.read","inputs":{"fail":9},"on_error":"compensate","depends_on":["a"]}`), status: schemas.StatusCompensating},
	"with a child":              {source: largePlan(false, `{"id":"c","workflow":{"definition":{"plan":"v1","nodes":[{"id":"s","wait":"1h"}]}}},{"id":"w","wait":"1m"},{"id":"p","set":1,"depends_on":["w"]}`)},
	"that is a child":           {source: `{"plan":"v1","nodes":[{"id":"c","workflow":{"definition":` + largePlan(false, `{"id":"w","wait":"1m"}`) + `}}]}`},
	"whose first process lives": {source: largePlan(false, `{"id":"w","wait":"1m"},{"id":"p","set":1,"depends_on":["w"]}`)},
}

// dieByReading runs a process that dies when it reads a large execution, which it does once while it is used.
func dieByReading(t *testing.T, w *world, s store.Store, use func(p *process)) {
	t.Helper()
	dying := storetest.Crash(s, 0, storetest.CrashBefore)
	bad := &unreadable{Store: dying, die: dying.Die}
	p := run(w, bad, isSmall)
	use(p)
	synctest.Wait()
	if !dying.Crashed() || bad.reads.Load() != 1 {
		t.Fatalf("it was read %d times", bad.reads.Load())
	}
	p.stop()
}

func isSmall(c *Config) { c.Limits.Large = 8 << 10 }

// An execution whose reading kills a process is held by the next one without being read. It can be cancelled there, with its children, and
// deleted; and resumed, which has it read again. Others go on as after any crash.
func TestExecutionWhoseReadingKillsIsNotReadAgain(t *testing.T) {
	for name, tt := range largeExecutions {
		for _, end := range []string{"cancel", "resume"} {
			t.Run(name+", "+end, func(t *testing.T) {
				inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
					first := storetest.Crash(s, 0, storetest.CrashBefore)
					p := run(w, first, isSmall)
					root := p.submit(t, tt.source)
					var others []string
					for range 3 {
						others = append(others, p.submit(t, `{"plan":"v1","nodes":[{"id":"a","wait":"50s"},{"id":"b","capability":"r.idempotent","inputs":{"take":"40s"},"depends_on":["a"]}]}`))
					}
					if tt.cancel {
						p.cancel(t, root, engine.CancelOptions{Grace: time.Hour})
					}
					time.Sleep(20 * time.Second) // nothing wakes then
					if !strings.HasSuffix(name, "lives") {
						first.Die()
					}
					p.stop()

					dieByReading(t, w, s, func(*process) { time.Sleep(2 * time.Minute) })
					next := &unreadable{Store: s, die: func() { t.Error("it was read again") }}
					p = run(w, next, isSmall)
					defer p.stop()
					for _, id := range others {
						want(t, p.rest(t, id), schemas.StatusSucceeded, "", "")
					}
					held := p.heldUnread(t)
					if status := tt.status; held.Status != status && (status != "" || held.Status != schemas.StatusSuspended) {
						t.Errorf("it is %s", held.Status)
					}
					if h, _, err := p.journal.ReadHead(t.Context(), held.ExecutionID); err != nil || (h.SnapshotBytes > 8<<10) != strings.Contains(name, "snapshot") {
						t.Errorf("a snapshot of %d bytes, %v", h.SnapshotBytes, err)
					}
					p.wantUnread(t, held.ExecutionID)
					if end == "resume" {
						next.die = func() {}
						p.resume(t, held.ExecutionID)
						time.Sleep(3 * time.Hour)
						synctest.Wait()
						e, err := p.Executions.Status(t.Context(), root, schemas.ViewNodes, 0, nil)
						if err != nil || !e.Status.Terminal() && (len(e.WaitingFor) == 0 || e.WaitingFor[0].Reason != schemas.ReasonUnknown) {
							t.Errorf("%s %v after a resume, %+v", e.Status, err, e.WaitingFor)
						}
						p.checkLog(t, held.ExecutionID)
						return
					}
					for range 2 {
						if _, err := p.Executions.Cancel(t.Context(), root, engine.CancelOptions{}); err != nil {
							t.Error(err)
						}
					}
					time.Sleep(time.Minute)
					synctest.Wait()
					if open, _ := p.open(t); open > 0 {
						t.Errorf("%d are open", open)
					}
					p.wantUnread(t, held.ExecutionID)
					p.wantFoldsTo(t, held.ExecutionID, schemas.StatusCancelled)
				})
			})
		}
	}
}

// heldUnread returns the one execution that is held, as a person sees it.
func (p *process) heldUnread(t *testing.T) schemas.Execution {
	t.Helper()
	held, err := p.Executions.Held(t.Context())
	if err != nil || len(held) != 1 || !strings.Contains(held[0].Reason, "died") || !strings.Contains(held[0].Hint, "resume_execution") {
		t.Fatalf("%+v, %v", held, err)
	}
	check, _ := schemas.Encode(p.Health.Check(t.Context(), schemas.ScopeRuntime))
	if !strings.Contains(string(check), held[0].ExecutionID) {
		t.Errorf("check_health: %s", check)
	}
	return held[0]
}

// wantUnread checks what does not need the state of the execution, and that all else says what to do.
func (p *process) wantUnread(t *testing.T, id string) {
	t.Helper()
	e, err := p.Executions.Status(t.Context(), id, "", time.Second, nil)
	if err != nil {
		t.Error(err)
	}
	events, err := p.Executions.Events(t.Context(), id, 0, 500)
	if err != nil || len(events.Events) == 0 {
		t.Errorf("%+v %v", events, err)
	}
	if _, err := p.Safety.Reviews(t.Context()); err != nil {
		t.Error(err)
	}
	_, nodes := p.Executions.Status(t.Context(), id, schemas.ViewNodes, 0, nil)
	_, metrics := p.Executions.Metrics(t.Context(), id)
	_, output := p.Executions.NodeOutput(t.Context(), id, journal.OutputQuery{Node: "n0"})
	_, signal := p.Executions.Signal(t.Context(), id, "e", nil)
	_, patch := p.Executions.Resume(t.Context(), id, &schemas.Patch{Nodes: map[string]schemas.NodePatch{"n0": {Skip: true}}})
	_, rerun := p.Executions.Rerun(t.Context(), id, "")
	_, priority := p.Executions.SetPriority(t.Context(), id, 1)
	for i, err := range []error{nodes, metrics, output, signal, patch, rerun, priority} {
		problem := schemas.AsError(err)
		if !errors.Is(err, journal.ErrUnread) || problem.Code != schemas.CodeConflict || !strings.Contains(problem.Hint, "get_execution_events") {
			t.Errorf("request %d: %v, %s", i, err, problem.Hint)
		}
	}
	again, err := p.Executions.Suspend(t.Context(), id, "", "")
	if e.Status == schemas.StatusSuspended && (err != nil || again.Status != e.Status) {
		t.Errorf("suspend: %s %v", again.Status, err)
	}
}

// wantFoldsTo reads the execution all the same, which here does not kill, and compares it with its head. Then it deletes it.
func (p *process) wantFoldsTo(t *testing.T, id string, status schemas.Status) {
	t.Helper()
	h, version, err := p.journal.ReadHead(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	plain := journal.Open(journal.Config{Store: p.store, Sessions: p.Sessions, UnknownRules: p.Capabilities.UnknownRules})
	x := plain.New(id, h)
	p.store.Store.(*unreadable).die = func() {}
	if err := plain.Fold(t.Context(), x, h, version); err != nil || x.State.Status != status || h.Status != status || x.State.Seq != h.Seq {
		t.Errorf("%v, head %s at %d", err, h.Status, h.Seq)
	}
	if err := p.upkeep.Delete(t.Context(), &h, version); err != nil {
		t.Error(err)
	}
	if _, _, err := p.journal.ReadHead(t.Context(), id); !errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
		t.Error(err)
	}
}

// While a replica reads an execution, another one does not, and says when to try again. An execution that is small is not marked.
func TestLargeExecutionsAreReadOneAfterTheOther(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		var reading, most, commits atomic.Int64
		slow := &hooks{Store: s, log: func(ctx context.Context, k store.Key, after int64, limit int) ([]store.Entry, error) {
			if h, err := s.Get(ctx, journal.ExecutionKey(k.ID)); err == nil && strings.Contains(string(h.Value), `"reading":true`) {
				most.Store(max(most.Load(), reading.Add(1)))
				defer reading.Add(-1)
				time.Sleep(time.Second)
			}
			return s.Log(ctx, k, after, limit)
		}, commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
			commits.Add(1)
			return s.Commit(ctx, b)
		}}
		p := run(w, slow, isSmall)
		defer p.stop()
		other := run(w, &hooks{Store: s, claim: func(ctx context.Context, _ store.ClaimRequest) ([]store.Lease, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}, isSmall)
		defer other.stop()
		var ids []string
		for range 5 {
			ids = append(ids, p.submit(t, largePlan(false, `{"id":"w","wait":"1m"},{"id":"p","set":1,"depends_on":["w"]}`)))
		}
		small := p.submit(t, `{"plan":"v1","nodes":[{"id":"w","wait":"2m"},{"id":"p","set":1,"depends_on":["w"]}]}`)
		time.Sleep(time.Minute + 500*time.Millisecond)
		busy := 0
		for _, id := range ids {
			_, err := other.Executions.Cancel(t.Context(), id, engine.CancelOptions{})
			if problem := schemas.AsError(err); errors.Is(err, journal.ErrUnread) && problem.Retryable && problem.RetryAfterSeconds > 0 {
				busy++
			}
		}
		if busy != 1 {
			t.Errorf("%d are being read", busy)
		}
		time.Sleep(50 * time.Second)
		if most.Load() != 1 {
			t.Errorf("%d were read at once", most.Load())
		}
		before := commits.Load()
		want(t, p.rest(t, small), schemas.StatusSucceeded, "", "")
		if n := commits.Load() - before; n != 1 {
			t.Errorf("%d commits to wake a small one", n)
		}
	})
}
