package runtime

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/safety"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// What a caller asks of a replica that does not own the execution, while a call is in flight elsewhere, is answered as the owner would answer
// it, and done.
func TestAnyReplicaAnswers(t *testing.T) {
	source := `{"plan":"v1","name":"p","nodes":[{"id":"a","capability":"r.read"},
		{"id":"n","capability":"r.read","inputs":{"take":"30s"},"timeout":"5m","depends_on":["a"]},{"id":"s","wait_for":"go","depends_on":["n"]}]}`
	tests := []struct {
		name   string
		within time.Duration // the answer, with the store's watch
		polled time.Duration // and without it
		ask    func(ctx context.Context, p *process, id string) (string, error)
		want   string // of the answer; either side of " or "
		then   string // status of the execution a minute later, and of n
		calls  int    // of n
	}{
		{"get_execution_status", 0, 0, func(ctx context.Context, p *process, id string) (string, error) {
			e, err := p.Executions.Status(ctx, id, schemas.ViewNodes, 0, nil)
			return fmt.Sprintf("%s %d/%d %s", e.Status, e.Progress.Succeeded, e.Progress.Running, e.Nodes[1].Status), err
		}, "running 1/1 running", "running succeeded", 1},
		{"get_execution_status with wait_seconds", 21 * time.Second, 23 * time.Second, func(ctx context.Context, p *process, id string) (string, error) {
			_, err := p.Executions.Status(ctx, id, "", 20*time.Second, nil)
			if err != nil {
				return "", err
			}
			e, err := p.Executions.Status(ctx, id, "", 25*time.Second, nil)
			return fmt.Sprintf("%s %v", e.Status, e.Waiting), err
		}, "running true", "running succeeded", 1},
		{"cancel_execution", 0, 0, func(ctx context.Context, p *process, id string) (string, error) {
			e, err := p.Executions.Cancel(ctx, id, engine.CancelOptions{Grace: 20 * time.Second, Reason: "enough"})
			return strings.TrimSpace(string(e.Status) + " " + e.Reason), err
		}, "cancelling enough or cancelled", "cancelled cancelled", 1}, // it may end before the answer is read
		{"suspend_execution", 0, 0, func(ctx context.Context, p *process, id string) (string, error) {
			e, err := p.Executions.Suspend(ctx, id, "drain", "lunch")
			return string(e.Status) + " " + e.Reason, err
		}, "suspending lunch", "suspended succeeded", 1},
		{"resume_execution", 0, 0, func(ctx context.Context, p *process, id string) (string, error) {
			if _, err := p.Executions.Suspend(ctx, id, "drain", ""); err != nil {
				return "", err
			}
			e, err := p.Executions.Resume(ctx, id, nil)
			return string(e.Status), err
		}, "running", "running succeeded", 1},
		{"signal_execution", 0, 0, func(ctx context.Context, p *process, id string) (string, error) {
			e, err := p.Executions.Signal(ctx, id, "go", schemas.Value(`7`))
			return string(e.Status), err
		}, "running", "succeeded succeeded", 1},
		{"get_node_output", 0, 0, func(ctx context.Context, p *process, id string) (string, error) {
			out, err := p.Executions.NodeOutput(ctx, id, journal.OutputQuery{Node: "a", Pointer: "/id"})
			return string(out.Output), err
		}, `"a"`, "running succeeded", 1},
		{"get_execution_events", 0, 0, func(ctx context.Context, p *process, id string) (string, error) {
			events, err := p.Executions.Events(ctx, id, 2, 0)
			var types []string
			for _, e := range events.Events {
				types = append(types, string(e.Type)+" "+e.Node)
			}
			return strings.Join(types, ", "), err
		}, "node_started a, node_succeeded a, node_started n", "running succeeded", 1},
		{"get_execution_metrics", 0, 0, func(ctx context.Context, p *process, id string) (string, error) {
			m, err := p.Executions.Metrics(ctx, id)
			return fmt.Sprintf("%s %d %d", m.Status, m.Attempts, m.NodeCounts[schemas.NodeRunning]), err
		}, "running 2 1", "running succeeded", 1},
		{"list_executions", 0, 0, func(ctx context.Context, p *process, id string) (string, error) {
			l, err := p.Executions.List(ctx, journal.Query{Status: schemas.StatusRunning})
			return fmt.Sprint(len(l.Executions) == 1 && l.Executions[0].ExecutionID == id), err
		}, "true", "running succeeded", 1},
		{"rerun_execution", 0, 0, func(ctx context.Context, p *process, id string) (string, error) {
			e, err := p.Executions.Rerun(ctx, id, "n")
			return fmt.Sprint(e.RerunOf == id), err
		}, "true", "running succeeded", 2},
	}
	for _, tt := range tests {
		for how, of := range map[string]func(store.Store) store.Store{"": func(s store.Store) store.Store { return s }, ", without a watch": withoutWatch} {
			t.Run(tt.name+how, func(t *testing.T) {
				inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
					owner := run(w, of(s))
					defer owner.stop()
					id := owner.submit(t, source)
					other := run(w, of(s))
					defer other.stop()
					time.Sleep(9 * time.Second)
					if !owner.Executions.Owns(id) || other.Executions.Owns(id) {
						t.Fatal("the wrong replica owns it")
					}
					began := time.Now()
					got, err := tt.ask(t.Context(), other, id)
					took := time.Since(began)
					if err != nil || !slices.Contains(strings.Split(tt.want, " or "), got) {
						t.Errorf("got %s %v, want %s", got, err, tt.want)
					}
					limit := tt.within
					if how != "" {
						limit = tt.polled
					}
					if took > limit {
						t.Errorf("answered after %s, want %s at most", took, limit)
					}
					time.Sleep(time.Minute)
					for _, p := range []*process{owner, other} {
						e, err := p.Executions.Status(t.Context(), id, schemas.ViewNodes, 0, nil)
						if err != nil {
							t.Fatal(err)
						}
						if got := fmt.Sprintf("%s %s", e.Status, e.Nodes[1].Status); got != tt.then {
							t.Errorf("then it is %s, want %s", got, tt.then)
						}
					}
					if n := w.calls("read", "n"); n != tt.calls {
						t.Errorf("n was called %d times", n)
					}
				})
			})
		}
	}
}

