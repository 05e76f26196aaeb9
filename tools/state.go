package tools

import (
	"context"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/schemas"
)

type stateRef struct {
	StateKey  string `json:"state_key" jsonschema:"minLength=1,maxLength=512"`
	StateType string `json:"state_type" jsonschema:"minLength=1,maxLength=128"`
}

func (s stateRef) with(about schemas.Object) state.Ref {
	return state.Ref{Type: s.StateType, Key: s.StateKey, Context: about}
}

type getState struct {
	stateRef
	Context schemas.Object `json:"context,omitempty" jsonschema:"description=that it must have been written with"`
}

type setState struct {
	stateRef
	StateData       schemas.Value  `json:"state_data" jsonschema:"description=JSON; text stays text unless format is json"`
	Format          string         `json:"format,omitempty" jsonschema:"enum=json"`
	Context         schemas.Object `json:"context,omitempty" jsonschema:"description=filterable; with session_id the state ends with that session"`
	ExpectedVersion *int64         `json:"expected_version,omitempty" jsonschema:"minimum=0,description=0: it must not exist"`
	TTLSeconds      float64        `json:"ttl_seconds,omitempty" jsonschema:"exclusiveMinimum=0,maximum=31536000,description=default: never expires"`
}

type deleteState struct {
	stateRef
	Context         schemas.Object `json:"context,omitempty" jsonschema:"description=that it must have been written with"`
	ExpectedVersion *int64         `json:"expected_version,omitempty" jsonschema:"minimum=0"`
}

type listStates struct {
	StateType string         `json:"state_type" jsonschema:"minLength=1,maxLength=128"`
	Filters   schemas.Object `json:"filters,omitempty" jsonschema:"description=members of state_data; context: of the context"`
	Limit     int            `json:"limit,omitempty" jsonschema:"minimum=1,maximum=100,description=default 20"`
	Cursor    string         `json:"cursor,omitempty"`
}

// State is the contract State.
func State() []Method {
	const contract = "State"
	return []Method{
		method(contract, "get_state", "Read a shared state", Reads,
			`Reads the value stored under a type and a key, with the version that a later set_state can expect. found is false if there is `+
				`none. Types session, workflow and execution show those records live.`,
			func(ctx context.Context, rt *runtime.Runtime, in getState, _ Request) (schemas.State, error) {
				return brief(rt.States.Get(ctx, in.with(in.Context)))
			}),
		method(contract, "set_state", "Write a shared state", Sets,
			`Writes a value that all your agents can read. With expected_version one of several writers wins, and the others get conflict; `+
				`with 0 there and ttl_seconds it is a lock that expires by itself. Type session replaces the session's data; workflow and execution are read-only.`,
			func(ctx context.Context, rt *runtime.Runtime, in setState, _ Request) (schemas.StateWritten, error) {
				data, err := fromText("state_data", in.StateData, in.Format)
				if err != nil {
					return schemas.StateWritten{}, err
				}
				return rt.States.Set(ctx, state.Write{
					Ref: in.with(in.Context), Data: data, Expected: in.ExpectedVersion, TTL: duration(in.TTLSeconds),
				})
			}),
		method(contract, "delete_state", "Delete a shared state", Destroys,
			`Deletes the value under a type and a key for good; deleted is false if there was none.`,
			func(ctx context.Context, rt *runtime.Runtime, in deleteState, _ Request) (schemas.StateDeleted, error) {
				return rt.States.Delete(ctx, in.with(in.Context), in.ExpectedVersion)
			}),
		method(contract, "list_states", "List shared states", Reads,
			`Lists the states of one type with their data, by key: `+
				`{"state_type":"task","filters":{"status":"open","context":{"session_id":"…"}}}. A page may be short; continue while there is a `+
				`next_cursor.`,
			func(ctx context.Context, rt *runtime.Runtime, in listStates, _ Request) (schemas.StateList, error) {
				return rt.States.List(ctx, state.Query{Type: in.StateType, Filters: in.Filters, Limit: orBrief(in.Limit), Cursor: in.Cursor})
			}),
	}
}
