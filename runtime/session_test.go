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

	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// committedSession is a session as it was committed.
func committedSession(ctx context.Context, s store.Store, id string) (se schemas.Session, err error) {
	rec, err := s.Get(ctx, session.Key(id))
	if err == nil {
		err = json.Unmarshal(rec.Value, &se)
	}
	return se, err
}

// wantSession asserts a session's status, by a call that does not count as seeing it.
func (p *process) wantSession(t *testing.T, id string, status schemas.SessionStatus) {
	t.Helper()
	st, err := p.States.Get(t.Context(), state.Ref{Type: schemas.StateSession, Key: id})
	if want := fmt.Sprintf(`"status":%q`, status); err != nil || !strings.Contains(string(st.Context), want) {
		t.Errorf("%s: session %s: got %s, %v, want %s", time.Now().Format(time.TimeOnly), id, st.Context, err, status)
	}
}

// Every call that names a session counts as seeing it; what is remembered in memory is committed before the session expires, also for another
// replica.
func TestEveryCallThatNamesASessionCounts(t *testing.T) {
	plan := []byte(`{"plan":"v1","nodes":[{"id":"a","set":1}]}`)
	for _, tt := range []struct {
		name string
		call func(ctx context.Context, p *process, id string) error
	}{
		{"get_session", func(ctx context.Context, p *process, id string) error { _, err := p.Sessions.Get(ctx, id); return err }},
		{"update_session", func(ctx context.Context, p *process, id string) error {
			_, err := p.Sessions.Update(ctx, id, schemas.SessionUpdates{Data: schemas.Object(`{"a":1}`)}, nil)
			return err
		}},
		{"execute_plan", func(ctx context.Context, p *process, id string) error {
			_, err := p.Executions.Execute(ctx, engine.Submit{Plan: plan, SessionID: id})
			return err
		}},
		{"list_executions", func(ctx context.Context, p *process, id string) error {
			_, err := p.Executions.List(ctx, journal.Query{SessionID: id})
			return err
		}},
		{"invoke_capability", func(ctx context.Context, p *process, id string) error {
			_, err := p.Capabilities.Invoke(ctx, capability.Invocation{Realm: "r", Capability: "read", Inputs: []byte(`{}`), SessionID: id})
			return err
		}},
		{"set_state", func(ctx context.Context, p *process, id string) error {
			_, err := p.States.Set(ctx, state.Write{Ref: state.Ref{Type: "t", Key: "k", Context: schemas.Object(`{"session_id":"` + id + `"}`)}, Data: schemas.Value(`1`)})
			return err
		}},
		{"get_state", func(ctx context.Context, p *process, id string) error {
			_, err := p.States.Get(ctx, state.Ref{Type: "t", Key: "k", Context: schemas.Object(`{"session_id":"` + id + `"}`)})
			return err
		}},
		{"list_states", func(ctx context.Context, p *process, id string) error {
			_, err := p.States.List(ctx, state.Query{Type: "t", Filters: schemas.Object(`{"context":{"session_id":"` + id + `"}}`)})
			return err
		}},
	} {
		for _, ttl := range []int64{3, 30, 3600} {
			t.Run(fmt.Sprintf("%s/%ds", tt.name, ttl), func(t *testing.T) {
				inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
					p, other := run(w, s), run(w, s)
					defer p.stop()
					defer other.stop()
					id := p.createSession(t, schemas.SessionUpdates{TTLSeconds: &ttl}).SessionID
					for range 30 { // far beyond the TTL, in steps below it
						time.Sleep(time.Duration(ttl) * 100 * time.Millisecond)
						if err := tt.call(t.Context(), p, id); err != nil {
							t.Fatal(err)
						}
					}
					seen := time.Now()
					time.Sleep(time.Until(seen.Add(time.Duration(ttl)*time.Second - time.Second)))
					other.wantSession(t, id, map[bool]schemas.SessionStatus{true: schemas.SessionIdle, false: schemas.SessionActive}[ttl > 600])
					time.Sleep(2 * time.Second)
					other.wantSession(t, id, schemas.SessionExpired)
				})
			})
		}
	}
}

