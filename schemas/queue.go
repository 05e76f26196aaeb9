package schemas

import "time"

// QueueStatus is the state of the queue of executions that wait for a worker.
type QueueStatus struct {
	Depth            int            `json:"depth" jsonschema:"description=executions that wait and could run now"`
	DepthByPriority  map[string]int `json:"depth_by_priority" jsonschema:"description=1 to 5; 1 is claimed most often"`
	OldestAgeSeconds float64        `json:"oldest_age_seconds" jsonschema:"description=longest wait of an execution in the queue"`
	InFlight         int            `json:"in_flight" jsonschema:"description=executions in this replica's memory"`
	Leased           int            `json:"leased" jsonschema:"description=executions in the memory of any replica"`
	Sleeping         int            `json:"sleeping" jsonschema:"description=executions that wait for a timer"`
	Capacity         int            `json:"capacity" jsonschema:"description=executions that this replica runs at once"`
	MaxQueued        int            `json:"max_queued" jsonschema:"description=new executions are refused when this many wait"`
	Paused           *QueuePause    `json:"paused,omitempty" jsonschema:"description=nothing is claimed until resume_queue"`
}

// QueuePause says who paused the queue, when and why.
type QueuePause struct {
	By     string    `json:"by"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason,omitempty"`
}
