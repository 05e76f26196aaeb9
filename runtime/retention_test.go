package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/queue"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/safety"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/runtime/upkeep"
	"github.com/runplane/runplane/runtime/workflow"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/storetest"
)

// withRetention deletes executions five hours after they ended, and states four hours after they were written.
func withRetention(c *Config) {
	c.Retention = upkeep.Retention{Executions: 5 * time.Hour, States: 4 * time.Hour}
}

// leftInStore are the records of every kind that can belong to executions, and the logs, wakes and leases of these executions.
func leftInStore(t *testing.T, s store.Store, ids ...string) (left []string) {
	t.Helper()
	for _, kind := range []string{
		journal.KindExecution, journal.KindPlan, journal.KindSnapshot, journal.KindOutput, journal.KindIdempotency, journal.KindNudge, journal.KindOverdue, journal.KindAlarm, session.Kind, state.Kind, queue.Kind, workflow.KindSchedule,
	} {
		var q store.Query
		for q = (store.Query{Kind: kind}); ; {
			page, err := s.List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, rec := range page {
				left = append(left, rec.Key.String())
				q.After = rec.Key.ID
			}
			if len(page) < 100 {
				break
			}
		}
		for _, id := range ids {
			key := store.Key{Kind: kind, ID: id}
			log, err := s.Log(t.Context(), key, 0, 1)
			if err != nil {
				t.Fatal(err)
			}
			place, err := s.Places(t.Context(), []store.Key{key})
			if err != nil {
				t.Fatal(err)
			}
			if len(log) > 0 || place[0].Wake != nil || place[0].Lease != nil {
				left = append(left, fmt.Sprintf("%s: log %d, %+v", key, len(log), place[0]))
			}
		}
	}
	return left
}

// planOfEachKind is a plan that leaves a record of each kind: more outputs than one commit deletes, texts, inputs that were kept, a snapshot,
// an idempotency key and a second wake.
func planOfEachKind(key string) string {
	large := strings.Repeat("x", engine.MaxInlineOutput+1)
	return fmt.Sprintf(`{"plan":"v1","name":"rich","idempotency_key":%q,"queue_timeout":"1h","nodes":[
		{"id":"a","for_each":"${lists.range(%d)}","capability":"r.idempotent","inputs":{"id":"i${index}","give":{"n":%q}}},
		{"id":"b","capability":"r.once","depends_on":["a"],"inputs":{"give":%q}}],"output":"${nodes.b.output}"}`, key, upkeep.OutputsPerCommit+60, large, large)
}

// Of an execution that ended, however it ended, nothing is left, and one that is open is not touched.
func TestEndedExecutionsAreDeletedWithAllTheirRecords(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s, withRetention)
		defer p.stop()
		open := p.submit(t, `{"plan":"v1","idempotency_key":"open","nodes":[{"id":"w","wait_for":"go"}]}`)
		before := leftInStore(t, s)
		ids := []string{
			p.execute(t, planOfEachKind("k")).ExecutionID,
			p.execute(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.read","inputs":{"fail":9,"code":"invalid_argument"}}]}`).ExecutionID,
			p.execute(t, `{"plan":"v1","timeout":"1s","nodes":[{"id":"n","wait":"1h"}]}`).ExecutionID,
		}
		cancelled := p.submit(t, `{"plan":"v1","nodes":[{"id":"n","workflow":{"definition":{"plan":"v1","nodes":[{"id":"w","wait":"1h"}]}}}]}`)
		time.Sleep(time.Second)
		child := p.child(t, cancelled, "n")
		p.cancel(t, cancelled, engine.CancelOptions{})
		ids = append(ids, cancelled, child)
		time.Sleep(4 * time.Hour)
		for _, id := range ids {
			if e, err := p.Executions.Status(t.Context(), id, schemas.ViewNodes, 0, nil); err != nil || !e.Status.Terminal() {
				t.Errorf("%s after 4 hours: %+v, %v", id, e, err)
			}
		}
		again, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(planOfEachKind("k"))})
		if err != nil || again.ExecutionID != ids[0] {
			t.Errorf("the key after 4 hours: %s, %v", again.ExecutionID, err)
		}
		for _, kind := range []string{journal.KindExecution, journal.KindPlan, journal.KindSnapshot, journal.KindOutput, journal.KindIdempotency} {
			if !slices.ContainsFunc(leftInStore(t, s), func(key string) bool { return strings.HasPrefix(key, kind+":") && !slices.Contains(before, key) }) {
				t.Errorf("the plans leave no %s: this test does not prove that it is deleted", kind)
			}
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if left := leftInStore(t, s, ids...); !slices.Equal(left, before) {
			t.Errorf("left:\n%s\nwant\n%s", strings.Join(left, "\n"), strings.Join(before, "\n"))
		}
		for _, id := range ids {
			p.wantGone(t, id)
		}
		again = p.execute(t, planOfEachKind("k"))
		if again.Status != schemas.StatusSucceeded || again.ExecutionID == ids[0] {
			t.Errorf("the key is not free: %+v", again)
		}
		if e, err := p.Executions.Status(t.Context(), open, "", 0, nil); err != nil || e.Status != schemas.StatusRunning {
			t.Errorf("what is open: %+v, %v", e, err)
		}
	})
}

