package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

func as(t *testing.T, principal string) context.Context {
	t.Helper()
	return caller.With(t.Context(), caller.Caller{Principal: principal})
}

// open makes a session for a test.
func (p *process) open(t *testing.T, u schemas.SessionUpdates) schemas.Session {
	t.Helper()
	s, err := p.Sessions.Create(t.Context(), u)
	if err != nil {
		t.Fatalf("create session: %v", err)
	}
	return s
}

// named makes a session of the local principal with this id, which lives as long as any test.
func (p *process) named(id string) {
	now := records.Now()
	value, err := schemas.Encode(struct {
		schemas.Session
		Principal string `json:"principal"`
	}{schemas.Session{
		SessionID: id, Status: schemas.SessionActive, Version: 1, TTLSeconds: 1 << 30, CreatedAt: now, LastSeenAt: now, ExpiresAt: now.Add(1 << 30 * time.Second),
	}, caller.LocalPrincipal})
	if err != nil {
		panic(err)
	}
	put := store.Put{Key: session.Key(id), Value: value, Terms: []string{"principal=" + caller.LocalPrincipal}}
	if _, err := p.store.Commit(context.Background(), store.Batch{Puts: []store.Put{put}}); err != nil && !errors.Is(err, store.ErrConflict) { // another life has made it
		panic(err)
	}
}

// stored is a session as it was committed.
func stored(ctx context.Context, s store.Store, id string) (se schemas.Session, err error) {
	rec, err := s.Get(ctx, session.Key(id))
	if err == nil {
		err = json.Unmarshal(rec.Value, &se)
	}
	return se, err
}

// stands asserts a session's status without touching it.
func (p *process) stands(t *testing.T, id string, status schemas.SessionStatus) {
	t.Helper()
	st, err := p.States.Get(t.Context(), state.Ref{Type: schemas.StateSession, Key: id})
	if want := fmt.Sprintf(`"status":%q`, status); err != nil || !strings.Contains(string(st.Context), want) {
		t.Errorf("%s: session %s: got %s, %v, want %s", time.Now().Format(time.TimeOnly), id, st.Context, err, status)
	}
}

func codeOf(err error) schemas.Code { return code(schemas.AsError(err)) }

func TestSessionLivesAsLongAsItIsSeen(t *testing.T) {
	bubble(t, func(t *testing.T, w *world, s store.Store) {
		p := live(w, s)
		defer p.stop()
		se := p.open(t, schemas.SessionUpdates{TTLSeconds: new(int64(3600))})
		id := se.SessionID
		if se.Status != schemas.SessionActive || se.Version != 1 || !se.ExpiresAt.Equal(se.CreatedAt.Add(time.Hour)) {
			t.Errorf("%+v", se)
		}
		time.Sleep(10*time.Minute - time.Second)
		p.stands(t, id, schemas.SessionActive)
		time.Sleep(time.Second)
		p.stands(t, id, schemas.SessionIdle)
		time.Sleep(49 * time.Minute)
		if se, err := p.Sessions.Get(t.Context(), id); err != nil || se.Status != schemas.SessionActive || !se.ExpiresAt.Equal(time.Now().Add(time.Hour)) {
			t.Errorf("seen: %+v, %v", se, err)
		}
		time.Sleep(59*time.Minute + 59*time.Second)
		p.stands(t, id, schemas.SessionIdle)
		time.Sleep(time.Second)
		p.stands(t, id, schemas.SessionExpired)
		synctest.Wait()
		rec, err := stored(t.Context(), p.store, id)
		if err != nil || rec.Status != schemas.SessionExpired {
			t.Errorf("nobody committed the end: %+v, %v", rec, err)
		}
		p.stop()
		time.Sleep(7*24*time.Hour - time.Minute)
		p = live(w, s)
		p.stands(t, id, schemas.SessionExpired)
		time.Sleep(2 * time.Minute)
		if _, err := p.Sessions.Get(t.Context(), id); codeOf(err) != schemas.CodeNotFound {
			t.Errorf("kept for ever: %v", err)
		}
	})
}

// Whatever names a session counts, and what is remembered in memory alone is committed before it matters, also for another replica.
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
				bubble(t, func(t *testing.T, w *world, s store.Store) {
					p, other := live(w, s), live(w, s)
					defer p.stop()
					defer other.stop()
					id := p.open(t, schemas.SessionUpdates{TTLSeconds: &ttl}).SessionID
					for range 30 { // far beyond the TTL, in steps below it
						time.Sleep(time.Duration(ttl) * 100 * time.Millisecond)
						if err := tt.call(t.Context(), p, id); err != nil {
							t.Fatal(err)
						}
					}
					seen := time.Now()
					time.Sleep(time.Until(seen.Add(time.Duration(ttl)*time.Second - time.Second)))
					other.stands(t, id, map[bool]schemas.SessionStatus{true: schemas.SessionIdle, false: schemas.SessionActive}[ttl > 600])
					time.Sleep(2 * time.Second)
					other.stands(t, id, schemas.SessionExpired)
				})
			})
		}
	}
}

