package schemas

import "time"

// WorkflowRef names a version of a workflow: the new one, or the existing one with the same definition.
type WorkflowRef struct {
	WorkflowID string `json:"workflow_id" jsonschema:"description=the name; name@version selects a version"`
	Name       string `json:"name"`
	Version    int64  `json:"version"`
	Tool       string `json:"tool,omitempty" jsonschema:"description=the tool that it is published as"`

	NextFiring *time.Time `json:"next_firing,omitempty" jsonschema:"description=next time its schedule executes it"`
}

// WorkflowInfo is a workflow in a list.
type WorkflowInfo struct {
	WorkflowRef
	Description string    `json:"description,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at" jsonschema:"description=when the latest version was created"`

	Schedule *ScheduleStatus `json:"schedule,omitempty" jsonschema:"description=when it is executed automatically"`

	More *Ref `json:"more,omitempty" jsonschema:"description=where all of it is read\\, if parts are left out"`
}

// WorkflowStatus is a workflow with its executions.
type WorkflowStatus struct {
	WorkflowInfo
	InputSchema Object         `json:"input_schema,omitempty"`
	Versions    []int64        `json:"versions"`
	Executions  map[Status]int `json:"executions" jsonschema:"description=number by status"`
	Latest      []Execution    `json:"latest" jsonschema:"description=the newest executions"`
}

// WorkflowList is one page of workflows, by name.
type WorkflowList struct {
	Workflows  []WorkflowInfo `json:"workflows"`
	NextCursor string         `json:"next_cursor,omitempty"`
}

// WorkflowDeleted is the result of delete_workflow.
type WorkflowDeleted struct {
	Deleted bool `json:"deleted"`
}

// Hints are MCP's four tool annotations: what a call may do.
type Hints struct {
	ReadOnly    bool `json:"read_only"`
	Destructive bool `json:"destructive"`
	Idempotent  bool `json:"idempotent"`
	OpenWorld   bool `json:"open_world"`
}
