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
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/storetest"
)

// byName are the executions by their names, children too.
func (p *process) byName(t *testing.T) map[string]schemas.Execution {
	t.Helper()
	l, err := p.Executions.List(t.Context(), journal.Query{Limit: records.PageSize})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]schemas.Execution{}
	for _, e := range l.Executions {
		for name := e.Name; ; name += "'" {
			if _, taken := out[name]; !taken {
				out[name] = e
				break
			}
		}
	}
	return out
}

// wantStatuses compares the statuses of executions, by their names, with those that a test wants.
func (p *process) wantStatuses(t *testing.T, want string) {
	t.Helper()
	synctest.Wait()
	all := p.byName(t)
	for _, pair := range strings.Fields(want) {
		name, status, _ := strings.Cut(pair, "=")
		if e := all[name]; string(e.Status) != status {
			t.Errorf("%s is %q (%s), want %s", name, e.Status, e.Reason, status)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

// nested is a plan three deep, with a call in the innermost and another call after it.
func nested(tool string) string {
	return `{"plan":"v1","name":"top","nodes":[` + subplan("mid", "", subplan("low", "",
		`{"id":"a","capability":"r.`+tool+`","inputs":{"take":"10s"}},{"id":"b","capability":"r.once","inputs":{"id":"${nodes.a.output.id}b"}}`)) + `]}`
}

// Mode drain waits for the calls of the children as well; mode now stops those that may be repeated. No call of any of them starts until the
// outermost execution is resumed, and then all go on.
func TestChildrenAreSuspendedWithTheirParent(t *testing.T) {
	for _, tt := range []struct {
		mode, tool string
		took       time.Duration
		calls      int // of the call in flight, in the end
	}{
		{machine.SuspendDrain, "read", 8 * time.Second, 1},
		{machine.SuspendDrain, "once", 8 * time.Second, 1},
		{machine.SuspendNow, "read", 0, 2},
		{machine.SuspendNow, "once", 8 * time.Second, 1},
	} {
		t.Run(tt.mode+" "+tt.tool, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				p := run(w, s)
				defer p.stop()
				id := p.submit(t, nested(tt.tool))
				time.Sleep(2 * time.Second)
				p.suspend(t, id, tt.mode)
				if tt.took > 0 {
					p.wantStatuses(t, "top=suspending mid=suspending low=suspending")
					time.Sleep(tt.took)
				}
				p.wantStatuses(t, "top=suspended mid=suspended low=suspended")
				if low := p.byName(t)["low"]; !strings.Contains(low.Reason, "its parent") || !strings.Contains(low.Reason, "lunch") {
					t.Errorf("the reason of a child is %q", low.Reason)
				}
				time.Sleep(time.Hour)
				p.wantStatuses(t, "top=suspended mid=suspended low=suspended")
				if w.calls("", "ab") != 0 {
					t.Errorf("the child goes on: %v", w.ledger)
				}
				p.resume(t, id)
				synctest.Wait()
				time.Sleep(time.Minute)
				p.wantStatuses(t, "top=succeeded mid=succeeded low=succeeded")
				if w.calls("", "a") != tt.calls || w.calls("", "ab") != 1 {
					t.Errorf("ledger %v", w.ledger)
				}
				for _, e := range p.byName(t) {
					p.rest(t, e.ExecutionID)
				}
			})
		})
	}
}

// A second suspend in mode now hurries the drain of the children.
func TestDrainOfChildrenIsHurried(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, nested("read"))
		p.suspend(t, id, "")
		p.wantStatuses(t, "top=suspending mid=suspending low=suspending")
		p.suspend(t, id, machine.SuspendNow)
		p.wantStatuses(t, "top=suspended mid=suspended low=suspended")
	})
}

// A resume that comes while the children still drain lets all of them go on.
func TestResumeWhileChildrenDrain(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, nested("once"))
		for range 3 {
			p.suspend(t, id, "")
			p.resume(t, id)
		}
		p.suspend(t, id, "")
		p.wantStatuses(t, "top=suspending mid=suspending low=suspending")
		p.resume(t, id)
		p.wantStatuses(t, "top=running mid=running low=running")
		time.Sleep(time.Minute)
		p.wantStatuses(t, "top=succeeded mid=succeeded low=succeeded")
		if w.calls("", "a") != 1 || w.calls("", "ab") != 1 {
			t.Errorf("ledger %v", w.ledger)
		}
	})
}

