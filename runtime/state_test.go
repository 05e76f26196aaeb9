package runtime

import (
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

func (p *process) set(t *testing.T, ref state.Ref, data string, expected *int64) int64 {
	t.Helper()
	out, err := p.States.Set(t.Context(), state.Write{Ref: ref, Data: schemas.Value(data), Expected: expected})
	if err != nil {
		t.Fatalf("set %v: %v", ref, err)
	}
	return out.Version
}

func (p *process) get(t *testing.T, ref state.Ref) schemas.State {
	t.Helper()
	s, err := p.States.Get(t.Context(), ref)
	if err != nil {
		t.Fatalf("get %v: %v", ref, err)
	}
	return s
}

func TestStateViews(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		se := p.createSession(t, schemas.SessionUpdates{Data: schemas.Object(`{"a":1}`), AgentID: new("ada")})
		e, err := p.Executions.Execute(t.Context(), engine.Submit{SessionID: se.SessionID, Plan: []byte(`{"plan":"v1","name":"n","nodes":[{"id":"a","set":1}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		p.rest(t, e.ExecutionID)

		ref := state.Ref{Type: "session", Key: se.SessionID}
		st := p.get(t, ref)
		if string(st.StateData) != `{"a":1}` || st.Version != 1 || !strings.Contains(string(st.Context), `"agent_id":"ada"`) {
			t.Errorf("session: %s %s %d", st.StateData, st.Context, st.Version)
		}
		if v := p.set(t, ref, `{"b":null}`, &st.Version); v != 2 {
			t.Errorf("version %d", v)
		}
		if now, err := p.Sessions.Get(t.Context(), se.SessionID); err != nil || string(now.Data) != `{"b":null}` {
			t.Errorf("replaced: %s, %v", now.Data, err)
		}
		run := state.Ref{Type: "execution", Key: e.ExecutionID}
		if st = p.get(t, run); !strings.Contains(string(st.StateData), `"status":"succeeded"`) || !strings.Contains(string(st.Context), se.SessionID) {
			t.Errorf("execution: %s %s", st.StateData, st.Context)
		}
		for kind, filters := range map[string]string{
			"session": `{"context":{"agent_id":"ada","status":"active"}}`, "execution": `{"status":"succeeded","name":"n","context":{"session_id":"` + se.SessionID + `"}}`,
		} {
			for f, want := range map[string]int{``: 1, filters: 1, `{"status":"nonsense"}`: 0} {
				if page, err := p.States.List(t.Context(), state.Query{Type: kind, Filters: schemas.Object(f)}); err != nil || len(page.States) != want {
					t.Errorf("list %s %s: %d, %v, want %d", kind, f, len(page.States), err, want)
				}
				if page, err := p.States.List(as(t, "other"), state.Query{Type: kind, Filters: schemas.Object(f)}); err != nil || len(page.States) != 0 {
					t.Errorf("another principal's list %s: %+v, %v", kind, page, err)
				}
			}
		}
		for _, ref := range []state.Ref{ref, run, {Type: "session", Key: "none"}, {Type: "execution", Key: "none"}} {
			if st, err := p.States.Get(as(t, "other"), ref); err != nil || st.Found {
				t.Errorf("another principal's %v: %+v, %v", ref, st, err)
			}
		}
		write := func(ref state.Ref, data string, edit func(*state.Write)) error {
			w := state.Write{Ref: ref, Data: schemas.Value(data)}
			if edit != nil {
				edit(&w)
			}
			return errOf(p.States.Set(t.Context(), w))
		}
		for name, tt := range map[string]struct {
			err   error
			code  schemas.Code
			names string
		}{
			"write an execution":       {write(run, `{}`, nil), schemas.CodeReadOnly, "cancel_execution"},
			"delete an execution":      {errOf(p.States.Delete(t.Context(), run, nil)), schemas.CodeReadOnly, "cancel_execution"},
			"delete a session":         {errOf(p.States.Delete(t.Context(), ref, nil)), schemas.CodeReadOnly, "delete_session"},
			"a session that is a list": {write(ref, `[1]`, nil), schemas.CodeInvalidArgument, "object"},
			"a session with a TTL":     {write(ref, `{}`, func(w *state.Write) { w.TTL = time.Second }), schemas.CodeInvalidArgument, "update_session"},
			"a session in a context":   {write(ref, `{}`, func(w *state.Write) { w.Context = schemas.Object(`{"a":1}`) }), schemas.CodeInvalidArgument, "context"},
			"an old version":           {write(ref, `{}`, func(w *state.Write) { w.Expected = new(int64(1)) }), schemas.CodeConflict, "get_session"},
			"no such session":          {write(state.Ref{Type: "session", Key: "x"}, `{}`, nil), schemas.CodeNotFound, "create_session"},
		} {
			if codeOf(tt.err) != tt.code || !strings.Contains(tt.err.Error(), tt.names) {
				t.Errorf("%s: %v, want %s naming %s", name, tt.err, tt.code, tt.names)
			}
		}
	})
}
