package runtime

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/runtime/workflow"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// views returns the types of state that show other records, live: a session as its data, an execution as get_execution_status shows it, a
// workflow as list_workflows shows it. Reading a session through its view does not renew its expiry.
func (r *Runtime) views() map[string]state.View {
	return map[string]state.View{
		schemas.StateSession: {
			Remedy: "delete_session ends a session; update_session changes it",
			Query:  session.OfCaller,
			Key:    func(_ context.Context, key string) store.Key { return session.Key(key) },
			Get: func(ctx context.Context, key string) (schemas.State, error) {
				s, err := r.Sessions.Peek(ctx, key)
				if err != nil {
					return schemas.State{}, err
				}
				return sessionState(s)
			},
			Read: func(_ context.Context, rec store.Record) (schemas.State, bool, error) {
				s, err := r.Sessions.Decode(rec)
				if err != nil {
					return schemas.State{}, false, err
				}
				v, err := sessionState(s)
				return v, true, err
			},
			Set: r.setSessionState,
		},
		schemas.StateExecution: {
			Remedy: "cancel_execution, suspend_execution, resume_execution and signal_execution change an execution",
			Query: func(ctx context.Context) store.Query {
				return store.Query{Kind: journal.KindExecution, Term: records.TermPrincipal(caller.From(ctx).Principal), Reverse: true}
			},
			Key: func(_ context.Context, key string) store.Key { return journal.ExecutionKey(key) },
			Get: func(ctx context.Context, key string) (schemas.State, error) {
				h, err := r.journal.HeadFor(ctx, key)
				if err != nil {
					return schemas.State{}, err
				}
				return executionState(&h)
			},
			Read: func(ctx context.Context, rec store.Record) (schemas.State, bool, error) {
				var h journal.Head
				if err := json.Unmarshal(rec.Value, &h); err != nil {
					return schemas.State{}, false, err
				}
				h.Output = nil
				v, err := executionState(&h)
				return v, h.Principal == caller.From(ctx).Principal, err
			},
		},
		schemas.StateWorkflow: {
			Remedy: "create_workflow makes the next version of a workflow and delete_workflow removes it",
			Query:  workflow.OfCaller,
			Key:    func(ctx context.Context, key string) store.Key { return workflow.Key(caller.From(ctx).Principal, key) },
			Get: func(ctx context.Context, key string) (schemas.State, error) {
				w, err := r.Workflows.Get(ctx, key)
				if err != nil {
					return schemas.State{}, err
				}
				return workflowState(&w)
			},
			Read: func(_ context.Context, rec store.Record) (schemas.State, bool, error) {
				w, ok, err := workflow.Decode(rec)
				if !ok {
					return schemas.State{}, false, err
				}
				v, err := workflowState(&w)
				return v, true, err
			},
		},
	}
}

func workflowState(w *schemas.WorkflowInfo) (schemas.State, error) {
	data, err := schemas.Encode(w)
	if err != nil {
		return schemas.State{}, fmt.Errorf("encode workflow: %w", err)
	}
	return schemas.State{
		Found: true, StateType: schemas.StateWorkflow, StateKey: w.Name, StateData: data, Version: w.Version, UpdatedAt: &w.UpdatedAt,
	}, nil
}

func sessionState(s schemas.Session) (schemas.State, error) {
	about, err := schemas.Encode(map[string]string{"session_id": s.SessionID, "agent_id": s.AgentID, "status": string(s.Status)})
	if err != nil {
		return schemas.State{}, fmt.Errorf("encode session: %w", err)
	}
	return schemas.State{
		Found: true, StateType: schemas.StateSession, StateKey: s.SessionID, StateData: records.OrElse(schemas.Value(s.Data), "{}"),
		Context: about, Version: s.Version, ExpiresAt: &s.ExpiresAt,
	}, nil
}

func executionState(h *journal.Head) (schemas.State, error) {
	data, err := schemas.Encode(journal.WithHint(h.Execution))
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
func (r *Runtime) setSessionState(ctx context.Context, w state.Write) (schemas.StateWritten, error) {
	var data schemas.Object
	if err := data.UnmarshalJSON(w.Data); err != nil {
		return schemas.StateWritten{}, schemas.Errorf(schemas.CodeInvalidArgument, "the data of a session is a JSON object, got %.40s", w.Data).
			WithField("state_data")
	}
	for field, given := range map[string]bool{"context": len(w.Context) > 0, "ttl_seconds": w.TTL != 0} {
		if given {
			return schemas.StateWritten{}, schemas.Errorf(schemas.CodeInvalidArgument, "a state of type session takes no %s", field).WithField(field).
				WithHint("leave it out; update_session changes when a session expires")
		}
	}
	s, err := r.Sessions.SetData(ctx, w.Key, data, w.Expected)
	return schemas.StateWritten{StateType: w.Type, StateKey: w.Key, Version: s.Version, UpdatedAt: s.LastSeenAt, ExpiresAt: &s.ExpiresAt}, err
}
