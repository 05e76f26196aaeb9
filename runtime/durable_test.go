package runtime

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/safety"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
)

// batchLog is a store that remembers every batch it wrote.
type batchLog struct {
	store.Store
	mu      sync.Mutex
	batches []store.Batch
}

func (j *batchLog) Commit(ctx context.Context, b store.Batch) (store.Committed, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	done, err := j.Store.Commit(ctx, b)
	if err == nil {
		j.batches = append(j.batches, b)
	}
	return done, err
}

// failover is a store that has of each partition what was written up to the last batch that asked for strict durability.
func (j *batchLog) failover(t *testing.T) store.Store {
	t.Helper()
	s, err := bolt.Open(bolt.Options{Mem: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	j.mu.Lock()
	defer j.mu.Unlock()
	of := func(b *store.Batch) string {
		switch {
		case len(b.Puts) > 0:
			return b.Puts[0].Key.Partition()
		case len(b.Deletes) > 0:
			return b.Deletes[0].Partition()
		case b.Release != nil:
			return b.Release.Key.Partition()
		}
		return b.Wakes[0].Key.Partition()
	}
	kept := map[string]int{}
	for i := range j.batches {
		if j.batches[i].Sync {
			kept[of(&j.batches[i])] = i + 1
		}
	}
	for i, b := range j.batches {
		if i < kept[of(&b)] {
			b.Release, b.Claim = nil, nil
			if _, err := s.Commit(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

// Every answer that a caller got is still true on a store that lost everything that was not written with strict durability.
func TestEveryAnswerSurvivesAFailover(t *testing.T) {
	const waiting = `{"plan":"v1","nodes":[{"id":"s","wait_for":"go"},{"id":"h","review":"Sure?"},
		{"id":"u","capability":"r.once","timeout":"1s","inputs":{"mute":true}},{"id":"n","capability":"r.read","depends_on":["s","h"]}]}`
	status := func(ctx context.Context, r *Runtime, id string) string {
		e, err := r.Executions.Status(ctx, id, schemas.ViewNodes, 0, nil)
		if err != nil {
			return err.Error()
		}
		out := fmt.Sprint(e.Status, " ", e.Priority)
		for _, n := range e.Nodes {
			out += " " + string(n.Status)
		}
		return out
	}
	execution := func(ask func(ctx context.Context, p *process, id string) error) func(*testing.T, *process) func(context.Context, *Runtime) string {
		return func(t *testing.T, p *process) func(context.Context, *Runtime) string {
			id := p.submit(t, waiting)
			synctest.Wait()
			if err := ask(t.Context(), p, id); err != nil {
				t.Fatal(err)
			}
			return func(ctx context.Context, r *Runtime) string { return status(ctx, r, id) }
		}
	}
	session := func(ctx context.Context, r *Runtime, id string) string {
		s, err := r.Sessions.Peek(ctx, id)
		return fmt.Sprint(s.Status, string(s.Data), err)
	}
	ref := state.Ref{Type: "t", Key: "k"}
	state := func(ctx context.Context, r *Runtime) string {
		s, err := r.States.Get(ctx, ref)
		return fmt.Sprint(s.Found, string(s.StateData), err)
	}
	workflow := func(ctx context.Context, r *Runtime) string {
		w, err := r.Workflows.Status(ctx, "w")
		return fmt.Sprint(w.Version, err)
	}
	paused := func(ctx context.Context, r *Runtime) string {
		q, err := r.Queue.Status(ctx)
		return fmt.Sprint(q.Paused != nil, err)
	}
	const small = `{"plan":"v1","nodes":[{"id":"n","set":1}]}`
	for name, ask := range map[string]func(*testing.T, *process) func(context.Context, *Runtime) string{
		"execute_plan": execution(func(context.Context, *process, string) error { return nil }),
		"suspend_execution": execution(func(ctx context.Context, p *process, id string) error {
			_, err := p.Executions.Suspend(ctx, id, "", "")
			return err
		}),
		"cancel_execution": func(t *testing.T, p *process) func(context.Context, *Runtime) string {
			id := p.submit(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.read","inputs":{"stuck":true}}]}`)
			synctest.Wait()
			p.cancel(t, id, engine.CancelOptions{})
			return func(ctx context.Context, r *Runtime) string { return status(ctx, r, id) }
		},
		"signal_execution": execution(func(ctx context.Context, p *process, id string) error {
			_, err := p.Executions.Signal(ctx, id, "go", nil)
			return err
		}),
		"set_execution_priority": execution(func(ctx context.Context, p *process, id string) error {
			_, err := p.Executions.SetPriority(ctx, id, 1)
			return err
		}),
		"resume_execution": execution(func(ctx context.Context, p *process, id string) error {
			_, err := p.Executions.Suspend(ctx, id, "", "")
			if err == nil {
				_, err = p.Executions.Resume(ctx, id, nil)
			}
			return err
		}),
		"resume_execution with a patch": execution(func(ctx context.Context, p *process, id string) error {
			time.Sleep(2 * time.Second) // until u is held
			_, err := p.Executions.Resume(ctx, id, &schemas.Patch{Nodes: map[string]schemas.NodePatch{"u": {Output: schemas.Value(`1`)}}})
			return err
		}),
		"decide_review": execution(func(ctx context.Context, p *process, id string) error {
			reviews, err := p.Safety.Reviews(ctx)
			if err == nil {
				_, err = p.Safety.Decide(ctx, reviews[0].ReviewID, safety.Decision{Approve: true, By: "me"})
			}
			return err
		}),
		"execute_plan, paused": func(t *testing.T, p *process) func(context.Context, *Runtime) string {
			if _, err := p.Queue.Pause(t.Context(), "", "me"); err != nil {
				t.Fatal(err)
			}
			id := p.submit(t, waiting)
			return func(ctx context.Context, r *Runtime) string { return status(ctx, r, id) + paused(ctx, r) }
		},
		"execute_plan with a key": func(t *testing.T, p *process) func(context.Context, *Runtime) string {
			sub := engine.Submit{Plan: []byte(waiting), IdempotencyKey: "k"}
			e, err := p.Executions.Execute(t.Context(), sub)
			if err != nil {
				t.Fatal(err)
			}
			return func(ctx context.Context, r *Runtime) string {
				again, err := r.Executions.Execute(ctx, sub)
				return fmt.Sprint(again.ExecutionID == e.ExecutionID, err)
			}
		},
		"execute_plan, finished": func(t *testing.T, p *process) func(context.Context, *Runtime) string {
			id := p.execute(t, chainPlan(3, "read")).ExecutionID
			return func(ctx context.Context, r *Runtime) string { return status(ctx, r, id) }
		},
		"pause_queue, resume_queue": func(t *testing.T, p *process) func(context.Context, *Runtime) string {
			if _, err := p.Queue.Pause(t.Context(), "", "me"); err != nil {
				t.Fatal(err)
			}
			if _, err := p.Queue.Resume(t.Context()); err != nil {
				t.Fatal(err)
			}
			return paused
		},
		"create_session": func(t *testing.T, p *process) func(context.Context, *Runtime) string {
			s := p.createSession(t, schemas.SessionUpdates{Data: schemas.Object(`{"a":1}`)})
			return func(ctx context.Context, r *Runtime) string { return session(ctx, r, s.SessionID) }
		},
		"update_session": func(t *testing.T, p *process) func(context.Context, *Runtime) string {
			s := p.createSession(t, schemas.SessionUpdates{})
			if _, err := p.Sessions.Update(t.Context(), s.SessionID, schemas.SessionUpdates{Data: schemas.Object(`{"a":2}`)}, nil); err != nil {
				t.Fatal(err)
			}
			return func(ctx context.Context, r *Runtime) string { return session(ctx, r, s.SessionID) }
		},
		"delete_session": func(t *testing.T, p *process) func(context.Context, *Runtime) string {
			s := p.createSession(t, schemas.SessionUpdates{})
			if _, err := p.Sessions.Delete(t.Context(), s.SessionID); err != nil {
				t.Fatal(err)
			}
			return func(ctx context.Context, r *Runtime) string { return session(ctx, r, s.SessionID) }
		},
		"set_state": func(t *testing.T, p *process) func(context.Context, *Runtime) string {
			p.set(t, ref, `1`, nil)
			p.set(t, ref, `2`, nil)
			return state
		},
		"delete_state": func(t *testing.T, p *process) func(context.Context, *Runtime) string {
			p.set(t, ref, `1`, nil)
			if _, err := p.States.Delete(t.Context(), ref, nil); err != nil {
				t.Fatal(err)
			}
			return state
		},
		"create_workflow": func(t *testing.T, p *process) func(context.Context, *Runtime) string {
			p.createWorkflow(t, "w", small, "")
			return workflow
		},
		"delete_workflow": func(t *testing.T, p *process) func(context.Context, *Runtime) string {
			p.createWorkflow(t, "w", small, "")
			if _, err := p.Workflows.Delete(t.Context(), "w"); err != nil {
				t.Fatal(err)
			}
			return workflow
		},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				j := &batchLog{Store: s}
				p := run(w, j)
				defer p.stop()
				see := ask(t, p)
				was := see(t.Context(), p.Runtime)
				after := idle(w, j.failover(t)).Runtime
				if is := see(t.Context(), after); is != was {
					t.Errorf("got %s after the failover, and %s before", is, was)
				}
			})
		})
	}
}

// The store writes what must be durable, and cannot confirm it for a while. A `once` call is sent when its start is confirmed, and once; to
// read the start back is no confirmation.
func TestNoCallIsSentBeforeItsStartIsConfirmed(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		from, to := time.Now().Add(5*time.Second), time.Now().Add(20*time.Second)
		p := run(w, &hooks{Store: s, commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
			done, err := s.Commit(ctx, b)
			if now := time.Now(); err == nil && b.Sync && now.After(from) && now.Before(to) {
				return store.Committed{}, errors.New("written, but not confirmed as durable")
			}
			return done, err
		}})
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"w","wait":"10s"},{"id":"n","capability":"r.once","depends_on":["w"]},{"id":"m","capability":"r.once","depends_on":["n"]}]}`)
		for range 40 {
			time.Sleep(500 * time.Millisecond)
			synctest.Wait()
			if time.Now().Before(to) && w.calls("once", "") > 0 {
				t.Fatal("a call was sent whose start is not confirmed")
			}
		}
		want(t, p.rest(t, id), schemas.StatusSucceeded, "", "w=succeeded n=succeeded m=succeeded")
		if w.calls("once", "n") != 1 || w.calls("once", "m") != 1 {
			t.Errorf("called: %v", w.ledger)
		}
	})
}
