package schemas

import "time"

// Status of an execution. Package runtime/machine documents the transitions.
type Status string

const (
	// StatusPending: accepted and durable, not yet claimed by a worker.
	StatusPending Status = "pending"
	// StatusRunning: a worker owns it, or it waits for a timer or a decision (see Execution.Waiting).
	StatusRunning Status = "running"
	// StatusSuspending: no new call starts; those in flight finish first.
	StatusSuspending Status = "suspending"
	// StatusSuspended: nothing runs until resume_execution.
	StatusSuspended Status = "suspended"
	// StatusCancelling: calls in flight were cancelled and have a grace period.
	StatusCancelling Status = "cancelling"
	// StatusCompensating: succeeded nodes are being undone.
	StatusCompensating Status = "compensating"
	// StatusSucceeded is final: every node ended as the plan allows.
	StatusSucceeded Status = "succeeded"
	// StatusFailed is final: a node failed for good.
	StatusFailed Status = "failed"
	// StatusCancelled is final: a caller cancelled it.
	StatusCancelled Status = "cancelled"
	// StatusTimedOut is final: the plan's timeout passed.
	StatusTimedOut Status = "timed_out"
	// StatusHalted is final: an operator's halt stopped it.
	StatusHalted Status = "halted"
)

// Statuses lists every execution status in the order of an execution's life.
func Statuses() []Status {
	return []Status{
		StatusPending, StatusRunning, StatusSuspending, StatusSuspended, StatusCancelling, StatusCompensating,
		StatusSucceeded, StatusFailed, StatusCancelled, StatusTimedOut, StatusHalted,
	}
}

// Terminal reports whether the status never changes again.
func (s Status) Terminal() bool {
	switch s {
	case StatusSucceeded, StatusFailed, StatusCancelled, StatusTimedOut, StatusHalted:
		return true
	}
	return false
}

// NodeStatus is the status of one node of an execution.
type NodeStatus string

const (
	// NodePending: a dependency has not ended yet.
	NodePending NodeStatus = "pending"
	// NodeReady: starts as soon as the limits allow.
	NodeReady NodeStatus = "ready"
	// NodeRunning: an attempt is in flight, or a timer runs.
	NodeRunning NodeStatus = "running"
	// NodeBackingOff: an attempt failed and the next one is due later, or the next round of a node with repeat is.
	NodeBackingOff NodeStatus = "backing_off"
	// NodeHeld: waits for a decision; waiting_for says for which.
	NodeHeld NodeStatus = "held"
	// NodeSucceeded: its output is committed and never changes.
	NodeSucceeded NodeStatus = "succeeded"
	// NodeFailed: no further attempt is allowed.
	NodeFailed NodeStatus = "failed"
	// NodeSkipped: its condition was false or its trigger rule could not hold.
	NodeSkipped NodeStatus = "skipped"
	// NodeCancelled: the execution ended before the node did.
	NodeCancelled NodeStatus = "cancelled"
	// NodeCompensating: it had succeeded and is being undone.
	NodeCompensating NodeStatus = "compensating"
	// NodeCompensated: it had succeeded and was undone.
	NodeCompensated NodeStatus = "compensated"
)

// NodeStatuses lists every node status in the order of a node's life.
func NodeStatuses() []NodeStatus {
	return []NodeStatus{
		NodePending, NodeReady, NodeRunning, NodeBackingOff, NodeHeld,
		NodeSucceeded, NodeFailed, NodeSkipped, NodeCancelled, NodeCompensating, NodeCompensated,
	}
}

// Ended reports whether the node does not run again unless it is patched.
func (s NodeStatus) Ended() bool {
	switch s {
	case NodeSucceeded, NodeFailed, NodeSkipped, NodeCancelled, NodeCompensating, NodeCompensated:
		return true
	}
	return false
}

// View selects how much of an execution is returned.
type View string

const (
	// ViewSummary returns no nodes.
	ViewSummary View = "summary"
	// ViewNodes returns every node.
	ViewNodes View = "nodes"
	// ViewFailures returns the failed and held nodes.
	ViewFailures View = "failures"
)