// A child that a caller suspended stays suspended when the parent is resumed, whether it was suspended before the parent, while that drained
// or after; and a child may be resumed alone.
func TestChildThatACallerSuspendedStaysSuspended(t *testing.T) {
	const plan = `{"plan":"v1","name":"top","nodes":[%s,%s]}`
	source := fmt.Sprintf(plan, subplan("one", "", `{"id":"a","capability":"r.read","inputs":{"take":"10s"}},{"id":"t","wait":"1h","depends_on":["a"]}`), subplan("two", "", `{"id":"t","wait":"1h"}`))
	for name, when := range map[string]time.Duration{"before": -time.Second, "while it drains": time.Second, "after": time.Minute} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				p := run(w, s)
				defer p.stop()
				id := p.submit(t, source)
				one := p.byName(t)["one"].ExecutionID
				if when < 0 {
					p.suspend(t, one, "")
				}
				p.suspend(t, id, "")
				if when > 0 {
					time.Sleep(when)
					p.suspend(t, one, "")
				}
				time.Sleep(time.Hour)
				p.wantStatuses(t, "top=suspended one=suspended two=suspended")
				if reason := p.byName(t)["one"].Reason; reason != "lunch" {
					t.Errorf("the reason is %q", reason)
				}
				p.resume(t, id)
				time.Sleep(time.Minute)
				p.wantStatuses(t, "top=running one=suspended")
				time.Sleep(2 * time.Hour)
				p.wantStatuses(t, "top=running one=suspended two=succeeded")
				p.resume(t, one)
				time.Sleep(2 * time.Hour)
				p.wantStatuses(t, "top=succeeded one=succeeded")
			})
		})
	}
	t.Run("resumed alone", func(t *testing.T) {
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			p := run(w, s)
			defer p.stop()
			id := p.submit(t, source)
			p.suspend(t, id, machine.SuspendNow)
			p.wantStatuses(t, "top=suspended one=suspended two=suspended")
			p.resume(t, p.byName(t)["one"].ExecutionID)
			time.Sleep(2 * time.Hour)
			p.wantStatuses(t, "top=suspended one=succeeded two=suspended")
			p.resume(t, id)
			time.Sleep(2 * time.Hour)
			p.wantStatuses(t, "top=succeeded two=succeeded")
		})
	})
}

// A cancel ends a suspended execution and its children.
func TestCancelOfSuspendedChildren(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, nested("once"))
		p.suspend(t, id, "")
		time.Sleep(time.Minute)
		p.wantStatuses(t, "top=suspended mid=suspended low=suspended")
		p.cancel(t, id, engine.CancelOptions{})
		time.Sleep(time.Minute)
		p.wantStatuses(t, "top=cancelled mid=cancelled low=cancelled")
	})
}

// The workflows of a list are suspended with it, and no more of them start.
func TestWorkflowsOfAListAreSuspended(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","name":"top","nodes":[`+subplan("m", `"for_each":"${lists.range(7)}","max_parallel":3,`, `{"id":"t","capability":"r.once","inputs":{"take":"10s"}},{"id":"u","capability":"r.read","depends_on":["t"]}`)+`]}`)
		p.suspend(t, id, "")
		p.wantStatuses(t, "top=suspending m=suspending m'=suspending m''=suspending")
		time.Sleep(time.Hour)
		p.wantStatuses(t, "top=suspended m=suspended m'=suspended m''=suspended")
		if n := len(p.children(t)); n != 3 {
			t.Errorf("%d children", n)
		}
		p.resume(t, id)
		time.Sleep(time.Hour)
		p.wantStatuses(t, "top=succeeded")
		if w.calls("once", "t") != 7 || w.calls("read", "u") != 7 {
			t.Errorf("ledger %v", w.ledger)
		}
	})
}