// An execution without a `once` call in flight goes on elsewhere within a second; with one, it goes on elsewhere when that call has ended.
func TestStoppedReplicaHandsOverAtOnce(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		first := run(w, s)
		timers := `{"id":"n","wait":"900ms"}`
		for i := range 9 {
			timers += fmt.Sprintf(`,{"id":"n%d","wait":"900ms","depends_on":["n%s"]}`, i, strings.TrimPrefix(fmt.Sprint(i-1), "-1"))
		}
		var ids []string
		for i := range 40 {
			ids = append(ids, first.submit(t, []string{
				`{"plan":"v1","nodes":[{"id":"n","capability":"r.read","inputs":{"id":"first","take":"20s"}},{"id":"end","set":1,"depends_on":["n"]}]}`,
				`{"plan":"v1","nodes":[{"id":"n","for_each":"${lists.range(3)}","capability":"r.idempotent","inputs":{"id":"first","take":"20s"}}]}`,
				`{"plan":"v1","nodes":[` + timers + `]}`,
				`{"plan":"v1","nodes":[{"id":"n","workflow":{"definition":{"plan":"v1","nodes":[{"id":"n","capability":"r.read","inputs":{"id":"first","take":"20s"}}]}}}]}`,
			}[i%4]))
		}
		slow := first.submit(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.once","inputs":{"id":"slow","take":"5s"}},{"id":"next","capability":"r.read","inputs":{"id":"next"},"depends_on":["n"]}]}`)
		second := run(w, s)
		defer second.stop()
		time.Sleep(2 * time.Second)
		before, began := w.calls("", "first"), time.Now()
		go first.stop()
		time.Sleep(time.Second)
		synctest.Wait()
		for i, id := range ids {
			if i%4 != 3 && !second.Executions.Owns(id) { // one that only waits for its child has no owner
				t.Errorf("%s was not taken over within a second", id)
			}
		}
		if n := w.calls("", "first") - before; n != 50 {
			t.Errorf("%d calls were made again", n)
		}
		if second.Executions.Owns(slow) || w.calls("once", "slow") != 1 {
			t.Error("an execution with a once call in flight was taken over")
		}
		want(t, second.rest(t, slow), schemas.StatusSucceeded, "", "n=succeeded next=succeeded")
		if took := time.Since(began); took > 4*time.Second || w.calls("once", "slow") != 1 {
			t.Errorf("took %s, %v", took, w.ledger)
		}
		for _, id := range ids {
			if _, err := second.Executions.Cancel(t.Context(), id, engine.CancelOptions{}); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Minute)
		second.ownsNothing(t)
	})
}

// The commits of a plan, and which of them ask for strict durability.
func TestWhichCommitsAskForStrictDurability(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		var got []string
		p := run(w, &hooks{Store: s, commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
			if len(b.Appends) > 0 {
				var types []string
				for _, a := range b.Appends {
					var e schemas.Event
					if err := json.Unmarshal(a.Value, &e); err != nil {
						t.Error(err)
					}
					types = append(types, strings.TrimSpace(fmt.Sprintf("%s %s", e.Type, e.Node)))
				}
				got = append(got, fmt.Sprintf("%v %s", b.Sync, strings.Join(types, ", ")))
			}
			return s.Commit(ctx, b)
		}})
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.read","inputs":{"take":"1s"}},{"id":"b","capability":"r.once","inputs":{"take":"1s"},"depends_on":["a"]},
			{"id":"c","capability":"r.idempotent","inputs":{"take":"1s"},"depends_on":["b"]},{"id":"d","set":1,"depends_on":["c"]},{"id":"w","wait":"5s","depends_on":["d"]},
			{"id":"q","review":"Sure?","depends_on":["w"]},{"id":"x","wait":"5s","depends_on":["q"]}]}`)
		reviews, err := p.Safety.Reviews(t.Context())
		if err != nil || len(reviews) != 1 {
			t.Fatal(reviews, err)
		}
		p.decide(t, reviews[0].ReviewID, safety.Decision{Approve: true, By: "me"})
		want(t, p.rest(t, e.ExecutionID), schemas.StatusSucceeded, "", "")
		const wanted = `true execution_created, execution_started, node_started a
true node_succeeded a, node_started b
true node_succeeded b, node_started c
false node_succeeded c, node_succeeded d, node_started w
false node_succeeded w, node_held q
true review_decided q
false node_started x
true node_succeeded x, execution_finished`
		if s := strings.Join(got, "\n"); s != wanted {
			t.Errorf("got\n%s\nwant\n%s", s, wanted)
		}
	})
}