// A session that does not exist, is another principal's or has ended is refused by every call that needs it; the first two are not_found
// with the same message.
func TestBadSessionsAreRefused(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		mine, err := p.Sessions.Create(as(t, "mine"), schemas.SessionUpdates{})
		if err != nil {
			t.Fatal(err)
		}
		closed, expired := p.createSession(t, schemas.SessionUpdates{Data: schemas.Object(`{"secret":1}`)}), p.createSession(t, schemas.SessionUpdates{TTLSeconds: new(int64(1))})
		if se, err := p.Sessions.Delete(t.Context(), closed.SessionID); err != nil || se.Status != schemas.SessionClosed || len(se.Data) > 0 {
			t.Errorf("delete: %+v, %v", se, err)
		}
		time.Sleep(time.Second)
		for name, call := range map[string]func(id string) error{
			"update": func(id string) error {
				_, err := p.Sessions.Update(t.Context(), id, schemas.SessionUpdates{Data: schemas.Object(`{}`)}, nil)
				return err
			},
			"execute": func(id string) error {
				_, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(chainPlan(1, "read")), SessionID: id})
				return err
			},
			"invoke": func(id string) error {
				_, err := p.Capabilities.Invoke(t.Context(), capability.Invocation{Realm: "r", Capability: "read", Inputs: []byte(`{}`), SessionID: id})
				return err
			},
			"set_state": func(id string) error {
				_, err := p.States.Set(t.Context(), state.Write{Ref: state.Ref{Type: "t", Key: "k", Context: schemas.Object(`{"session_id":"` + id + `"}`)}, Data: schemas.Value(`1`)})
				return err
			},
			"set_state of the session": func(id string) error {
				_, err := p.States.Set(t.Context(), state.Write{Ref: state.Ref{Type: "session", Key: id}, Data: schemas.Value(`{}`)})
				return err
			},
		} {
			for id, want := range map[string]schemas.Code{
				"none": schemas.CodeNotFound, strings.Repeat("x", 500): schemas.CodeNotFound, mine.SessionID: schemas.CodeNotFound,
				closed.SessionID: schemas.CodeAlreadyFinished, expired.SessionID: schemas.CodeAlreadyFinished,
			} {
				if err := call(id); codeOf(err) != want {
					t.Errorf("%s %.40s: %v, want %s", name, id, err, want)
				}
			}
			missing, foreign := call("none").Error(), call(mine.SessionID).Error()
			if strings.ReplaceAll(foreign, mine.SessionID, "none") != missing {
				t.Errorf("%s tells another principal's session from none:\n%s\n%s", name, missing, foreign)
			}
		}
		for _, err := range []error{
			errOf(p.Sessions.Get(t.Context(), mine.SessionID)), errOf(p.Sessions.Delete(t.Context(), mine.SessionID)),
		} {
			if codeOf(err) != schemas.CodeNotFound {
				t.Errorf("another principal's: %v", err)
			}
		}
		if se, err := p.Sessions.Delete(t.Context(), expired.SessionID); err != nil || se.Status != schemas.SessionExpired {
			t.Errorf("deleting an expired one: %+v, %v", se, err)
		}
		if w.calls("", "") != 0 {
			t.Errorf("%d calls were made all the same", w.calls("", ""))
		}
		if st, err := p.States.Get(t.Context(), state.Ref{Type: "t", Key: "k"}); err != nil || st.Found {
			t.Errorf("a state was written all the same: %+v, %v", st, err)
		}
	})
}