// The process dies at each commit of a suspend and a resume, and another one goes on: the children come to rest with the outermost
// execution, and go on with it.
func TestCrashWhileChildrenAreSuspended(t *testing.T) {
	suspendAndResume := func(t *testing.T, p *process, dies bool) {
		l, err := p.Executions.List(t.Context(), journal.Query{Limit: records.PageSize})
		if err != nil && !dies {
			t.Fatal(err)
		}
		for _, e := range l.Executions {
			if e.ParentID == "" {
				_, _ = p.Executions.Suspend(t.Context(), e.ExecutionID, "", "lunch") // it may die meanwhile
				time.Sleep(time.Minute)
				synctest.Wait()
				_, _ = p.Executions.Resume(t.Context(), e.ExecutionID, nil)
				time.Sleep(time.Second)
				synctest.Wait()
			}
		}
	}
	const source = `{"plan":"v1","name":"top","nodes":[%s]}`
	plan := fmt.Sprintf(source, subplan("mid", "", subplan("low", "", `{"id":"a","wait":"1h"},{"id":"b","capability":"r.once","depends_on":["a"]}`)))
	begin := func(t *testing.T, w *world, s store.Store) string {
		p := run(w, s)
		defer p.stop()
		return p.submit(t, plan)
	}
	commits := 0
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		begin(t, w, s)
		counting := storetest.Crash(s, 0, storetest.CrashBefore)
		p := run(w, counting)
		defer p.stop()
		suspendAndResume(t, p, false)
		commits = counting.Commits()
	})
	if commits < 8 {
		t.Fatalf("%d commits", commits)
	}
	for at := 1; at <= commits; at++ {
		for _, mode := range storetest.CrashModes {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				id := begin(t, w, s)
				dying := run(w, storetest.Crash(s, at, mode))
				suspendAndResume(t, dying, true)
				dying.stop()
				p := run(w, s)
				defer p.stop()
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				switch all := p.byName(t); all["top"].Status {
				case schemas.StatusRunning:
					p.wantStatuses(t, "mid=running low=running")
					p.suspend(t, id, "")
					time.Sleep(time.Minute)
					p.wantStatuses(t, "top=suspended mid=suspended low=suspended")
				case schemas.StatusSuspended:
					p.wantStatuses(t, "mid=suspended low=suspended")
				default:
					t.Errorf("the parent is %s", all["top"].Status)
				}
				p.resume(t, id)
				time.Sleep(2 * time.Hour)
				p.wantStatuses(t, "top=succeeded mid=succeeded low=succeeded")
				if w.calls("", "") != 1 {
					t.Errorf("ledger %v", w.ledger)
				}
			})
			if t.Failed() {
				t.Fatalf("crash at commit %d of %d (%s)", at, commits, mode)
			}
		}
	}
}

// A parent that has calls of its own in flight suspends its children meanwhile, and resumes them without delay.
func TestParentWithCallsOfItsOwnSuspendsItsChildren(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","name":"top","nodes":[`+subplan("one", "", `{"id":"t","wait":"1h"}`)+`,{"id":"own","capability":"r.once","inputs":{"take":"10s"}}]}`)
		p.suspend(t, id, "")
		p.wantStatuses(t, "top=suspending one=suspended")
		p.resume(t, id)
		p.wantStatuses(t, "top=running one=running")
		p.suspend(t, id, "")
		time.Sleep(11 * time.Second)
		p.wantStatuses(t, "top=suspended one=suspended")
		if w.calls("", "own") != 1 {
			t.Errorf("ledger %v", w.ledger)
		}
	})
}

// A parent fails while the store does not answer for its child: the child is cancelled once it does.
func TestAbandonedChildIsCancelledOnceTheStoreAnswers(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		var child atomic.Value
		child.Store("")
		until := time.Now().Add(time.Minute)
		p := run(w, &hooks{Store: s, commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
			if id := child.Load(); id != "" && partition(&b) == id && time.Now().Before(until) {
				return store.Committed{}, recordstest.ErrUnreachable
			}
			return s.Commit(ctx, b)
		}})
		defer p.stop()
		p.submit(t, `{"plan":"v1","name":"top","nodes":[`+subplan("low", "", `{"id":"a","capability":"r.read","inputs":{"take":"1h"},"timeout":"2h"}`)+
			`,{"id":"f","capability":"r.read","inputs":{"take":"10s","fail":1},"retry":{"max_attempts":1}}]}`)
		time.Sleep(5 * time.Second)
		child.Store(p.byName(t)["low"].ExecutionID)
		time.Sleep(5 * time.Minute)
		p.wantStatuses(t, "top=failed low=cancelled")
	})
}
