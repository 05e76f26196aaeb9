package runtime

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/safety"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// A request about a large execution without an owner ends the process: the next process holds the execution, and no request reads it again.
func TestRequestThatReadsALargeExecutionKillsOnce(t *testing.T) {
	for name, ask := range map[string]func(*testing.T, *process, string){
		"signal": func(t *testing.T, p *process, id string) { _, _ = p.Executions.Signal(t.Context(), id, "go", nil) },
		"cancel": func(t *testing.T, p *process, id string) {
			_, _ = p.Executions.Cancel(t.Context(), id, engine.CancelOptions{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				p := run(w, s, isSmall)
				id := p.submit(t, largePlan(false, `{"id":"w","wait_for":{"event":"go"}}`))
				time.Sleep(time.Second)
				p.stop()

				dieByReading(t, w, s, func(p *process) { ask(t, p, id) })
				next := &unreadable{Store: s, die: func() { t.Error("it was read again") }}
				p = run(w, next, isSmall)
				defer p.stop()
				time.Sleep(time.Minute)
				if held := p.heldUnread(t); held.ExecutionID != id {
					t.Fatalf("%s is held", held.ExecutionID)
				}
				p.wantUnread(t, id)
				p.cancel(t, id, engine.CancelOptions{})
				p.wantFoldsTo(t, id, schemas.StatusCancelled)
			})
		})
	}
}

// A large execution without an owner is adopted for what is asked of it; what cannot be done changes nothing.
func TestLargeExecutionIsAdoptedToDecide(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s, isSmall)
		defer p.stop()
		other := run(w, s, isSmall)
		defer other.stop()
		id := p.submit(t, largePlan(false, `{"id":"a","wait_for":{"event":"go"}},{"id":"b","wait_for":{"event":"go"}},{"id":"c","wait_for":{"event":"other"}}`))
		time.Sleep(time.Second)
		p.ownsNothing(t)
		if _, err := other.Executions.Resume(t.Context(), id, &schemas.Patch{Nodes: map[string]schemas.NodePatch{"a": {Retry: true}}}); err == nil {
			t.Error("a node that waits for a signal is tried again")
		}
		var wg sync.WaitGroup
		for _, one := range []*process{p, other, p, other} {
			wg.Go(func() {
				_, err := one.Executions.Signal(t.Context(), id, "go", nil)
				for err != nil && schemas.AsError(err).Retryable { // the other one reads it now
					time.Sleep(time.Second)
					_, err = one.Executions.Signal(t.Context(), id, "go", nil)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		p.suspend(t, id, machine.SuspendNow)
		other.resume(t, id)
		p.ownsNothing(t)
		other.signal(t, id, "other", nil)
		want(t, p.rest(t, id), schemas.StatusSucceeded, "", "")
		p.checkLog(t, id)
	})
}

// What would take too much memory is not read for a caller, and its error says what else there is. Its reviews are listed without the inputs of
// their calls, beside those of other executions, and can be decided.
func TestVeryLargeExecutionIsNotShown(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s, isSmall, func(c *Config) { c.Limits.Shown = 9 << 10 })
		defer p.stop()
		id := p.submit(t, largePlan(false, `{"id":"w","wait_for":{"event":"go"}},{"id":"r","review":{"question":"good?","choices":["a","b"]}}`))
		small := p.submit(t, `{"plan":"v1","nodes":[{"id":"r","review":{"question":"small?"}}]}`)
		time.Sleep(time.Second)
		_, nodes := p.Executions.Status(t.Context(), id, schemas.ViewNodes, 0, nil)
		_, metrics := p.Executions.Metrics(t.Context(), id)
		_, output := p.Executions.NodeOutput(t.Context(), id, journal.OutputQuery{Node: "n0"})
		_, rerun := p.Executions.Rerun(t.Context(), id, "")
		for i, err := range []error{nodes, metrics, output, rerun} {
			problem := schemas.AsError(err)
			if !errors.Is(err, &schemas.Error{Code: schemas.CodePayloadTooLarge}) || !strings.Contains(problem.Hint, "get_execution_events") {
				t.Errorf("request %d: %v, %s", i, err, problem.Hint)
			}
		}
		if e, err := p.Executions.Status(t.Context(), id, "", 0, nil); err != nil || e.Status != schemas.StatusRunning {
			t.Errorf("%s, %v", e.Status, err)
		}
		reviews, err := p.Safety.Reviews(t.Context())
		if err != nil || len(reviews) != 2 {
			t.Fatalf("%+v, %v", reviews, err)
		}
		for _, r := range reviews {
			if r.ExecutionID == id && (!strings.HasPrefix(r.Question, "good? (") || r.NodeID != "r" || len(r.Choices) != 2) || r.ExecutionID == small && r.Question != "small?" {
				t.Errorf("%+v", r)
			}
			p.decide(t, r.ReviewID, safety.Decision{Approve: true, Choice: slices.Concat(r.Choices, []string{""})[0]})
		}
		p.signal(t, id, "go", nil)
		time.Sleep(time.Second)
		for _, one := range []string{id, small} {
			if e, err := p.Executions.Status(t.Context(), one, "", 0, nil); err != nil || e.Status != schemas.StatusSucceeded {
				t.Errorf("%s, %v", e.Status, err)
			}
		}
	})
}

// What a process left that died while it evaluated a large execution outlives one that reads it and stops.
func TestMarkOutlivesAStoppedReading(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s, isSmall)
		id := p.submit(t, largePlan(false, `{"id":"w","wait":"1m"},{"id":"p","set":1,"depends_on":["w"]}`))
		time.Sleep(20 * time.Second)
		p.stop()
		h, version, err := p.journal.ReadHead(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		h.Evaluating = &journal.Mark{Worker: "dead", Own: true}
		value, err := schemas.Encode(h)
		if err != nil {
			t.Fatal(err)
		}
		put := store.Put{Key: journal.ExecutionKey(id), Value: value, Version: version, Terms: h.Terms()}
		if _, err := s.Commit(t.Context(), store.Batch{Puts: []store.Put{put}}); err != nil {
			t.Fatal(err)
		}

		var reads atomic.Int64
		p = run(w, &hooks{Store: s, log: func(ctx context.Context, _ store.Key, _ int64, _ int) ([]store.Entry, error) {
			reads.Add(1)
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}}, isSmall)
		time.Sleep(time.Minute)
		p.stop()
		if reads.Load() == 0 {
			t.Fatal("it was not read")
		}

		p = run(w, s, isSmall)
		defer p.stop()
		time.Sleep(2 * time.Minute)
		if held := p.heldExecution(t); held.ExecutionID != id {
			t.Errorf("%s is held", held.ExecutionID)
		}
	})
}
