package schemas

import "time"

// EventType is the kind of an [Event].
type EventType string

// The types of events. Package runtime/machine defines what each one changes and in which states it is legal.
const (
	EventCreated    EventType = "execution_created"
	EventStarted    EventType = "execution_started"
	EventSuspending EventType = "execution_suspending"
	EventSuspended  EventType = "execution_suspended"
	EventResumed    EventType = "execution_resumed"
	EventCancelling EventType = "execution_cancelling"
	EventRecovered  EventType = "execution_recovered"
	EventPriority   EventType = "execution_priority"
	EventRolledBack EventType = "execution_rolled_back"
	EventGranted    EventType = "execution_granted"
	EventCalled     EventType = "execution_called_itself"
	EventFinished   EventType = "execution_finished"
	EventSignal     EventType = "signal_received"

	EventCompensating EventType = "execution_compensating"
	EventLimitReached EventType = "limit_reached"
	EventLimitsRaised EventType = "limits_raised"

	EventNodeStarted   EventType = "node_started"
	EventNodeSucceeded EventType = "node_succeeded"
	EventAttemptFailed EventType = "attempt_failed"
	EventAttemptLost   EventType = "attempt_lost"
	EventNodePostponed EventType = "node_postponed"
	EventNodeHeld      EventType = "node_held"
	EventNodeFailed    EventType = "node_failed"
	EventNodeSkipped   EventType = "node_skipped"
	EventNodeCancelled EventType = "node_cancelled"
	EventNodePatched   EventType = "node_patched"
	EventNodeReused    EventType = "node_reused"
	EventNodeExpanded  EventType = "node_expanded"
	EventNodeFellBack  EventType = "node_fell_back"
	EventNodeVerifying EventType = "node_verifying"
	EventRoundEnded    EventType = "node_round_ended"
	EventNodeRepeated  EventType = "node_repeated"
	EventNodeNotDone   EventType = "node_verified_not_done"
	EventNodeNotYet    EventType = "node_verified_not_yet"
	EventNodeCallEnded EventType = "node_call_ended"
	EventNodeSettled   EventType = "node_settled"
	EventNodeSuspended EventType = "node_suspended"
	EventNodeGranted   EventType = "node_granted"
	EventReviewDecided EventType = "review_decided"

	EventNodeCompensating   EventType = "node_compensating"
	EventCompensationFailed EventType = "compensation_failed"
	EventNodeCompensated    EventType = "node_compensated"
)

// Event is one committed entry of an execution's log. Which fields are set depends on the type; Seq counts from 1 without gaps.
type Event struct {
	Seq        int64      `json:"seq"`
	At         time.Time  `json:"at"`
	Type       EventType  `json:"type"`
	Node       string     `json:"node,omitempty"`
	Item       *int       `json:"item,omitempty" jsonschema:"description=index of the for_each item it is about"`
	Attempt    int        `json:"attempt,omitempty"`
	Round      *int       `json:"round,omitempty" jsonschema:"description=of a node with repeat; from 0"`
	Status     Status     `json:"status,omitempty"`
	Output     Value      `json:"output,omitempty"`
	Text       string     `json:"text,omitempty"`
	TextRef    *OutputRef `json:"text_ref,omitempty" jsonschema:"description=instead of a text too large to show"`
	OutputRef  *OutputRef `json:"output_ref,omitempty"`
	Content    Value      `json:"content,omitempty" jsonschema:"description=content blocks of the answer beside output and text"`
	ContentRef *OutputRef `json:"content_ref,omitempty" jsonschema:"description=instead of blocks too large to show"`
	Blocks     bool       `json:"blocks,omitempty" jsonschema:"description=the output is the list of content blocks"`
	Error      *Error     `json:"error,omitempty"`
	Due        *time.Time `json:"due,omitempty" jsonschema:"description=when the node or the grace period is due"`
	QueueDue   *time.Time `json:"queue_due,omitempty" jsonschema:"description=until when the execution may wait in the queue"`
	Reason     string     `json:"reason,omitempty"`
	By         string     `json:"by,omitempty" jsonschema:"description=who did it: a principal or a worker"`
	ServedBy   string     `json:"served_by,omitempty"`
	Degraded   bool       `json:"degraded,omitempty"`
	DurationMS float64    `json:"duration_ms,omitempty"`
	AgeSeconds float64    `json:"age_seconds,omitempty" jsonschema:"description=of a cached answer"`
	Notes      []string   `json:"notes,omitempty" jsonschema:"description=what was repaired in the realm's answer"`
	Priority   int        `json:"priority,omitempty"`
	Name       string     `json:"name,omitempty" jsonschema:"description=name of a signal"`
	Data       Value      `json:"data,omitempty"`
	DataRef    *OutputRef `json:"data_ref,omitempty" jsonschema:"description=instead of data too large to show"`
	Patch      *NodePatch `json:"patch,omitempty"`
	Count      int        `json:"count,omitempty" jsonschema:"description=items of a for_each"`
	Fallback   int        `json:"fallback,omitempty" jsonschema:"description=entry of the fallback list that serves now; from 1"`
	Capability string     `json:"capability,omitempty" jsonschema:"description=what is called instead of the node's own capability"`
	Definition string     `json:"definition,omitempty" jsonschema:"description=hash of the tool definition that a decision accepted"`
	Effect     Effect     `json:"effect,omitempty" jsonschema:"enum=read,enum=idempotent,enum=once,description=of that definition"`
	State      *StateName `json:"state,omitempty" jsonschema:"description=the state that the node waits for"`
	Child      string     `json:"child,omitempty" jsonschema:"description=execution that runs a workflow node"`
	Parent     string     `json:"parent,omitempty" jsonschema:"description=execution with which this one is suspended or resumed"`
	Budget     *Budget    `json:"budget,omitempty" jsonschema:"description=what the child may use in all; or has used; when it ends"`
	Places     int        `json:"places,omitempty" jsonschema:"description=how many executions the child may be; with those below it that are open"`

	Errors []UnitError `json:"errors,omitempty" jsonschema:"description=of a node that was taken over: what had failed"`

	Bytes int64 `json:"bytes,omitempty" jsonschema:"description=of the plan and the inputs of the child"`

	Hold        string  `json:"hold,omitempty" jsonschema:"description=recovery: suspended because a process died while it evaluated the execution"`
	EvaluatedMS float64 `json:"evaluated_ms,omitempty" jsonschema:"description=time spent on expressions before it"`

	MayRunUntil *time.Time `json:"may_still_run_until,omitempty" jsonschema:"description=until when a call of unknown outcome may still run at its realm"`

	Limit  *ReachedLimit `json:"limit,omitempty" jsonschema:"description=of the plan; that is reached"`
	Limits *PlanLimits   `json:"limits,omitempty" jsonschema:"description=of the plan; that were raised"`

	Cut bool `json:"cut,omitempty" jsonschema:"description=large parts are left out: read it alone\\, with after one less than seq and limit 1"`
}

// Apart returns the bytes of what the event has in records of their own, beside the output.
func (e *Event) Apart() (bytes int64) {
	for _, ref := range []*OutputRef{e.TextRef, e.ContentRef, e.DataRef} {
		if ref != nil {
			bytes += int64(ref.Bytes)
		}
	}
	return bytes
}

// EventList is one page of an execution's events, oldest first.
type EventList struct {
	ExecutionID string  `json:"execution_id"`
	Events      []Event `json:"events"`
	LastSeq     int64   `json:"last_seq" jsonschema:"description=pass it as after to continue"`
	More        bool    `json:"more,omitempty"`
}
