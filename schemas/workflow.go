package schemas

import "time"

// WorkflowRef says which version of a workflow was made, or is there already.
type WorkflowRef struct {
	WorkflowID string `json:"workflow_id" jsonschema:"description=the name; name@version means that version"`
	Name       string `json:"name"`
	Version    int64  `json:"version"`
	Tool       string `json:"tool,omitempty" jsonschema:"description=it is published as this tool"`

	NextFiring *time.Time `json:"next_firing,omitempty" jsonschema:"description=when its schedule executes it next"`
}

// WorkflowInfo is a workflow as lists show it.
type WorkflowInfo struct {
	WorkflowRef
	Description string    `json:"description,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at" jsonschema:"description=when the latest version was made"`

	Schedule *ScheduleStatus `json:"schedule,omitempty" jsonschema:"description=when it is executed by itself; absent: never"`
}

// WorkflowStatus is a workflow with what was executed of it.
type WorkflowStatus struct {
	WorkflowInfo
	InputSchema Object         `json:"input_schema,omitempty"`
	Versions    []int64        `json:"versions"`
	Executions  map[Status]int `json:"executions" jsonschema:"description=how many by status"`
	Latest      []Execution    `json:"latest" jsonschema:"description=the newest executions"`
}

// WorkflowList is one page of workflows, by name.
type WorkflowList struct {
	Workflows  []WorkflowInfo `json:"workflows"`
	NextCursor string         `json:"next_cursor,omitempty"`
}

// WorkflowDeleted is what delete_workflow answers.
type WorkflowDeleted struct {
	Deleted bool `json:"deleted"`
}

// Hints are what MCP's four tool annotations say of what a call may do.
type Hints struct {
	ReadOnly    bool `json:"read_only"`
	Destructive bool `json:"destructive"`
	Idempotent  bool `json:"idempotent"`
	OpenWorld   bool `json:"open_world"`
}
