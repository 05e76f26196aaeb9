package schemas

import "regexp"

// PlanVersion is the only value of a plan's `plan` field.
const PlanVersion = "v1"

// Plan is an execution plan in its canonical form: a DAG of nodes. Aliases and shorthands are gone; the strings may
// hold ${…} expressions.
type Plan struct {
	Version        string    `json:"plan" jsonschema:"enum=v1,description=version of the plan language"`
	Name           string    `json:"name,omitempty" jsonschema:"description=what people will call this execution"`
	Description    string    `json:"description,omitempty"`
	Inputs         Object    `json:"inputs,omitempty" jsonschema:"description=values the nodes read as ${inputs.name}"`
	Timeout        Duration  `json:"timeout,omitempty" jsonschema:"description=longest time of the whole execution"`
	Priority       int       `json:"priority,omitempty" jsonschema:"minimum=1,maximum=5,description=1 is first and 5 last; 3 unless given"`
	IdempotencyKey string    `json:"idempotency_key,omitempty" jsonschema:"maxLength=255,description=the same key with the same plan gives the same execution"`
	MaxParallel    int       `json:"max_parallel,omitempty" jsonschema:"minimum=1,maximum=1000,description=most nodes in flight at once"`
	Defaults       *Defaults `json:"defaults,omitempty"`
	Nodes          []Node    `json:"nodes"`
	Output         Value     `json:"output,omitempty" jsonschema:"description=the execution's output; unless given it is the outputs of the nodes that nothing depends on by node id"`
}

// Defaults apply to each capability node that does not say otherwise.
type Defaults struct {
	Timeout Duration `json:"timeout,omitempty"`
	Retry   *Retry   `json:"retry,omitempty"`
}

// Node is one vertex of a plan. Exactly one of Capability, Set and Wait is given.
type Node struct {
	ID          string      `json:"id" jsonschema:"pattern=^[a-z][a-z0-9_]{0\\,62}$"`
	Description string      `json:"description,omitempty"`
	Capability  string      `json:"capability,omitempty" jsonschema:"description=realm.name of the tool to call"`
	Set         Value       `json:"set,omitempty" jsonschema:"description=a computed value; it becomes the node's output"`
	Wait        string      `json:"wait,omitempty" jsonschema:"description=a duration such as 10m or an RFC 3339 timestamp"`
	DependsOn   []string    `json:"depends_on,omitempty" jsonschema:"description=ids to wait for beside those that the expressions reference"`
	TriggerRule TriggerRule `json:"trigger_rule,omitempty" jsonschema:"enum=all_success,enum=none_failed,enum=all_done,enum=one_success,enum=one_failed,description=which ends of the dependencies let the node start"`
	When        string      `json:"when,omitempty" jsonschema:"description=${…} condition; false skips the node"`
	Inputs      Object      `json:"inputs,omitempty" jsonschema:"description=arguments of the capability"`
	Timeout     Duration    `json:"timeout,omitempty" jsonschema:"description=longest time of one attempt"`
	Retry       *Retry      `json:"retry,omitempty"`
	OnError     OnError     `json:"on_error,omitempty" jsonschema:"enum=fail,enum=continue,description=what a failure of the node does to the execution"`
	OnUnknown   string      `json:"on_unknown,omitempty" jsonschema:"enum=suspend,enum=fail,enum=retry,description=what follows a once call whose outcome is unknown"`
	Effect      Effect      `json:"effect,omitempty" jsonschema:"enum=read,enum=idempotent,enum=once,description=a stricter effect than the tool's own"`
}

// OnError says what a node's failure does to its execution.
type OnError string

const (
	// OnErrorFail ends the execution as failed; it is the default.
	OnErrorFail OnError = "fail"
	// OnErrorContinue lets the execution go on and may still succeed; the dependents follow their trigger_rule.
	OnErrorContinue OnError = "continue"
)

// The values of on_unknown. Suspend is the default.
const (
	OnUnknownSuspend = "suspend"
	OnUnknownFail    = "fail"
	OnUnknownRetry   = "retry"
)

// TriggerRule says which ends of its dependencies let a node start. Where the rule can no longer hold, it is skipped.
type TriggerRule string

const (
	// AllSuccess starts after every dependency succeeded; it is the default, and a skipped parent skips the child.
	AllSuccess TriggerRule = "all_success"
	// NoneFailed starts after every dependency succeeded or was skipped.
	NoneFailed TriggerRule = "none_failed"
	// AllDone starts after every dependency ended, however it ended.
	AllDone TriggerRule = "all_done"
	// OneSuccess starts as soon as one dependency succeeded.
	OneSuccess TriggerRule = "one_success"
	// OneFailed starts as soon as one dependency failed.
	OneFailed TriggerRule = "one_failed"
)

// NodeID is what a node's id looks like.
var NodeID = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// Priorities of an execution.
const (
	PriorityFirst   = 1
	PriorityDefault = 3
	PriorityLast    = 5
)

// Explain tells what a valid plan would do at most.
type Explain struct {
	Waves        [][]string `json:"waves" jsonschema:"description=node ids that can run together in order"`
	CriticalPath []string   `json:"critical_path" jsonschema:"description=longest chain of node ids"`
	MaxCalls     int        `json:"max_calls" jsonschema:"description=most attempts if every retry is used"`
	Reviews      []string   `json:"reviews" jsonschema:"description=nodes that wait for a person"`
	OnceNodes    []string   `json:"once_nodes" jsonschema:"description=nodes that are never repeated without a decision"`
}

// Validation is the answer of validate_plan.
type Validation struct {
	Valid    bool      `json:"valid"`
	Findings []Finding `json:"findings"`
	Explain  *Explain  `json:"explain,omitempty" jsonschema:"description=for a valid plan alone"`
}
