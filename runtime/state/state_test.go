package state

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// replica is States with the sessions that they may belong to.
type replica struct {
	*States
	sessions *session.Sessions
}

// open makes States on a store; nothing of them runs.
func open(s store.Store, rules Rules) *replica {
	rec, log := recordstest.Replica(s), hclog.NewNullLogger()
	sessions := session.New(session.Config{Store: rec, Log: log})
	r := &replica{New(Config{Store: rec, Log: log, Sessions: sessions, Rules: rules}), sessions}
	sessions.OnEnd(r.States)
	return r
}

// start makes States on a store and runs them, with their sessions, until the test ends.
func start(t *testing.T, s store.Store, rules Rules) *replica {
	t.Helper()
	r := open(s, rules)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = r.sessions.Run(ctx) }) // neither has an error of its own
	running.Go(func() { _ = r.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	synctest.Wait()
	return r
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
func (r *replica) create(t *testing.T) string {
	t.Helper()
	s, err := r.sessions.Create(t.Context(), schemas.SessionUpdates{})
	if err != nil {
		t.Fatalf("create session: %v", err)
	}
	return s.SessionID
}

func (r *replica) set(t *testing.T, ref Ref, data string) {
	t.Helper()
	if _, err := r.Set(t.Context(), Write{Ref: ref, Data: schemas.Value(data)}); err != nil {
		t.Fatalf("set %v: %v", ref, err)
	}
}

func (r *replica) get(t *testing.T, ref Ref) schemas.State {
	t.Helper()
	s, err := r.Get(t.Context(), ref)
	if err != nil {
		t.Fatalf("get %v: %v", ref, err)
	}
	return s
}

func TestStateByVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := recordstest.Memory(t)
		p := start(t, s, Rules{MaxBytes: 100})
		at := Ref{Type: "task", Key: "k"}
		set := func(data string, expected *int64) func() error {
			return func() error {
				return errOf(p.Set(t.Context(), Write{Ref: at, Data: schemas.Value(data), Expected: expected}))
			}
		}
		remove := func(expected *int64) func() error {
			return func() error { return errOf(p.Delete(t.Context(), at, expected)) }
		}
		for _, tt := range []struct {
			name    string
			do      func() error
			code    schemas.Code
			current int64 // of a conflict
			data    string
			version int64
		}{
			{"change what is not there", set(`1`, new(int64(1))), schemas.CodeConflict, 0, "", 0},
			{"delete what is not there", remove(nil), "", 0, "", 0},
			{"delete a version of nothing", remove(new(int64(3))), schemas.CodeConflict, 0, "", 0},
			{"create", set(`{"a":1}`, new(int64(0))), "", 0, `{"a":1}`, 1},
			{"create again", set(`2`, new(int64(0))), schemas.CodeConflict, 1, `{"a":1}`, 1},
			{"change", set(`null`, new(int64(1))), "", 0, `null`, 2},
			{"change the old one", set(`3`, new(int64(1))), schemas.CodeConflict, 2, `null`, 2},
			{"whatever is there", set(`"<é>"`, nil), "", 0, `"<é>"`, 3},
			{"delete the old one", remove(new(int64(2))), schemas.CodeConflict, 3, `"<é>"`, 3},
			{"too large", set(`"`+strings.Repeat("x", 99)+`"`, nil), schemas.CodePayloadTooLarge, 0, `"<é>"`, 3},
			{"delete", remove(new(int64(3))), "", 0, "", 0},
			{"create again continues the versions", set(`4`, new(int64(0))), "", 0, `4`, 5},
			{"the version before the deletion is not this one", set(`5`, new(int64(3))), schemas.CodeConflict, 5, `4`, 5},
		} {
			err := tt.do()
			now := p.get(t, at)
			if codeOf(err) != tt.code || now.Found != (tt.version > 0) || string(now.StateData) != tt.data || now.Version != tt.version {
				t.Errorf("%s: %v; %+v", tt.name, err, now)
			}
			if tt.code == schemas.CodeConflict {
				if v := schemas.AsError(err).CurrentVersion; v == nil || *v != tt.current {
					t.Errorf("%s: current_version %v, want %d", tt.name, v, tt.current)
				}
			}
		}
	})
}

