package session

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

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// replica is Sessions that run until stop is called.
type replica struct {
	*Sessions
	stop func()
}

// start runs Sessions on a store until the test ends.
func start(t *testing.T, s store.Store, rules Rules) *replica {
	t.Helper()
	r := New(Config{Store: recordstest.Replica(s), Log: hclog.NewNullLogger(), Rules: rules})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { _ = r.Run(ctx); close(done) }() // Run has no error of its own
	stop := sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	synctest.Wait()
	return &replica{r, stop}
}

func as(t *testing.T, principal string) context.Context {
	t.Helper()
	return caller.With(t.Context(), caller.Caller{Principal: principal})
}

func codeOf(err error) schemas.Code {
	if e := schemas.AsError(err); e != nil {
		return e.Code
	}
	return ""
}

func errOf[T any](_ T, err error) error { return err }

// create makes a session.
func (r *replica) create(t *testing.T, u schemas.SessionUpdates) schemas.Session {
	t.Helper()
	s, err := r.Create(t.Context(), u)
	if err != nil {
		t.Fatalf("create session: %v", err)
	}
	return s
}

// committed is a session as it stands in the store.
func (r *replica) committed(t *testing.T, id string) (s schemas.Session) {
	t.Helper()
	rec, err := r.store.Get(t.Context(), Key(id))
	if err == nil {
		err = json.Unmarshal(rec.Value, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// want asserts a session's status, by a call that does not count as seeing it.
func (r *replica) want(t *testing.T, id string, status schemas.SessionStatus) {
	t.Helper()
	if s, err := r.Peek(t.Context(), id); err != nil || s.Status != status {
		t.Errorf("%s: session %s is %s, %v, want %s", time.Now().Format(time.TimeOnly), id, s.Status, err, status)
	}
}

func TestSessionLivesAsLongAsItIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := recordstest.Memory(t)
		p := start(t, s, Rules{})
		se := p.create(t, schemas.SessionUpdates{TTLSeconds: new(int64(3600))})
		id := se.SessionID
		if se.Status != schemas.SessionActive || se.Version != 1 || !se.ExpiresAt.Equal(se.CreatedAt.Add(time.Hour)) {
			t.Errorf("%+v", se)
		}
		time.Sleep(10*time.Minute - time.Second)
		p.want(t, id, schemas.SessionActive)
		time.Sleep(time.Second)
		p.want(t, id, schemas.SessionIdle)
		time.Sleep(49 * time.Minute)
		if se, err := p.Get(t.Context(), id); err != nil || se.Status != schemas.SessionActive || !se.ExpiresAt.Equal(time.Now().Add(time.Hour)) {
			t.Errorf("seen: %+v, %v", se, err)
		}
		time.Sleep(59*time.Minute + 59*time.Second)
		p.want(t, id, schemas.SessionIdle)
		time.Sleep(time.Second)
		p.want(t, id, schemas.SessionExpired)
		synctest.Wait()
		if s := p.committed(t, id); s.Status != schemas.SessionExpired {
			t.Errorf("the end is not committed: %+v", s)
		}
		p.stop()
		time.Sleep(7*24*time.Hour - time.Minute)
		p = start(t, s, Rules{})
		p.want(t, id, schemas.SessionExpired)
		time.Sleep(2 * time.Minute)
		if _, err := p.Get(t.Context(), id); codeOf(err) != schemas.CodeNotFound {
			t.Errorf("kept for ever: %v", err)
		}
	})
}

// counted counts commits of sessions.
type counted struct {
	store.Store
	mu sync.Mutex
	n  int
}

func (c *counted) Commit(ctx context.Context, b store.Batch) (store.Committed, error) {
	if slices.ContainsFunc(b.Puts, func(p store.Put) bool { return p.Key.Kind == Kind }) {
		c.mu.Lock()
		c.n++
		c.mu.Unlock()
	}
	return c.Store.Commit(ctx, b)
}

func TestBeingSeenIsCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := recordstest.Memory(t)
		c := &counted{Store: s}
		p := start(t, c, Rules{})
		id := p.create(t, schemas.SessionUpdates{}).SessionID
		for range 6000 { // a minute
			time.Sleep(10 * time.Millisecond)
			if _, err := p.Get(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		last := records.Now()
		c.mu.Lock()
		if c.n > 60 { // a read and the commit of what was seen may conflict every touchInterval: one of them is tried again
			t.Errorf("6000 reads in a minute made %d commits", c.n)
		}
		c.mu.Unlock()
		p.stop() // commits what it remembers
		p = start(t, c, Rules{})
		if s := p.committed(t, id); !s.LastSeenAt.Equal(last) {
			t.Errorf("last seen %v, want %v", s.LastSeenAt, last)
		}
	})
}

func TestUpdateSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := recordstest.Memory(t)
		p := start(t, s, Rules{MaxBytes: 100})
		se := p.create(t, schemas.SessionUpdates{Data: schemas.Object(`{"a":{"x":1,"y":2},"b":[1]}`), AgentID: new("one")})
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
			_, err := p.Update(t.Context(), se.SessionID, tt.updates, tt.expected)
			now, readErr := p.Get(t.Context(), se.SessionID)
			if codeOf(err) != tt.code || readErr != nil || string(now.Data) != tt.data || now.Version != tt.version {
				t.Errorf("%s: %v; %s version %d, %v", tt.name, err, now.Data, now.Version, readErr)
			}
			if tt.code == schemas.CodeConflict {
				if v := schemas.AsError(err).CurrentVersion; v == nil || *v != tt.version {
					t.Errorf("%s: current_version %v", tt.name, v)
				}
			}
		}
		if now, _ := p.Get(t.Context(), se.SessionID); now.AgentID != "two" {
			t.Errorf("agent %q", now.AgentID)
		}
		if _, err := p.Create(t.Context(), schemas.SessionUpdates{Data: schemas.Object(`{"b":"` + strings.Repeat("x", 200) + `"}`)}); codeOf(err) != schemas.CodePayloadTooLarge {
			t.Errorf("create: %v", err)
		}
	})
}