// Execution is one run of a plan as callers see it.
type Execution struct {
	ExecutionID string       `json:"execution_id"`
	Name        string       `json:"name,omitempty"`
	Status      Status       `json:"status"`
	Waiting     bool         `json:"waiting,omitempty" jsonschema:"description=nothing can run until a timer\\, an event or a decision"`
	Reason      string       `json:"reason,omitempty" jsonschema:"description=why it is suspended or cancelled"`
	CreatedAt   time.Time    `json:"created_at"`
	StartedAt   *time.Time   `json:"started_at,omitempty"`
	FinishedAt  *time.Time   `json:"finished_at,omitempty"`
	Priority    int          `json:"priority"`
	SessionID   string       `json:"session_id,omitempty"`
	RerunOf     string       `json:"rerun_of,omitempty"`
	Workflow    string       `json:"workflow,omitempty" jsonschema:"description=name@version that it executes"`
	ScheduledAt *time.Time   `json:"scheduled_at,omitempty" jsonschema:"description=firing of its workflow's schedule that started it"`
	ParentID    string       `json:"parent_id,omitempty" jsonschema:"description=execution whose workflow node this one runs"`
	Progress    Progress     `json:"progress"`
	Output      Value        `json:"output,omitempty" jsonschema:"description=present when the execution has succeeded"`
	OutputRef   *OutputRef   `json:"output_ref,omitempty" jsonschema:"description=instead of an output too large to show"`
	Degraded    bool         `json:"degraded,omitempty"`
	Error       *Error       `json:"error,omitempty"`
	WaitingFor  []WaitingFor `json:"waiting_for,omitempty"`
	Nodes       []NodeView   `json:"nodes,omitempty"`
	Earlier     bool         `json:"earlier,omitempty" jsonschema:"description=the idempotency key was used before: this is the execution of that time\\, and nothing was started now"`
	Hint        string       `json:"hint,omitempty" jsonschema:"description=what to call next"`

	WaitedSeconds float64 `json:"waited_seconds,omitempty" jsonschema:"description=how long this answer has waited"`

	More *Ref `json:"more,omitempty" jsonschema:"description=where all of it is read\\, if parts are left out"`
}

