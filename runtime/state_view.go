package runtime

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// stateView is a type of state that shows other records, live. Looking at a session through it does not count as naming it.
type stateView struct {
	remedy string // which tools change what is shown
	kind   string // of the records
	get    func(ctx context.Context, r *Runtime, key string) (schemas.State, error)
	read   func(ctx context.Context, r *Runtime, rec store.Record) (schemas.State, bool, error)
	set    func(ctx context.Context, r *Runtime, w StateWrite) (schemas.StateWritten, error)
}

// Which tools change what a view shows.
const (
	changesExecution = "cancel_execution, suspend_execution, resume_execution and signal_execution change an execution"
	changesWorkflow  = "create_workflow makes the next version of a workflow and delete_workflow removes it"
)

// stateViews are the coordinated types. A session shows as its data, an execution as get_execution_status has it.
var stateViews = map[string]stateView{
	schemas.StateSession: {
		remedy: "delete_session ends a session; update_session changes it", kind: kindSession,
		get: func(ctx context.Context, r *Runtime, key string) (schemas.State, error) {
			s, err := r.ownSession(ctx, key)
			if err != nil {
				return schemas.State{}, err
			}
			return r.sessionState(&s)
		},
		read: func(_ context.Context, r *Runtime, rec store.Record) (schemas.State, bool, error) {
			s, err := r.decodeSession(rec)
			if err != nil {
				return schemas.State{}, false, err
			}
			v, err := r.sessionState(&s)
			return v, true, err
		},
		set: setSessionState,
	},
	schemas.StateExecution: {
		remedy: changesExecution, kind: kindExecution,
		get: func(ctx context.Context, r *Runtime, key string) (schemas.State, error) {
			h, err := r.headFor(ctx, key)
			if err != nil {
				return schemas.State{}, err
			}
			return executionState(&h)
		},
		read: func(ctx context.Context, _ *Runtime, rec store.Record) (schemas.State, bool, error) {
			var h head
			if err := json.Unmarshal(rec.Value, &h); err != nil {
				return schemas.State{}, false, err
			}
			h.Output = nil
			v, err := executionState(&h)
			return v, h.Principal == caller.From(ctx).Principal, err
		},
		set: setReadOnly(changesExecution),
	},
	schemas.StateWorkflow: {
		remedy: changesWorkflow, kind: kindWorkflow,
		get: func(ctx context.Context, r *Runtime, key string) (schemas.State, error) {
			w, err := r.livingWorkflow(ctx, key)
			if err != nil {
				return schemas.State{}, err
			}
			return workflowState(&w)
		},
		read: func(_ context.Context, _ *Runtime, rec store.Record) (schemas.State, bool, error) {
			w, err := decodeWorkflow(rec)
			if err != nil || w.Deleted {
				return schemas.State{}, false, err
			}
			v, err := workflowState(&w)
			return v, true, err
		},
		set: setReadOnly(changesWorkflow),
	},
}

func workflowState(w *workflowRecord) (schemas.State, error) {
	data, err := schemas.Encode(w.info())
	if err != nil {
		return schemas.State{}, fmt.Errorf("encode workflow: %w", err)
	}
	return schemas.State{
		Found: true, StateType: schemas.StateWorkflow, StateKey: w.Name, StateData: data, Version: w.Version, UpdatedAt: &w.UpdatedAt,
	}, nil
}

func readOnly(ref StateRef, remedy string) *schemas.Error {
	return schemas.Errorf(schemas.CodeReadOnly, "states of type %q show what the runtime does: %s", ref.Type, remedy).WithField("state_type").
		WithHint("%s; states of any other type are free", remedy)
}

func setReadOnly(remedy string) func(context.Context, *Runtime, StateWrite) (schemas.StateWritten, error) {
	return func(_ context.Context, _ *Runtime, w StateWrite) (schemas.StateWritten, error) {
		return schemas.StateWritten{}, readOnly(w.StateRef, remedy)
	}
}

func (r *Runtime) sessionState(s *session) (schemas.State, error) {
	v := s.view(records.Now(), r.sessions)
	about, err := schemas.Encode(map[string]string{"session_id": v.SessionID, "agent_id": v.AgentID, "status": string(v.Status)})
	if err != nil {
		return schemas.State{}, fmt.Errorf("encode session: %w", err)
	}
	return schemas.State{
		Found: true, StateType: schemas.StateSession, StateKey: v.SessionID, StateData: records.OrElse(schemas.Value(v.Data), "{}"), Context: about,
		Version: v.Version, ExpiresAt: &v.ExpiresAt,
	}, nil
}

func executionState(h *head) (schemas.State, error) {
	data, err := schemas.Encode(withHint(h.Execution))
	if err != nil {
		return schemas.State{}, fmt.Errorf("encode execution: %w", err)
	}
	about, err := schemas.Encode(map[string]string{"session_id": h.SessionID, "status": string(h.Status)})
	if err != nil {
		return schemas.State{}, fmt.Errorf("encode execution: %w", err)
	}
	return schemas.State{
		Found: true, StateType: schemas.StateExecution, StateKey: h.ExecutionID, StateData: data, Context: about, Version: h.Seq,
	}, nil
}

// setSessionState replaces the data of a session.
func setSessionState(ctx context.Context, r *Runtime, w StateWrite) (schemas.StateWritten, error) {
	var data schemas.Object
	if err := data.UnmarshalJSON(w.Data); err != nil {
		return schemas.StateWritten{}, schemas.Errorf(schemas.CodeInvalidArgument, "the data of a session is a JSON object, got %.40s", w.Data).WithField("state_data")
	}
	for field, given := range map[string]bool{"context": len(w.Context) > 0, "ttl_seconds": w.TTL != 0} {
		if given {
			return schemas.StateWritten{}, schemas.Errorf(schemas.CodeInvalidArgument, "a session has no %s here", field).WithField(field).
				WithHint("leave it out; update_session changes how long a session lives")
		}
	}
	s, err := r.changeSession(ctx, w.Key, w.Expected, func(s *session) error {
		s.Data = data
		return r.apply(s, schemas.SessionUpdates{})
	})
	return schemas.StateWritten{StateType: w.Type, StateKey: w.Key, Version: s.Version, UpdatedAt: s.LastSeenAt, ExpiresAt: &s.ExpiresAt}, err
}
