package schemas

import "time"

// The types of state that are live views of other records. Agents choose any other type freely.
const (
	StateSession   = "session"
	StateWorkflow  = "workflow"
	StateExecution = "execution"
)

// State is a value that agents share under a type and a key.
type State struct {
	Found     bool       `json:"found"`
	StateKey  string     `json:"state_key"`
	StateType string     `json:"state_type"`
	StateData Value      `json:"state_data,omitempty"`
	Context   Object     `json:"context,omitempty"`
	Version   int64      `json:"version" jsonschema:"description=expected_version of the next write; 0: it does not exist"`
	UpdatedAt *time.Time `json:"updated_at,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`

	More *Ref `json:"more,omitempty" jsonschema:"description=where all of it is read\\, if parts are left out"`
}

// StateWritten is the result of set_state.
type StateWritten struct {
	StateKey  string     `json:"state_key"`
	StateType string     `json:"state_type"`
	Version   int64      `json:"version"`
	UpdatedAt time.Time  `json:"updated_at"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// StateDeleted is the result of delete_state.
type StateDeleted struct {
	Deleted bool `json:"deleted" jsonschema:"description=false: it did not exist"`
}

// StateList is one page of states of one type, by key.
type StateList struct {
	States     []State `json:"states"`
	NextCursor string  `json:"next_cursor,omitempty"`
}