func TestPlansReadTheSessionAsItWasAtSubmit(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		id := p.createSession(t, schemas.SessionUpdates{Data: schemas.Object(`{"user":{"name":"Ada"}}`)}).SessionID
		e, err := p.Executions.Execute(t.Context(), engine.Submit{SessionID: id, Plan: []byte(`{"plan":"v1","nodes":[{"id":"w","wait":"1m"},
			{"id":"a","depends_on":["w"],"set":"${session.user.name}"},
			{"id":"b","depends_on":["w"],"workflow":{"definition":{"plan":"v1","nodes":[{"id":"x","set":"child of ${session.user.name}"}],"output":"${nodes.x.output}"}}}],
			"output":["${nodes.a.output}","${nodes.b.output}"]}`)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Sessions.Update(t.Context(), id, schemas.SessionUpdates{Data: schemas.Object(`{"user":{"name":"Bob"}}`)}, nil); err != nil {
			t.Fatal(err)
		}
		p.stop()
		p = run(w, s) // it reads the snapshot from the store
		defer p.stop()
		want(t, p.rest(t, e.ExecutionID), schemas.StatusSucceeded, `["Ada","child of Ada"]`, "")
		if _, err := p.Sessions.Delete(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		again, err := p.Executions.Rerun(t.Context(), e.ExecutionID, "")
		if err != nil || again.SessionID != "" {
			t.Fatalf("rerun without its session: %+v, %v", again, err)
		}
		want(t, p.rest(t, again.ExecutionID), schemas.StatusSucceeded, `["Ada","child of Ada"]`, "")
	})
}

// However a session ends, its executions are cancelled or go on as the rules say and its states are deleted, once, by whichever replica runs,
// also when the process that ended it has stopped.
func TestTheEndOfASession(t *testing.T) {
	for _, tt := range []struct {
		name   string
		rules  session.Rules
		delete bool
		want   schemas.Status
	}{
		{"deleted", session.Rules{}, true, schemas.StatusCancelled},
		{"deleted, detach", session.Rules{OnDelete: session.Detach}, true, schemas.StatusRunning},
		{"expired", session.Rules{}, false, schemas.StatusRunning},
		{"expired, cancel", session.Rules{OnExpire: session.Cancel}, false, schemas.StatusCancelled},
	} {
		for _, crash := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/crash=%v", tt.name, crash), func(t *testing.T) {
				inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
					configure := func(c *Config) { c.Sessions = tt.rules }
					p := run(w, s, configure)
					id := p.createSession(t, schemas.SessionUpdates{TTLSeconds: new(int64(60))}).SessionID
					bound := state.Ref{Type: "t", Key: "bound", Context: schemas.Object(`{"session_id":"` + id + `"}`)}
					for _, ref := range []state.Ref{bound, {Type: "t", Key: "free"}} {
						if _, err := p.States.Set(t.Context(), state.Write{Ref: ref, Data: schemas.Value(`1`)}); err != nil {
							t.Fatal(err)
						}
					}
					var ids []string
					for _, source := range []string{
						`{"plan":"v1","nodes":[{"id":"a","wait":"24h"}]}`,
						`{"plan":"v1","nodes":[{"id":"a","workflow":{"definition":{"plan":"v1","nodes":[{"id":"b","wait":"24h"}]}}}]}`,
						`{"plan":"v1","nodes":[{"id":"a","set":1}]}`,
					} {
						e, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(source), SessionID: id})
						if err != nil {
							t.Fatal(err)
						}
						ids = append(ids, e.ExecutionID)
					}
					synctest.Wait()
					if crash {
						p.stop()
						p = idle(w, s, configure) // nothing of it runs
					}
					if tt.delete {
						if _, err := p.Sessions.Delete(t.Context(), id); err != nil {
							t.Fatal(err)
						}
					} else {
						time.Sleep(61 * time.Second)
					}
					if crash {
						p = run(w, s, configure)
					}
					defer func() { p.stop() }()
					time.Sleep(time.Second)
					synctest.Wait()
					for i, e := range ids {
						status := tt.want
						if i == 2 {
							status = schemas.StatusSucceeded
						}
						if got, err := p.Executions.Status(t.Context(), e, schemas.ViewSummary, 0, nil); err != nil || got.Status != status {
							t.Errorf("execution %d: %s %v, want %s", i, got.Status, err, status)
						}
					}
					bound.Context = nil
					if st, err := p.States.Get(t.Context(), bound); err != nil || st.Found {
						t.Errorf("the bound state is still there: %+v, %v", st, err)
					}
					if st, err := p.States.Get(t.Context(), state.Ref{Type: "t", Key: "free"}); err != nil || !st.Found {
						t.Errorf("the free state: %+v, %v", st, err)
					}
				})
			})
		}
	}
}

// An execution whose submission had read the session just before it ended is cancelled as well.
func TestTheEndOfASessionReachesLateSubmissions(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		ended := make(chan struct{})
		p := run(w, &hooks{Store: s, commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
			if slices.ContainsFunc(b.Puts, func(p store.Put) bool { return p.Key == journal.PlanKey("late") }) {
				<-ended // it has read the session
			}
			return s.Commit(ctx, b)
		}})
		defer p.stop()
		se := p.createSession(t, schemas.SessionUpdates{})
		made := make(chan error)
		go func() {
			_, err := p.Executions.Execute(t.Context(), engine.Submit{
				ID: "late", SessionID: se.SessionID, Plan: []byte(`{"plan":"v1","nodes":[{"id":"a","wait":"24h"}]}`),
			})
			made <- err
		}()
		synctest.Wait()
		if _, err := p.Sessions.Delete(t.Context(), se.SessionID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		close(ended)
		if err := <-made; err != nil {
			t.Fatal(err)
		}
		time.Sleep(session.SecondSweep)
		synctest.Wait()
		want(t, p.rest(t, "late"), schemas.StatusCancelled, "", "")
	})
}