// retainNow deletes what has ended, without waiting for a pass.
func (p *process) retainNow(t *testing.T) {
	t.Helper()
	rounds := p.upkeep.ExecutionRounds()
	for part := range rounds.Parts {
		for after, more := "", true; more; more = after != "" {
			var err error
			if after, err = rounds.Page(t.Context(), part, after); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// child is the execution that runs a node.
func (p *process) child(t *testing.T, id, node string) string {
	t.Helper()
	x, err := p.journal.Load(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	unit, ok := journal.UnitNamed(x.State, node)
	if !ok || x.State.Units[unit].Child == "" {
		t.Fatalf("node %s of %s has no child", node, id)
	}
	return x.State.Units[unit].Child
}

// wantGone asserts that every request for the execution is not_found, with the reason.
func (p *process) wantGone(t *testing.T, id string) {
	t.Helper()
	ctx := t.Context()
	for what, err := range map[string]error{
		"status": errOf(p.Executions.Status(ctx, id, "", 0, nil)), "nodes": errOf(p.Executions.Status(ctx, id, schemas.ViewNodes, time.Second, nil)), "metrics": errOf(p.Executions.Metrics(ctx, id)),
		"output": errOf(p.Executions.NodeOutput(ctx, id, journal.OutputQuery{Node: "a"})), "events": errOf(p.Executions.Events(ctx, id, 0, 0)), "rerun": errOf(p.Executions.Rerun(ctx, id, "")),
		"cancel": errOf(p.Executions.Cancel(ctx, id, engine.CancelOptions{})), "signal": errOf(p.Executions.Signal(ctx, id, "go", nil)), "priority": errOf(p.Executions.SetPriority(ctx, id, 1)),
		"review": errOf(p.Safety.Decide(ctx, id+"/a/1", safety.Decision{})),
	} {
		e := schemas.AsError(err)
		if e == nil || e.Code != schemas.CodeNotFound || !strings.Contains(e.Hint, "deleted after 5h (retention.executions)") {
			t.Errorf("%s of one that was deleted: %v (%+v)", what, err, e)
		}
	}
	if st := p.get(t, state.Ref{Type: schemas.StateExecution, Key: id}); st.Found {
		t.Errorf("it still has a view: %+v", st)
	}
}

// The child of an open parent, the parent of an open child and the original of an open rerun are kept.
func TestExecutionsThatAnOpenOneNeedsAreKept(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s, withRetention)
		defer p.stop()
		parent := p.submit(t, `{"plan":"v1","nodes":[{"id":"c","workflow":{"definition":{"plan":"v1","nodes":[{"id":"a","set":1}]}}},{"id":"w","wait_for":"go"}]}`)
		time.Sleep(time.Second)
		child := p.child(t, parent, "c")
		ended := p.execute(t, `{"plan":"v1","nodes":[{"id":"a","set":1},{"id":"q","capability":"r.read","inputs":{"fail":1,"code":"invalid_argument"},"depends_on":["a"]},{"id":"w","wait_for":"go","depends_on":["q"]}]}`)
		rerun, err := p.Executions.Rerun(t.Context(), ended.ExecutionID, "q")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		// A child that stayed open after the end of its parent, because the store crashed.
		orphan := p.submit(t, `{"plan":"v1","nodes":[{"id":"w","wait_for":"go"}]}`)
		old := p.execute(t, `{"plan":"v1","nodes":[{"id":"a","set":1}]}`)
		p.setParent(t, orphan, old.ExecutionID)
		stays := []string{child, ended.ExecutionID, old.ExecutionID}
		time.Sleep(6 * time.Hour)
		for _, id := range stays {
			if _, err := p.Executions.Status(t.Context(), id, "", 0, nil); err != nil {
				t.Errorf("%s is needed: %v", id, err)
			}
		}
		for _, id := range []string{parent, rerun.ExecutionID, orphan} {
			p.signal(t, id, "go", nil)
		}
		time.Sleep(6 * time.Hour)
		synctest.Wait()
		if left := leftInStore(t, s); len(left) != 0 {
			t.Errorf("left when nothing was open any more: %v", left)
		}
	})
}

// setParent makes an execution the child of another one.
func (p *process) setParent(t *testing.T, id, parent string) {
	t.Helper()
	synctest.Wait()
	h, version, err := p.journal.ReadHead(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	h.ParentID = parent
	value, err := schemas.Encode(&h)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.store.Commit(t.Context(), store.Batch{Puts: []store.Put{{Key: journal.ExecutionKey(id), Value: value, Version: version, Terms: h.Terms()}}}); err != nil {
		t.Fatal(err)
	}
}

// A crash at every commit of a deletion: an execution whose deletion has begun is invisible, and the next pass finishes it.
func TestACrashInADeletionLeavesNothing(t *testing.T) {
	commits := 0
	for at := 0; at <= commits; at++ {
		for _, mode := range storetest.CrashModes {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				c := storetest.Crash(s, 0, mode)
				p := run(w, s)
				id := p.execute(t, planOfEachKind("k")).ExecutionID
				p.stop()
				time.Sleep(6 * time.Hour)
				visitor := idle(w, c, func(c *Config) { c.Retention.Executions = 5 * time.Hour })
				c.Reset(at)
				_, err := visitor.store.Round(t.Context(), visitor.upkeep.ExecutionRounds())
				if at == 0 {
					commits = c.Commits()
				} else if !errors.Is(err, storetest.ErrCrashed) {
					t.Errorf("crash at %d of %d (%s): %v", at, commits, mode, err)
				}
				p = run(w, s, withRetention)
				if at > 0 && at < commits && p.deletionBegun(t, id) {
					p.wantGone(t, id)
					if page, err := p.Executions.List(t.Context(), journal.Query{}); err != nil || len(page.Executions) != 0 {
						t.Errorf("it is listed: %+v, %v", page, err)
					}
				}
				time.Sleep(3 * time.Minute)
				synctest.Wait()
				p.stop()
				if left := leftInStore(t, s, id); len(left) != 0 {
					t.Errorf("crash at %d of %d (%s) left %v", at, commits, mode, left)
				}
			})
		}
	}
	if commits < 5 { // the pass's two, the key, two of the execution
		t.Errorf("only %d commits", commits)
	}
}