// Of several replicas one ends a session, exactly when it is due.
func TestOneReplicaEndsASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := recordstest.Memory(t)
		ps := []*replica{start(t, s, Rules{}), start(t, s, Rules{}), start(t, s, Rules{})}
		ids := map[string]time.Time{}
		for i := range 50 {
			se := ps[i%3].create(t, schemas.SessionUpdates{TTLSeconds: new(int64(10 + i%7))})
			ids[se.SessionID] = se.ExpiresAt
			time.Sleep(37 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for id, due := range ids {
			rec, err := s.Get(t.Context(), Key(id))
			if err != nil {
				t.Fatal(err)
			}
			se, err := ps[0].Decode(rec)
			// created, expired, swept twice: the first sweep commits nothing
			if err != nil || se.Status != schemas.SessionExpired || !se.EndedAt.Equal(due) || rec.Version != 3 {
				t.Errorf("%s: %s at %v, want %v; %d commits, %v", id, se.Status, se.EndedAt, due, rec.Version, err)
			}
		}
	})
}

func TestListSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := recordstest.Memory(t)
		p := start(t, s, Rules{})
		var ids []string
		for i := range 30 {
			ids = append(ids, p.create(t, schemas.SessionUpdates{AgentID: new(fmt.Sprintf("agent-%d", i%3))}).SessionID)
			time.Sleep(time.Millisecond)
		}
		if _, err := p.Create(as(t, "other"), schemas.SessionUpdates{AgentID: new("agent-0")}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Delete(t.Context(), ids[0]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Minute)
		if _, err := p.Get(t.Context(), ids[1]); err != nil {
			t.Fatal(err)
		}
		count := func(q Query) (n int) {
			for {
				page, err := p.List(t.Context(), q)
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
			q    Query
			want int
		}{
			{Query{Limit: 7}, 30}, {Query{Status: schemas.SessionIdle}, 28}, {Query{Status: schemas.SessionActive}, 1},
			{Query{Status: schemas.SessionClosed, AgentID: "agent-0"}, 1}, {Query{AgentID: "agent-2", Limit: 3}, 10}, {Query{AgentID: "nobody"}, 0},
		} {
			if n := count(tt.q); n != tt.want {
				t.Errorf("%+v: %d sessions, want %d", tt.q, n, tt.want)
			}
		}
		agents, err := p.Agents(t.Context())
		if err != nil || len(agents) != 3 || agents[0].AgentID != "agent-1" || agents[0].Active != 1 || agents[0].Idle != 9 {
			t.Errorf("agents: %+v, %v", agents, err)
		}
		page, err := p.List(t.Context(), Query{Limit: 5})
		if err != nil || page.Sessions[0].SessionID != ids[29] {
			t.Errorf("first page: %+v, %v", page, err)
		}
		for name, try := range map[string]func(cursor string) error{
			"another principal": func(c string) error { return errOf(p.List(as(t, "other"), Query{Cursor: c})) },
			"another list":      func(c string) error { return errOf(p.store.OpenCursor(t.Context(), "list_states", "state", c)) },
			"broken": func(c string) error {
				return errOf(p.List(t.Context(), Query{Cursor: c[:9] + "\n" + c[9:]}))
			},
			"cut":     func(c string) error { return errOf(p.List(t.Context(), Query{Cursor: c[:8]})) },
			"made up": func(string) error { return errOf(p.List(t.Context(), Query{Cursor: "!"})) },
			"a day later": func(c string) error {
				p.stop()
				time.Sleep(24*time.Hour + time.Second)
				p = start(t, s, Rules{})
				return errOf(p.List(t.Context(), Query{Cursor: c}))
			},
		} {
			if err := try(page.NextCursor); codeOf(err) != schemas.CodeInvalidArgument || schemas.AsError(err).Field != "cursor" {
				t.Errorf("%s: %v", name, err)
			}
			if page, err = p.List(t.Context(), Query{Limit: 5}); err != nil {
				t.Fatal(err)
			}
		}
		body, last := page.NextCursor[:len(page.NextCursor)-1], page.NextCursor[len(page.NextCursor)-1:]
		for _, letter := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
			_, err := p.List(t.Context(), Query{Cursor: body + string(letter)})
			if same := string(letter) == last; same && err != nil || !same && codeOf(err) != schemas.CodeInvalidArgument {
				t.Errorf("a cursor on %q with %q at its end: %v", last, letter, err)
			}
		}
	})
}

// Many writers with expected versions lose nothing: every acknowledged update is in the data.
func TestSessionWritersLoseNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := recordstest.Memory(t)
		p, other := start(t, s, Rules{}), start(t, s, Rules{})
		id := p.create(t, schemas.SessionUpdates{}).SessionID
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				at := []*replica{p, other}[i%2]
				for {
					se, err := at.Get(t.Context(), id)
					if err != nil {
						t.Error(err)
						return
					}
					u := schemas.SessionUpdates{Data: schemas.Object(fmt.Sprintf(`{"w%d":%d}`, i, se.Version))}
					_, err = at.Update(t.Context(), id, u, &se.Version)
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
		se, err := p.Get(t.Context(), id)
		if err != nil || se.Version != 65 || strings.Count(string(se.Data), `"w`) != 64 {
			t.Errorf("version %d, %s, %v", se.Version, se.Data, err)
		}
	})
}