// Progress counts the nodes of an execution.
type Progress struct {
	Total     int `json:"total"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Skipped   int `json:"skipped"`
	Running   int `json:"running"`
	Waiting   int `json:"waiting" jsonschema:"description=held or backing off or waiting for a timer"`
}

// Reasons why a node waits.
const (
	ReasonReview  = "review"
	ReasonUnknown = "unknown"
	ReasonError   = "error"
	ReasonDrift   = "drift"
	ReasonEvent   = "event"
	ReasonState   = "state"
	ReasonTimer   = "timer"
	ReasonBudget  = "budget"

	ReasonWorkflow = "workflow"

	ReasonRecovery = "recovery" // the whole execution: a process died while it evaluated it
	ReasonQueue    = "queue"    // the whole execution waits: the queue is paused
)

// WaitingFor is one thing an execution waits for.
type WaitingFor struct {
	NodeID    string     `json:"node_id,omitempty" jsonschema:"description=absent if the whole execution waits: for the paused queue"`
	Item      *int       `json:"item,omitempty"`
	Reason    string     `json:"reason" jsonschema:"enum=review,enum=unknown,enum=error,enum=drift,enum=event,enum=state,enum=timer,enum=budget,enum=workflow,enum=queue,enum=recovery"`
	ReviewID  string     `json:"review_id,omitempty"`
	Question  string     `json:"question,omitempty" jsonschema:"description=what the review asks"`
	Choices   []string   `json:"choices,omitempty" jsonschema:"description=of which an approval names one"`
	Schema    Object     `json:"schema,omitempty" jsonschema:"description=of the data that an approval gives"`
	Hidden    bool       `json:"hidden_characters,omitempty" jsonschema:"description=the question has characters that a person does not see; they are shown as escapes"`
	EventName string     `json:"event_name,omitempty" jsonschema:"description=what signal_execution has to send"`
	State     *StateName `json:"state,omitempty" jsonschema:"description=what set_state has to set"`
	Child     string     `json:"execution_id,omitempty" jsonschema:"description=the execution that runs the workflow"`
	Since     time.Time  `json:"since"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`

	MayRunUntil *time.Time `json:"may_still_run_until,omitempty" jsonschema:"description=until when the call of unknown outcome may still run; a retry before needs force"`
	Rounds      int        `json:"rounds,omitempty" jsonschema:"description=that a node with repeat has made"`

	Limit *ReachedLimit `json:"limit,omitempty" jsonschema:"description=of the plan: the whole execution has reached it"`
}

// NodeView is one node of an execution as callers see it.
type NodeView struct {
	ID         string     `json:"id"`
	Status     NodeStatus `json:"status"`
	Capability string     `json:"capability,omitempty"`
	Attempts   int        `json:"attempts"`
	DurationMS float64    `json:"duration_ms,omitempty" jsonschema:"description=from first start to end"`
	Error      *Error     `json:"error,omitempty"`
	Degraded   bool       `json:"degraded,omitempty"`
	ServedBy   string     `json:"served_by,omitempty"`
	AgeSeconds float64    `json:"age_seconds,omitempty" jsonschema:"description=of a cached answer"`
	Notes      []string   `json:"notes,omitempty" jsonschema:"description=what was repaired in the realm's answer"`
	Output     Value      `json:"output,omitempty"`
	OutputRef  *OutputRef `json:"output_ref,omitempty" jsonschema:"description=instead of an output over 8 KiB; read it with get_node_output"`
	ContentRef *OutputRef `json:"content_ref,omitempty" jsonschema:"description=the answer had other content blocks too; read them with get_node_output and part: content"`
	Items      *Items     `json:"items,omitempty" jsonschema:"description=of a node with for_each"`
	Child      string     `json:"execution_id,omitempty" jsonschema:"description=the execution that runs a workflow node"`
	Rounds     int        `json:"rounds,omitempty" jsonschema:"description=that a node with repeat has made"`
	NextAt     *time.Time `json:"next_at,omitempty" jsonschema:"description=when its next round is due"`

	SameError []string `json:"same_error,omitempty" jsonschema:"description=other nodes that ended with this error"`
	MoreSame  int      `json:"more_same_error,omitempty" jsonschema:"description=how many of them are left out"`
}

// Items counts the items of a for_each node and lists the errors of the first that failed.
type Items struct {
	Total     int         `json:"total"`
	Succeeded int         `json:"succeeded"`
	Failed    int         `json:"failed"`
	Running   int         `json:"running"`
	Errors    []ItemError `json:"errors,omitempty" jsonschema:"description=the first failed items"`
}

// MaxItemErrors is how many failed items a view lists.
const MaxItemErrors = 20

// ItemError is one failed item.
type ItemError struct {
	Item  int    `json:"item"`
	Error *Error `json:"error"`
}

// MaxViewOutput is the largest node output in bytes that a view shows; larger ones appear as an OutputRef.
const MaxViewOutput = 8 << 10

// MaxExecutionOutput is the largest output in bytes of a whole execution that is returned with it; a larger one appears as
// an OutputRef.
const MaxExecutionOutput = 32 << 10

// OutputRef replaces an output that is too large to show.
type OutputRef struct {
	NodeID string `json:"node_id,omitempty"`
	Bytes  int    `json:"bytes"`
}

// NodeOutput is a node's output or a part of it. Output holds a whole output that fits; Text holds a page of a larger one,
// the bytes offset to next_offset of its JSON.
type NodeOutput struct {
	ExecutionID string `json:"execution_id,omitempty"`
	NodeID      string `json:"node_id,omitempty"`
	Part        string `json:"part,omitempty" jsonschema:"description=content: output and text are its content blocks"`
	Ref         string `json:"ref,omitempty" jsonschema:"description=for the next page"`
	Output      Value  `json:"output,omitempty"`
	Text        string `json:"text,omitempty" jsonschema:"description=a page of the output's JSON text"`
	TotalBytes  int    `json:"total_bytes"`
	Offset      int    `json:"offset"`
	NextOffset  int    `json:"next_offset,omitempty" jsonschema:"description=absent on the last page"`
}

// ExecutionList is one page of executions, newest first.
type ExecutionList struct {
	Executions []Execution `json:"executions"`
	NextCursor string      `json:"next_cursor,omitempty"`
}

// ExecutionMetrics are the counts and times of one execution, computed from its events.
type ExecutionMetrics struct {
	ExecutionID string             `json:"execution_id"`
	Status      Status             `json:"status"`
	DurationMS  float64            `json:"duration_ms" jsonschema:"description=from creation to the end or now"`
	QueueMS     float64            `json:"queue_ms" jsonschema:"description=from creation to the first claim"`
	CallMS      float64            `json:"call_ms" jsonschema:"description=sum of all attempts"`
	Events      int64              `json:"events"`
	Attempts    int                `json:"attempts"`
	Retries     int                `json:"retries"`
	Recoveries  int                `json:"recoveries" jsonschema:"description=times another worker took over after a crash"`
	TurnedAway  map[Code]int       `json:"turned_away,omitempty" jsonschema:"description=calls that were refused and postponed; by code: circuit_open or rate_limited or quota_exceeded"`
	OutputBytes int64              `json:"output_bytes"`
	NodeCounts  map[NodeStatus]int `json:"node_counts"`
	Nodes       []NodeMetrics      `json:"nodes"`
	Used        Budget             `json:"used,omitzero" jsonschema:"description=by the execution and by those below it that have ended"`
	Limits      Budget             `json:"limits,omitzero" jsonschema:"description=of the execution and those below it together; of a child: granted so far"`

	PlanLimits *PlanLimits `json:"plan_limits,omitempty" jsonschema:"description=the plan's own limits as they are now"`
	PlanUsed   *PlanLimits `json:"plan_used,omitempty" jsonschema:"description=what counts against them"`

	More *Ref `json:"more,omitempty" jsonschema:"description=where all of it is read\\, if parts are left out"`
}

// NodeMetrics are the counts and times of one node.
type NodeMetrics struct {
	ID          string     `json:"id"`
	Status      NodeStatus `json:"status"`
	Capability  string     `json:"capability,omitempty"`
	Attempts    int        `json:"attempts"`
	CallMS      float64    `json:"call_ms" jsonschema:"description=sum of its attempts"`
	OutputBytes int64      `json:"output_bytes,omitempty"`
	Rounds      int        `json:"rounds,omitempty" jsonschema:"description=that a node with repeat has made"`

	TurnedAway map[Code]int `json:"turned_away,omitempty"`
}

// NodePatch is the decision about one held or failed node; exactly one field is given, beside which Force may stand.
type NodePatch struct {
	Inputs Object `json:"inputs,omitempty" jsonschema:"description=run again with these inputs"`
	Output Value  `json:"output,omitempty" jsonschema:"description=count as succeeded with this output"`
	Skip   bool   `json:"skip,omitempty" jsonschema:"description=skip the node"`
	Retry  bool   `json:"retry,omitempty" jsonschema:"description=run again unchanged"`
	Force  bool   `json:"force,omitempty" jsonschema:"description=even if the call may still run"`
}

// Patch holds the decisions that resume_execution applies before it resumes.
type Patch struct {
	Nodes  map[string]NodePatch `json:"nodes,omitempty" jsonschema:"description=by node id"`
	Limits Object               `json:"limits,omitempty"` // new values of the plan's limits, as in [PlanLimits]
}

// ReviewRequest is a question that waits for a person, with the exact call that an approval allows.
type ReviewRequest struct {
	ReviewID    string     `json:"review_id"`
	ExecutionID string     `json:"execution_id"`
	Name        string     `json:"name,omitempty" jsonschema:"description=of the execution"`
	NodeID      string     `json:"node_id"`
	Item        *int       `json:"item,omitempty"`
	Question    string     `json:"question"`
	Choices     []string   `json:"choices,omitempty" jsonschema:"description=of which an approval names one"`
	Schema      Object     `json:"schema,omitempty" jsonschema:"description=of the data that an approval gives"`
	Capability  string     `json:"capability,omitempty" jsonschema:"description=what will be called"`
	Inputs      Object     `json:"inputs,omitempty" jsonschema:"description=with these arguments"`
	Hidden      bool       `json:"hidden_characters,omitempty" jsonschema:"description=a person does not see all characters of the question or the inputs; the question shows them as escapes"`
	Since       time.Time  `json:"since"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`
	MayRunUntil *time.Time `json:"may_still_run_until,omitempty" jsonschema:"description=until when an earlier call of the node may still run"`
}