// deletionBegun reports whether the deletion of an execution has begun and not ended.
func (p *process) deletionBegun(t *testing.T, id string) bool {
	t.Helper()
	rec, err := p.store.Get(t.Context(), journal.ExecutionKey(id))
	if errors.Is(err, store.ErrNotFound) {
		return false
	}
	var h journal.Head
	if err == nil {
		err = json.Unmarshal(rec.Value, &h)
	}
	if err != nil {
		t.Fatal(err)
	}
	return h.Deleted
}

// Three replicas delete each execution once, in passes that none of them repeats.
func TestReplicasShareTheDeletion(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		var mu sync.Mutex
		deleted, by := map[string]int{}, map[int]int{}
		var all []*process
		first := run(w, s)
		defer first.stop()
		for range 450 {
			first.submit(t, `{"plan":"v1","nodes":[{"id":"a","set":1}]}`)
		}
		time.Sleep(4 * time.Hour)
		for i := range 3 {
			counted := &hooks{Store: s, commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
				done, err := s.Commit(ctx, b)
				for _, k := range b.Deletes {
					if k.Kind == journal.KindExecution && err == nil {
						mu.Lock()
						deleted[k.ID]++
						by[i]++
						mu.Unlock()
					}
				}
				return done, err
			}}
			all = append(all, run(w, counted, withRetention))
		}
		time.Sleep(2 * time.Hour)
		for _, p := range all {
			p.stop()
		}
		for id, n := range deleted {
			if n != 1 {
				t.Errorf("%s was deleted %d times", id, n)
			}
		}
		if left := leftInStore(t, s); len(left) != 0 || len(deleted) != 450 {
			t.Errorf("%d were deleted (%v), %d left", len(deleted), by, len(left))
		}
	})
}