// counted counts commits of sessions.
type counted struct {
	store.Store
	mu sync.Mutex
	n  int
}

func (c *counted) Commit(ctx context.Context, b store.Batch) (store.Committed, error) {
	if slices.ContainsFunc(b.Puts, func(p store.Put) bool { return p.Key.Kind == session.Kind }) {
		c.mu.Lock()
		c.n++
		c.mu.Unlock()
	}
	return c.Store.Commit(ctx, b)
}

func TestBeingSeenIsCheap(t *testing.T) {
	bubble(t, func(t *testing.T, w *world, s store.Store) {
		c := &counted{Store: s}
		p := live(w, c)
		id := p.open(t, schemas.SessionUpdates{}).SessionID
		for range 6000 { // a minute
			time.Sleep(10 * time.Millisecond)
			if _, err := p.Sessions.Get(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		last := records.Now()
		c.mu.Lock()
		if c.n > 60 { // a reader and the one that commits what was seen may meet every touchEvery: one of them tries again
			t.Errorf("6000 reads in a minute made %d commits", c.n)
		}
		c.mu.Unlock()
		p.stop() // commits what it remembers
		p = live(w, c)
		defer p.stop()
		if se, err := stored(t.Context(), p.store, id); err != nil || !se.LastSeenAt.Equal(last) {
			t.Errorf("last seen %v, %v, want %v", se.LastSeenAt, err, last)
		}
	})
}

func TestUpdateSession(t *testing.T) {
	bubble(t, func(t *testing.T, w *world, s store.Store) {
		p := live(w, s, func(c *Config) { c.Sessions.MaxBytes = 100 })
		defer p.stop()
		se := p.open(t, schemas.SessionUpdates{Data: schemas.Object(`{"a":{"x":1,"y":2},"b":[1]}`), AgentID: new("one")})
		for _, tt := range []struct {
			name     string
			updates  schemas.SessionUpdates
			expected *int64
			code     schemas.Code
			data     string
			version  int64
		}{
			{"merge", schemas.SessionUpdates{Data: schemas.Object(`{"a":{"x":null,"z":3},"b":2}`)}, nil, "", `{"a":{"y":2,"z":3},"b":2}`, 2},
			{"expected", schemas.SessionUpdates{Data: schemas.Object(`{"a":null}`)}, new(int64(2)), "", `{"b":2}`, 3},
			{"overtaken", schemas.SessionUpdates{Data: schemas.Object(`{"b":9}`)}, new(int64(2)), schemas.CodeConflict, `{"b":2}`, 3},
			{"agent alone", schemas.SessionUpdates{AgentID: new("two")}, nil, "", `{"b":2}`, 4},
			{"too large a patch", schemas.SessionUpdates{Data: schemas.Object(`{"b":"` + strings.Repeat("x", 200) + `"}`)}, nil, schemas.CodePayloadTooLarge, `{"b":2}`, 4},
			{"too large together", schemas.SessionUpdates{UserContext: schemas.Object(`{"b":"` + strings.Repeat("x", 90) + `"}`)}, nil, schemas.CodePayloadTooLarge, `{"b":2}`, 4},
			{"no JSON", schemas.SessionUpdates{Data: schemas.Object(`{"b":`)}, nil, schemas.CodeInvalidArgument, `{"b":2}`, 4},
		} {
			_, err := p.Sessions.Update(t.Context(), se.SessionID, tt.updates, tt.expected)
			now, readErr := p.Sessions.Get(t.Context(), se.SessionID)
			if codeOf(err) != tt.code || readErr != nil || string(now.Data) != tt.data || now.Version != tt.version {
				t.Errorf("%s: %v; %s version %d, %v", tt.name, err, now.Data, now.Version, readErr)
			}
			if tt.code == schemas.CodeConflict {
				if v := schemas.AsError(err).CurrentVersion; v == nil || *v != tt.version {
					t.Errorf("%s: current_version %v", tt.name, v)
				}
			}
		}
		if now, _ := p.Sessions.Get(t.Context(), se.SessionID); now.AgentID != "two" {
			t.Errorf("agent %q", now.AgentID)
		}
		if _, err := p.Sessions.Create(t.Context(), schemas.SessionUpdates{Data: schemas.Object(`{"b":"` + strings.Repeat("x", 200) + `"}`)}); codeOf(err) != schemas.CodePayloadTooLarge {
			t.Errorf("create: %v", err)
		}
	})
}

// A session that is not there, another's, or ended is refused by everything that needs it, with the same not_found for the first two.
func TestBadSessionsAreRefused(t *testing.T) {
	bubble(t, func(t *testing.T, w *world, s store.Store) {
		p := live(w, s)
		defer p.stop()
		mine, err := p.Sessions.Create(as(t, "mine"), schemas.SessionUpdates{})
		if err != nil {
			t.Fatal(err)
		}
		closed, expired := p.open(t, schemas.SessionUpdates{Data: schemas.Object(`{"secret":1}`)}), p.open(t, schemas.SessionUpdates{TTLSeconds: new(int64(1))})
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
				"nobody": schemas.CodeNotFound, strings.Repeat("x", 500): schemas.CodeNotFound, mine.SessionID: schemas.CodeNotFound,
				closed.SessionID: schemas.CodeAlreadyFinished, expired.SessionID: schemas.CodeAlreadyFinished,
			} {
				if err := call(id); codeOf(err) != want {
					t.Errorf("%s %.40s: %v, want %s", name, id, err, want)
				}
			}
			missing, foreign := call("nobody").Error(), call(mine.SessionID).Error()
			if strings.ReplaceAll(foreign, mine.SessionID, "nobody") != missing {
				t.Errorf("%s tells another's from none:\n%s\n%s", name, missing, foreign)
			}
		}
		for _, err := range []error{
			errOf(p.Sessions.Get(t.Context(), mine.SessionID)), errOf(p.Sessions.Delete(t.Context(), mine.SessionID)),
		} {
			if codeOf(err) != schemas.CodeNotFound {
				t.Errorf("another's: %v", err)
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

func errOf[T any](_ T, err error) error { return err }

func TestPlansReadTheSessionAsItWasAtSubmit(t *testing.T) {
	bubble(t, func(t *testing.T, w *world, s store.Store) {
		p := live(w, s)
		id := p.open(t, schemas.SessionUpdates{Data: schemas.Object(`{"user":{"name":"Ada"}}`)}).SessionID
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
		p = live(w, s) // it reads the snapshot from the store
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

// However a session ends, its executions do as the rules say and its states go, once, on whichever replica is there, also
// when the one that ended it is not any more.
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
				bubble(t, func(t *testing.T, w *world, s store.Store) {
					configure := func(c *Config) { c.Sessions = tt.rules }
					p := live(w, s, configure)
					id := p.open(t, schemas.SessionUpdates{TTLSeconds: new(int64(60))}).SessionID
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
						p = &process{New(Config{Store: s, Realms: w, Sessions: tt.rules}), func() {}} // nothing of it runs
					}
					if tt.delete {
						if _, err := p.Sessions.Delete(t.Context(), id); err != nil {
							t.Fatal(err)
						}
					} else {
						time.Sleep(61 * time.Second)
					}
					if crash {
						p = live(w, s, configure)
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

// What was begun by a call that had looked at the session just before it ended does not escape the end.
func TestTheEndOfASessionFindsLatecomers(t *testing.T) {
	bubble(t, func(t *testing.T, w *world, s store.Store) {
		ended := make(chan struct{})
		p := live(w, &hooks{Store: s, commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
			if slices.ContainsFunc(b.Puts, func(p store.Put) bool { return p.Key == journal.PlanKey("late") }) {
				<-ended // it has looked at the session
			}
			return s.Commit(ctx, b)
		}})
		defer p.stop()
		se := p.open(t, schemas.SessionUpdates{})
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

// Of many replicas one ends a session, exactly when it is due.
func TestOneReplicaEndsASession(t *testing.T) {
	bubble(t, func(t *testing.T, w *world, s store.Store) {
		var ps []*process
		for range 3 {
			p := live(w, s)
			defer p.stop()
			ps = append(ps, p)
		}
		ids := map[string]time.Time{}
		for i := range 50 {
			se := ps[i%3].open(t, schemas.SessionUpdates{TTLSeconds: new(int64(10 + i%7))})
			ids[se.SessionID] = se.ExpiresAt
			time.Sleep(37 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for id, due := range ids {
			rec, err := s.Get(t.Context(), session.Key(id))
			if err != nil {
				t.Fatal(err)
			}
			se, err := ps[0].Sessions.Decode(rec)
			// created, expired, swept twice: the first sweep commits nothing
			if err != nil || se.Status != schemas.SessionExpired || !se.EndedAt.Equal(due) || rec.Version != 3 {
				t.Errorf("%s: %s at %v, want %v; %d commits, %v", id, se.Status, se.EndedAt, due, rec.Version, err)
			}
		}
	})
}

func TestListSessions(t *testing.T) {
	bubble(t, func(t *testing.T, w *world, s store.Store) {
		p := live(w, s)
		defer p.stop()
		var ids []string
		for i := range 30 {
			ids = append(ids, p.open(t, schemas.SessionUpdates{AgentID: new(fmt.Sprintf("agent-%d", i%3))}).SessionID)
			time.Sleep(time.Millisecond)
		}
		if _, err := p.Sessions.Create(as(t, "other"), schemas.SessionUpdates{AgentID: new("agent-0")}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Sessions.Delete(t.Context(), ids[0]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Minute)
		if _, err := p.Sessions.Get(t.Context(), ids[1]); err != nil {
			t.Fatal(err)
		}
		count := func(q session.Query) (n int) {
			for {
				page, err := p.Sessions.List(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				n += len(page.Sessions)
				if q.Cursor = page.NextCursor; q.Cursor == "" {
					return n
				}
			}
		}
		for _, tt := range []struct {
			q    session.Query
			want int
		}{
			{session.Query{Limit: 7}, 30}, {session.Query{Status: schemas.SessionIdle}, 28}, {session.Query{Status: schemas.SessionActive}, 1},
			{session.Query{Status: schemas.SessionClosed, AgentID: "agent-0"}, 1}, {session.Query{AgentID: "agent-2", Limit: 3}, 10}, {session.Query{AgentID: "nobody"}, 0},
		} {
			if n := count(tt.q); n != tt.want {
				t.Errorf("%+v: %d sessions, want %d", tt.q, n, tt.want)
			}
		}
		agents, err := p.Sessions.Agents(t.Context())
		if err != nil || len(agents) != 3 || agents[0].AgentID != "agent-1" || agents[0].Active != 1 || agents[0].Idle != 9 {
			t.Errorf("agents: %+v, %v", agents, err)
		}
		page, err := p.Sessions.List(t.Context(), session.Query{Limit: 5})
		if err != nil || page.Sessions[0].SessionID != ids[29] {
			t.Errorf("first page: %+v, %v", page, err)
		}
		for name, try := range map[string]func(cursor string) error{
			"another principal": func(c string) error { return errOf(p.Sessions.List(as(t, "other"), session.Query{Cursor: c})) },
			"another list":      func(c string) error { return errOf(p.Executions.List(t.Context(), journal.Query{Cursor: c})) },
			"broken": func(c string) error {
				return errOf(p.Sessions.List(t.Context(), session.Query{Cursor: c[:9] + "\n" + c[9:]}))
			},
			"cut":     func(c string) error { return errOf(p.Sessions.List(t.Context(), session.Query{Cursor: c[:8]})) },
			"made up": func(string) error { return errOf(p.Sessions.List(t.Context(), session.Query{Cursor: "!"})) },
			"a day later": func(c string) error {
				p.stop()
				time.Sleep(24*time.Hour + time.Second)
				p = live(w, s)
				return errOf(p.Sessions.List(t.Context(), session.Query{Cursor: c}))
			},
		} {
			if err := try(page.NextCursor); codeOf(err) != schemas.CodeInvalidArgument || schemas.AsError(err).Field != "cursor" {
				t.Errorf("%s: %v", name, err)
			}
			if page, err = p.Sessions.List(t.Context(), session.Query{Limit: 5}); err != nil {
				t.Fatal(err)
			}
		}
		body, last := page.NextCursor[:len(page.NextCursor)-1], page.NextCursor[len(page.NextCursor)-1:]
		for _, letter := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
			_, err := p.Sessions.List(t.Context(), session.Query{Cursor: body + string(letter)})
			if same := string(letter) == last; same && err != nil || !same && codeOf(err) != schemas.CodeInvalidArgument {
				t.Errorf("a cursor on %q with %q at its end: %v", last, letter, err)
			}
		}
	})
}

// Many writers with expected versions lose nothing: every acknowledged update is in the data.
func TestSessionWritersLoseNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world, s store.Store) {
		p, other := live(w, s), live(w, s)
		defer p.stop()
		defer other.stop()
		id := p.open(t, schemas.SessionUpdates{}).SessionID
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				at := []*process{p, other}[i%2]
				for {
					se, err := at.Sessions.Get(t.Context(), id)
					if err != nil {
						t.Error(err)
						return
					}
					u := schemas.SessionUpdates{Data: schemas.Object(fmt.Sprintf(`{"w%d":%d}`, i, se.Version))}
					_, err = at.Sessions.Update(t.Context(), id, u, &se.Version)
					if err == nil {
						return
					}
					if !errors.Is(err, &schemas.Error{Code: schemas.CodeConflict}) {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		se, err := p.Sessions.Get(t.Context(), id)
		if err != nil || se.Version != 65 || strings.Count(string(se.Data), `"w`) != 64 {
			t.Errorf("version %d, %s, %v", se.Version, se.Data, err)
		}
	})
}
