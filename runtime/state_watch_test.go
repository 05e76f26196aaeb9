package runtime

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/redis"
	"github.com/runplane/runplane/store/redis/redistest"
)

// watchState watches a state; each notification is sent to changes.
func (p *process) watchState(ctx context.Context, t *testing.T, kind, key string) (changes chan struct{}, off func()) {
	t.Helper()
	changes = make(chan struct{}, 100)
	off, err := p.States.Watch(ctx, state.Ref{Type: kind, Key: key}, func() { changes <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	return changes, off
}

// Each write, deletion and expiry is notified once, also when it comes through another process: at once with the store's watch, within the
// poll without it. States of another principal and watches that have ended are not notified.
func TestWatchedStates(t *testing.T) {
	for name, within := range map[string]time.Duration{"hints": time.Millisecond, "no hints": state.WatchPoll} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				mine := s
				if name == "no hints" {
					mine = withoutWatch(s)
				}
				p, other := run(w, mine), run(w, s)
				defer p.stop()
				defer other.stop()
				changes, off := p.watchState(t.Context(), t, "order", "a")
				theirs, _ := p.watchState(as(t, "other"), t, "order", "a")
				set := func(data string, ttl time.Duration) {
					t.Helper()
					if _, err := other.States.Set(t.Context(), state.Write{Ref: state.Ref{Type: "order", Key: "a"}, Data: schemas.Value(data), TTL: ttl}); err != nil {
						t.Fatal(err)
					}
				}
				expect := func(n int, after time.Duration, what string) {
					t.Helper()
					time.Sleep(after)
					synctest.Wait()
					if len(changes) != n {
						t.Errorf("%s: notified %d times, want %d", what, len(changes), n)
					}
					for len(changes) > 0 {
						<-changes
					}
				}
				expect(0, time.Minute, "nothing")
				set("1", 0)
				expect(1, within, "written")
				expect(0, time.Minute, "nothing more")
				set("2", time.Minute)
				expect(1, within, "written with a TTL")
				expect(0, time.Minute-within-time.Millisecond, "not expired yet")
				expect(1, time.Second, "expired")
				set("3", 0)
				expect(1, within, "created again")
				if _, err := other.States.Delete(t.Context(), state.Ref{Type: "order", Key: "a"}, nil); err != nil {
					t.Fatal(err)
				}
				expect(1, within, "deleted")
				off()
				off()
				set("4", 0)
				expect(0, time.Minute, "after the end")
				if len(theirs) != 0 {
					t.Error("the state of another principal was notified")
				}
				if n, shown := p.States.Watched(); n != 1 || shown != 1 {
					t.Errorf("%d watches are left", n)
				}
			})
		})
	}
}

// Sessions, executions and workflows can be watched as states.
func TestWatchedViews(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		ctx := t.Context()
		session := p.createSession(t, schemas.SessionUpdates{}).SessionID
		e, err := p.Executions.Execute(ctx, engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"a","wait_for":"go"}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		ofSession, _ := p.watchState(ctx, t, schemas.StateSession, session)
		ofExecution, _ := p.watchState(ctx, t, schemas.StateExecution, e.ExecutionID)
		ofWorkflow, _ := p.watchState(ctx, t, schemas.StateWorkflow, "greet")
		if _, err := p.Sessions.Update(ctx, session, schemas.SessionUpdates{Data: schemas.Object(`{"a":1}`)}, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Executions.Signal(ctx, e.ExecutionID, "go", nil); err != nil {
			t.Fatal(err)
		}
		p.createWorkflow(t, "greet", greet("hello"), "")
		time.Sleep(state.WatchPoll)
		synctest.Wait()
		for name, changes := range map[string]chan struct{}{"session": ofSession, "execution": ofExecution, "workflow": ofWorkflow} {
			if len(changes) == 0 {
				t.Errorf("the change of the %s was not notified", name)
			}
		}
	})
}

// What a replica on the same Redis writes is notified, and what expires there.
func TestWatchedStatesOfOtherReplicas(t *testing.T) {
	server := redistest.Standalone(t)
	w := newWorld()
	p, other := onRedis(t, w, redis.Options{URL: server.URL()}), onRedis(t, w, redis.Options{URL: server.URL()})
	changes, off := p.watchState(t.Context(), t, "order", "a")
	defer off()
	for i, write := range []func() error{
		func() error {
			return errOf(other.States.Set(t.Context(), state.Write{Ref: state.Ref{Type: "order", Key: "a"}, Data: schemas.Value(`1`)}))
		},
		func() error { return errOf(other.States.Delete(t.Context(), state.Ref{Type: "order", Key: "a"}, nil)) },
		func() error {
			return errOf(other.States.Set(t.Context(), state.Write{Ref: state.Ref{Type: "order", Key: "a"}, Data: schemas.Value(`2`), TTL: time.Second}))
		},
		func() error { return nil }, // it expires
	} {
		if err := write(); err != nil {
			t.Fatal(err)
		}
		eventually(t, fmt.Sprintf("change %d is notified", i), func() bool {
			select {
			case <-changes:
				return true
			default:
				return false
			}
		})
	}
}