// Between two pages some executions are deleted; those that stay are shown once.
func TestListsAndNumbersStayRightWhileExecutionsAreDeleted(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		p.createWorkflow(t, "greet", greet("hello"), "")
		var ids []string // newest first
		for range 60 {
			e, err := p.Workflows.Execute(t.Context(), "greet", 0, engine.Submit{})
			if err != nil {
				t.Fatal(err)
			}
			ids = slices.Insert(ids, 0, e.ExecutionID)
			time.Sleep(time.Minute)
		}
		forget := func(age time.Duration) {
			t.Helper()
			idle(w, s, func(c *Config) { c.Retention.Executions = age }).retainNow(t)
		}
		numbers := func(want int) {
			t.Helper()
			st, err := p.Workflows.Status(t.Context(), "greet")
			if err != nil || st.Executions[schemas.StatusSucceeded] != want || len(st.Latest) != workflow.LatestExecutions || st.Latest[0].ExecutionID != ids[0] {
				t.Errorf("want %d executions: %+v, %v", want, st, err)
			}
		}
		var shown []string
		for q := (journal.Query{Limit: 7}); ; {
			page, err := p.Executions.List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Executions {
				shown = append(shown, e.ExecutionID)
			}
			switch len(shown) {
			case 7: // those that are deleted are yet to come
				forget(40*time.Minute + time.Second)
				numbers(40)
			case 28: // some of those that are deleted were shown, also the one that the cursor stands on
				forget(20*time.Minute + time.Second)
				numbers(20)
			}
			if q.Cursor = page.NextCursor; q.Cursor == "" {
				break
			}
		}
		if !slices.Equal(shown, ids[:28]) {
			t.Errorf("shown %d: %v", len(shown), shown)
		}
	})
}

// An execution that cannot be deleted is left, and the others are deleted.
func TestADamagedExecutionDoesNotStopRetention(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s, withRetention)
		defer p.stop()
		bad := p.execute(t, `{"plan":"v1","nodes":[{"id":"a","set":1}]}`).ExecutionID
		time.Sleep(time.Second)
		good := p.execute(t, `{"plan":"v1","nodes":[{"id":"a","set":1}]}`).ExecutionID
		if _, err := s.Commit(t.Context(), store.Batch{Puts: []store.Put{{Key: journal.PlanKey(bad), Value: []byte("{"), Version: store.AnyVersion}}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Hour)
		p.wantGone(t, good)
		p.stop()
		time.Sleep(7 * 24 * time.Hour) // by then the plan need not be read
		p = run(w, s, withRetention)
		defer p.stop()
		time.Sleep(2 * time.Minute)
		p.wantGone(t, bad)
	})
}