// An expired lock is not mistaken for the one that another caller took since.
func TestStateExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := recordstest.Memory(t)
		p := start(t, s, Rules{})
		lock := Write{Ref: Ref{Type: "lock", Key: "k"}, Data: schemas.Value(`"a"`), Expected: new(int64(0)), TTL: 30 * time.Second}
		a, err := p.Set(t.Context(), lock)
		if err != nil || a.ExpiresAt == nil || !a.ExpiresAt.Equal(time.Now().Add(30*time.Second)) {
			t.Fatalf("%+v, %v", a, err)
		}
		time.Sleep(30*time.Second - time.Millisecond)
		if err := errOf(p.Set(t.Context(), lock)); codeOf(err) != schemas.CodeConflict {
			t.Errorf("the lock is held: %v", err)
		}
		time.Sleep(time.Millisecond)
		if st := p.get(t, lock.Ref); st.Found || st.Version != 0 {
			t.Errorf("expired: %+v", st)
		}
		if page, err := p.List(t.Context(), Query{Type: "lock"}); err != nil || len(page.States) != 0 {
			t.Errorf("expired, but listed: %+v, %v", page, err)
		}
		lock.Data = schemas.Value(`"b"`)
		b, err := p.Set(t.Context(), lock)
		if err != nil || b.Version == a.Version {
			t.Errorf("taken again: %+v, %v", b, err)
		}
		lock.Data, lock.Expected = schemas.Value(`"a"`), &a.Version
		if err := errOf(p.Set(t.Context(), lock)); codeOf(err) != schemas.CodeConflict {
			t.Errorf("a renewed the lock of b: %v", err)
		}
		time.Sleep(30*time.Second + KeepVersion)
		if rec, err := s.List(t.Context(), store.Query{Kind: Kind}); err != nil || len(rec) != 0 {
			t.Errorf("%d records are kept for ever, %v", len(rec), err)
		}
	})
}

func TestStateContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := recordstest.Memory(t)
		p := start(t, s, Rules{})
		id := p.create(t)
		about := schemas.Object(`{"session_id":"` + id + `","team":"red"}`)
		p.set(t, Ref{Type: "t", Key: "a", Context: about}, `{"n":1}`)
		at := Ref{Type: "t", Key: "a"}
		p.set(t, at, `{"n":2}`)
		if st := p.get(t, at); string(st.Context) != string(about) || string(st.StateData) != `{"n":2}` {
			t.Errorf("a write without a context keeps it: %+v", st)
		}
		blue := Ref{Type: "t", Key: "a", Context: schemas.Object(`{"team":"blue"}`)}
		if st := p.get(t, blue); st.Found {
			t.Errorf("another context: %+v", st)
		}
		if out, err := p.Delete(t.Context(), blue, nil); err != nil || out.Deleted {
			t.Errorf("delete in another context: %+v, %v", out, err)
		}
		if st := p.get(t, Ref{Type: "t", Key: "a", Context: schemas.Object(`{"team":"red"}`)}); !st.Found {
			t.Error("the same context")
		}
		if err := errOf(p.Get(t.Context(), Ref{Type: "t", Key: "a", Context: schemas.Object(`{"session_id":7}`)})); codeOf(err) != schemas.CodeInvalidArgument {
			t.Errorf("session_id is a number: %v", err)
		}
		// Moved out of its session, a state does not end with it.
		p.set(t, Ref{Type: "t", Key: "moved", Context: about}, `1`)
		p.set(t, Ref{Type: "t", Key: "moved", Context: schemas.Object(`{"team":"red"}`)}, `1`)
		if err := errOf(p.sessions.Delete(t.Context(), id)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if st := p.get(t, at); st.Found {
			t.Errorf("its session has ended: %+v", st)
		}
		if st := p.get(t, Ref{Type: "t", Key: "moved"}); !st.Found {
			t.Error("moved out of the session")
		}
	})
}

// No name reaches another's state, whatever bytes are in it.
func TestStatesDoNotAlias(t *testing.T) {
	for _, on := range recordstest.Stores {
		t.Run(on.Name, func(t *testing.T) { statesDoNotAlias(t, on.Open(t)()) })
	}
}

func statesDoNotAlias(t *testing.T, s store.Store) {
	p := open(s, Rules{})
	type name struct{ principal, kind, key string }
	var names []name
	for _, principal := range []string{"a", "a b", "1 a", "a\x00", "*"} {
		for _, kind := range []string{"t", "t:", "t/x", "*", "b t", "{t}"} {
			for _, key := range []string{"k", "*", "a:b", "{k}", "k\n", "k\x00", "k/", "/k", "k/x", "x t:k", " ", "é", "_", "%"} {
				names = append(names, name{principal, kind, key})
			}
		}
	}
	for i, n := range names {
		ctx := as(t, n.principal)
		if err := errOf(p.Set(ctx, Write{Ref: Ref{Type: n.kind, Key: n.key}, Data: schemas.Value(fmt.Sprint(i)), Expected: new(int64(0))})); err != nil {
			t.Fatalf("%q: %v", n, err)
		}
	}
	for i, n := range names {
		ctx := as(t, n.principal)
		if st, err := p.Get(ctx, Ref{Type: n.kind, Key: n.key}); err != nil || string(st.StateData) != fmt.Sprint(i) {
			t.Errorf("%q: %+v, %v, want %d", n, st, err, i)
		}
		if page, err := p.List(ctx, Query{Type: n.kind, Limit: 100}); err != nil || len(page.States) != 14 {
			t.Errorf("%q: %d states listed, %v, want 14", n, len(page.States), err)
		}
	}
	for _, ref := range []Ref{{Type: "", Key: "k"}, {Type: "t", Key: ""}, {Type: strings.Repeat("t", 129), Key: "k"}, {Type: "t", Key: strings.Repeat("é", 257)}} {
		if err := errOf(p.Set(t.Context(), Write{Ref: ref, Data: schemas.Value(`1`)})); codeOf(err) != schemas.CodeInvalidArgument {
			t.Errorf("%.20q: %v", ref, err)
		}
	}
}

func TestListStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := recordstest.Memory(t)
		p := start(t, s, Rules{})
		id := p.create(t)
		for i := range 60 {
			ref := Ref{Type: "task", Key: fmt.Sprintf("k%02d", i)}
			if i%3 == 0 {
				ref.Context = schemas.Object(`{"session_id":"` + id + `"}`)
			}
			p.set(t, ref, fmt.Sprintf(`{"n":%d,"status":%q}`, i, []string{"open", "done"}[i%2]))
		}
		all := func(filters string, limit int) (keys []string) {
			q := Query{Type: "task", Filters: schemas.Object(filters), Limit: limit}
			for {
				page, err := p.List(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				for _, st := range page.States {
					keys = append(keys, st.StateKey)
				}
				if q.Cursor = page.NextCursor; q.Cursor == "" {
					return keys
				}
			}
		}
		for filters, want := range map[string]int{
			``: 60, `{"status":"open"}`: 30, `{"status":"open","n":4}`: 1, `{"nobody":1}`: 0,
			`{"context":{"session_id":"` + id + `"}}`: 20, `{"status":"done","context":{"session_id":"` + id + `"}}`: 10, `{"context":{"session_id":"x"}}`: 0,
		} {
			if keys := all(filters, 7); len(keys) != want || !slices.IsSorted(keys) {
				t.Errorf("%s: %d states, want %d: %v", filters, len(keys), want, keys)
			}
		}
		for _, filters := range []string{`{"context":7}`, `[1]`, `{"context":{"session_id":7}}`} {
			if err := errOf(p.List(t.Context(), Query{Type: "task", Filters: schemas.Object(filters)})); codeOf(err) != schemas.CodeInvalidArgument {
				t.Errorf("%s: %v", filters, err)
			}
		}
		for i := range 5 { // together larger than a page
			p.set(t, Ref{Type: "large", Key: fmt.Sprint(i)}, `"`+strings.Repeat("x", 30<<10)+`"`)
		}
		page, err := p.List(t.Context(), Query{Type: "large"})
		if err != nil || len(page.States) != 2 || page.NextCursor == "" {
			t.Errorf("a page of large ones: %d, %q, %v", len(page.States), page.NextCursor, err)
		}
	})
}

// What is there all the time is listed exactly once, whatever is written, deleted and created meanwhile.
func TestListsAreStableWhileWritersWrite(t *testing.T) {
	for _, on := range recordstest.Stores {
		t.Run(on.Name, func(t *testing.T) { listsAreStable(t, on.Open(t)()) })
	}
}

func listsAreStable(t *testing.T, s store.Store) {
	p := open(s, Rules{})
	for i := range 100 {
		p.set(t, Ref{Type: "t", Key: fmt.Sprintf("k%03d", i*2)}, `0`)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := g; ctx.Err() == nil; i = (i + 7) % 100 {
				p.set(t, Ref{Type: "t", Key: fmt.Sprintf("k%03d", i*2)}, fmt.Sprint(i))
				odd := Ref{Type: "t", Key: fmt.Sprintf("k%03d", i*2+1)}
				p.set(t, odd, `1`)
				if i%2 == 0 {
					if _, err := p.Delete(t.Context(), odd, nil); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for range 20 {
		seen := map[string]int{}
		for q := (Query{Type: "t", Limit: 9}); ; {
			page, err := p.List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, st := range page.States {
				seen[st.StateKey]++
			}
			if q.Cursor = page.NextCursor; q.Cursor == "" {
				break
			}
		}
		for i := range 100 {
			if key := fmt.Sprintf("k%03d", i*2); seen[key] != 1 {
				t.Errorf("%s was listed %d times", key, seen[key])
			}
		}
		for key, n := range seen {
			if n > 1 {
				t.Errorf("%s was listed %d times", key, n)
			}
		}
	}
	stop()
	wg.Wait()
}