// The id of an execution was made long before it, as that of a firing that could not be made at once.
func TestAnExecutionYoungerThanItsIDDelaysNoDeletion(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s, withRetention)
		defer p.stop()
		const source = `{"plan":"v1","nodes":[{"id":"a","set":1}]}`
		reserved := records.NewID()
		time.Sleep(time.Second)
		old := p.execute(t, source).ExecutionID
		time.Sleep(4 * time.Hour)
		if _, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(source), ID: reserved}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		p.wantGone(t, old)
		p.rest(t, reserved)
	})
}

// An execution is deleted between two reads of one request.
func TestReadsDuringADeletionAreNotFound(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		reads := map[string]func(p *process, id string) error{
			"nodes": func(p *process, id string) error {
				return errOf(p.Executions.Status(t.Context(), id, schemas.ViewNodes, 0, nil))
			},
			"output": func(p *process, id string) error {
				return errOf(p.Executions.NodeOutput(t.Context(), id, journal.OutputQuery{Node: "b"}))
			},
			"events": func(p *process, id string) error { return errOf(p.Executions.Events(t.Context(), id, 0, 0)) },
			"rerun":  func(p *process, id string) error { return errOf(p.Executions.Rerun(t.Context(), id, "b")) },
		}
		for what, read := range reads {
			for at := 1; ; at++ {
				id := p.execute(t, planOfEachKind(fmt.Sprint(what, at))).ExecutionID
				var n atomic.Int64
				look := func() { // the execution is deleted before read number at
					if n.Add(1) != int64(at) {
						return
					}
					h, version, err := p.journal.ReadHead(t.Context(), id)
					if err != nil {
						t.Fatal(err)
					}
					if err := p.upkeep.Delete(t.Context(), &h, version); err != nil {
						t.Fatal(err)
					}
				}
				racing := idle(w, &hooks{Store: s, get: func(ctx context.Context, k store.Key) (store.Record, error) {
					look()
					return s.Get(ctx, k)
				}, log: func(ctx context.Context, k store.Key, after int64, limit int) ([]store.Entry, error) {
					look()
					return s.Log(ctx, k, after, limit)
				}})
				err := read(racing, id)
				if n.Load() < int64(at) {
					break
				}
				if err != nil && codeOf(err) != schemas.CodeNotFound {
					t.Errorf("%s, deleted before read %d: %v", what, at, err)
				}
				if at > 100 {
					t.Fatalf("%s: more than 100 reads", what)
				}
			}
		}
	})
}

// States that were not written for long are deleted, but for those with a TTL.
func TestStatesNotWrittenForLongAreDeleted(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s, withRetention)
		defer p.stop()
		set := func(key string, ttl time.Duration) {
			t.Helper()
			if _, err := p.States.Set(t.Context(), state.Write{Ref: state.Ref{Type: "x", Key: key}, Data: schemas.Value(`1`), TTL: ttl}); err != nil {
				t.Fatal(err)
			}
		}
		found := func() (keys string) {
			t.Helper()
			page, err := p.States.List(t.Context(), state.Query{Type: "x"})
			if err != nil {
				t.Fatal(err)
			}
			for _, st := range page.States {
				keys += st.StateKey + " "
			}
			return keys
		}
		set("old", 0)
		set("ttl", 10*time.Hour)
		set("written", 0)
		for i := range 2*upkeep.StatesPerPage + 1 {
			set(fmt.Sprintf("z%02d", i), 0)
		}
		time.Sleep(4*time.Hour - time.Minute)
		if got := found(); !strings.HasPrefix(got, "old ttl written z00 ") {
			t.Errorf("before 4 hours: %s", got)
		}
		set("written", 0)
		time.Sleep(90 * time.Minute)
		if got := found(); got != "ttl written " {
			t.Errorf("after 5 hours: %s", got)
		}
		time.Sleep(5 * time.Hour)
		if got := found(); got != "" {
			t.Errorf("after 10 hours: %s", got)
		}
		p.stop()
		time.Sleep(state.KeepVersion + 2*time.Hour)
		if left := leftInStore(t, s); len(left) != 0 {
			t.Errorf("never deleted: %v", left)
		}
	})
}
