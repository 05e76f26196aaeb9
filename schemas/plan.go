package schemas

import (
	"regexp"

	"github.com/invopop/jsonschema"
)

// PlanVersion is the only value of a plan's `plan` field.
const PlanVersion = "v1"

// Plan is an execution plan in its canonical form, without aliases and shorthands: a DAG of nodes. Its strings may hold ${…}
// expressions.
type Plan struct {
	Version        string    `json:"plan" jsonschema:"enum=v1,description=version of the plan language"`
	Name           string    `json:"name,omitempty" jsonschema:"description=name of the execution for readers"`
	Description    string    `json:"description,omitempty"`
	Inputs         Object    `json:"inputs,omitempty" jsonschema:"description=values the nodes read as ${inputs.name}"`
	Timeout        Duration  `json:"timeout,omitempty" jsonschema:"description=longest time of the whole execution"`
	QueueTimeout   Duration  `json:"queue_timeout,omitempty" jsonschema:"description=longest wait in the queue; an execution that no worker claimed by then ends as timed_out without having run"`
	Priority       int       `json:"priority,omitempty" jsonschema:"minimum=1,maximum=5,description=1 is first and 5 last; 3 unless given"`
	IdempotencyKey string    `json:"idempotency_key,omitempty" jsonschema:"maxLength=255,description=the same key with the same plan gives the same execution"`
	MaxParallel    int       `json:"max_parallel,omitempty" jsonschema:"minimum=1,maximum=1000,description=most nodes in flight at once"`
	Defaults       *Defaults `json:"defaults,omitempty"`
	Nodes          []Node    `json:"nodes"`
	Output         Value     `json:"output,omitempty" jsonschema:"description=the execution's output; default the outputs of the nodes that no other depends on by node id"`

	Limits  *PlanLimits `json:"limits,omitempty" jsonschema:"description=the budget of the plan"`
	OnLimit string      `json:"on_limit,omitempty" jsonschema:"enum=suspend,enum=fail,description=what a limit that is reached does to the execution; default suspend"`

	Unmended bool   `json:"-"` // fixes of its shape were too large to be given, so that later ones could not be applied
	Source   Source `json:"-"` // places in the text of the plan; nil: unknown, or the text is one line
}

// Source locates values of a plan in the text that it was read from.
type Source interface {
	// Place returns the line and the column, both from 1, of the value at a JSON pointer into the plan, or of the nearest value
	// that contains it.
	Place(pointer string) (line, column int)
}

// Stray is a field of a node that calls something, and that is perhaps an argument of the call.
type Stray struct {
	Name  string
	Value Value
	Said  []Finding // what is wrong with it if it is none
}

// Defaults apply to each capability node that does not say otherwise.
type Defaults struct {
	Timeout Duration `json:"timeout,omitempty"`
	Retry   *Retry   `json:"retry,omitempty"`
}

// Node is one vertex of a plan. Exactly one of Capability, Set, Wait, WaitFor, Review and Workflow is given: its kind.
type Node struct {
	ID           string      `json:"id" jsonschema:"pattern=^[a-z][a-z0-9_]{0\\,62}$"`
	Description  string      `json:"description,omitempty"`
	Capability   string      `json:"capability,omitempty" jsonschema:"description=realm.name of the tool to call"`
	Set          Value       `json:"set,omitempty" jsonschema:"description=a computed value; it becomes the node's output"`
	Wait         string      `json:"wait,omitempty" jsonschema:"description=a duration such as 10m or an RFC 3339 timestamp"`
	WaitFor      *WaitFor    `json:"wait_for,omitempty" jsonschema:"description=an event that signal_execution sends or a state that set_state sets; its data becomes the output"`
	Review       *Review     `json:"review,omitempty" jsonschema:"description=a question to a person; the output is {decision choice data comment by}"`
	Workflow     *Workflow   `json:"workflow,omitempty" jsonschema:"description=a nested plan; its output becomes the node's"`
	DependsOn    []string    `json:"depends_on,omitempty" jsonschema:"description=ids of dependencies in addition to those that expressions reference"`
	TriggerRule  TriggerRule `json:"trigger_rule,omitempty" jsonschema:"enum=all_success,enum=none_failed,enum=all_done,enum=one_success,enum=one_failed,description=which results of the dependencies let the node start"`
	CancelOthers bool        `json:"cancel_others,omitempty" jsonschema:"description=with trigger_rule one_success: once the node starts the dependencies that have not ended are cancelled; and what only they need"`
	When         string      `json:"when,omitempty" jsonschema:"description=${…} condition; false skips the node"`
	Inputs       Object      `json:"inputs,omitempty" jsonschema:"description=arguments of the capability (one that is null is left out where the tool neither requires it nor takes null) or inputs of the workflow"`

	ForEach     *ForEach `json:"for_each,omitempty" jsonschema:"description=a list or a ${…} that gives one or {items as index_as}: the node runs once for each item; its output is the list of their outputs in order"`
	MaxParallel int      `json:"max_parallel,omitempty" jsonschema:"minimum=1,maximum=1000,description=most items in flight at once"`
	MaxItems    int      `json:"max_items,omitempty" jsonschema:"minimum=1,maximum=10000,description=a longer list fails the node"`
	MinSuccess  *int     `json:"min_success,omitempty" jsonschema:"minimum=0,description=number of items that must succeed; the output of a failed or skipped one is null"`

	Repeat *Repeat `json:"repeat,omitempty" jsonschema:"description=the call is made again until a condition holds; the output is the last one or what was collected"`

	Timeout          Duration `json:"timeout,omitempty" jsonschema:"description=longest time of one attempt"`
	TotalTimeout     Duration `json:"total_timeout,omitempty" jsonschema:"description=longest time of all attempts together"`
	QueueTimeout     Duration `json:"queue_timeout,omitempty" jsonschema:"description=longest wait of a ready node for a free slot"`
	HeartbeatTimeout Duration `json:"heartbeat_timeout,omitempty" jsonschema:"description=longest time between two progress reports of the call"`
	Retry            *Retry   `json:"retry,omitempty"`
	Priority         int      `json:"priority,omitempty" jsonschema:"minimum=1,maximum=5,description=among ready nodes; 1 is first"`

	SafetyLevel string      `json:"safety_level,omitempty" jsonschema:"enum=normal,enum=review,description=review asks a person before the call"`
	Fallback    []Fallback  `json:"fallback,omitempty" jsonschema:"description=what replaces a call that failed for good; tried in order"`
	Compensate  *Compensate `json:"compensate,omitempty" jsonschema:"description=the call that undoes the node"`
	OnError     OnError     `json:"on_error,omitempty" jsonschema:"enum=fail,enum=continue,enum=suspend,enum=compensate,description=what a failure of the node does to the execution"`
	OnUnknown   *OnUnknown  `json:"on_unknown,omitempty"`

	Strays []Stray `json:"-"` // fields that are none of a node's, for the compiler, which knows the arguments of the capability
	Effect Effect  `json:"effect,omitempty" jsonschema:"enum=read,enum=idempotent,enum=once,description=a stricter effect than the tool's own"`
}

// Repeat has the call of a node made again, in rounds, until a condition holds. Its expressions read the answer of the round as
// ${output.…}, that of the round before as ${previous.…}, null at first, and the number of the round as ${index}, from 0. The inputs of
// the node read previous and index too.
type Repeat struct {
	Until   string   `json:"until" jsonschema:"description=${…} condition over output and previous and index; true ends the node"`
	Every   string   `json:"every,omitempty" jsonschema:"description=pause before the next round: a duration or a ${…} that gives one; default 5s or with collect none"`
	Timeout Duration `json:"timeout,omitempty" jsonschema:"description=no round starts later than this after the first one"`
	Max     int      `json:"max,omitempty" jsonschema:"minimum=1,maximum=10000,description=most rounds; default 1000"`
	Collect string   `json:"collect,omitempty" jsonschema:"description=${…} that each round adds to the output; a list adds its items"`
	Once    bool     `json:"once,omitempty" jsonschema:"description=true: a call with the effect once may be repeated; each round then has its effect"`
}

// WaitFor names the event or the state that a node waits for; exactly one is given. A plan may write the bare name of an event.
type WaitFor struct {
	Event   string     `json:"event,omitempty" jsonschema:"minLength=1,maxLength=255"`
	State   *StateName `json:"state,omitempty" jsonschema:"description=a state that set_state sets; its key may hold ${…}; its found and data and version become the output"`
	Until   string     `json:"until,omitempty" jsonschema:"description=${…} condition over state.found and state.data and state.version; default the state exists"`
	Timeout Duration   `json:"timeout,omitempty" jsonschema:"description=the node fails after this time"`

	Bare bool `json:"-"` // written as the bare string; findings point there
}

// StateName names a state of the principal whose execution it is.
type StateName struct {
	Type string `json:"type" jsonschema:"minLength=1,maxLength=128"`
	Key  string `json:"key" jsonschema:"minLength=1"`
}

// Review is a question to a person. A plan may write the bare question, which may hold ${…}.
type Review struct {
	Question string   `json:"question" jsonschema:"minLength=1"`
	Choices  []string `json:"choices,omitempty" jsonschema:"minItems=1,maxItems=100,description=an approval names one of them: the output's choice"`
	Schema   Object   `json:"schema,omitempty" jsonschema:"description=JSON Schema of what an approval gives: the output's data"`
	Expires  Duration `json:"expires,omitempty" jsonschema:"description=without a decision by then it counts as rejected"`

	Bare bool `json:"-"` // written as the bare string; findings point there
}

// Workflow is a plan within a plan: a stored workflow by name, or a definition.
type Workflow struct {
	Name       string `json:"name,omitempty" jsonschema:"minLength=1,description=name or name@version"`
	Definition *Plan  `json:"definition,omitempty"`

	// Kept says which workflow a definition was resolved from. A submitted plan does not contain it.
	Resolved *ResolvedWorkflow `json:"kept,omitempty"`

	Bare bool `json:"-"` // written as the bare string; findings point there
}

// ResolvedWorkflow is the version of a workflow that was resolved when a plan was accepted.
type ResolvedWorkflow struct {
	Name        string `json:"name"` // name@version
	InputSchema Object `json:"input_schema,omitempty"`
}

// JSONSchema breaks the recursion: a definition is itself a plan.
func (Workflow) JSONSchema() *jsonschema.Schema {
	properties := jsonschema.NewProperties()
	properties.Set("name", &jsonschema.Schema{Type: "string", Description: "name or name@version"})
	properties.Set("definition", &jsonschema.Schema{Type: "object", Description: "a plan"})
	return &jsonschema.Schema{Type: "object", Properties: properties, AdditionalProperties: jsonschema.FalseSchema}
}

// Fallback replaces a node's own call after it failed for good: another capability or a value. Exactly one is given.
type Fallback struct {
	Capability string `json:"capability,omitempty" jsonschema:"description=realm.name"`
	Inputs     Object `json:"inputs,omitempty" jsonschema:"description=its arguments; the node's own unless given"`
	Value      Value  `json:"value,omitempty" jsonschema:"description=this becomes the output"`

	Bare bool `json:"-"` // written as the bare string; findings point there
}

// Compensate is the call that undoes a node which succeeded; its inputs may read the node's own output.
type Compensate struct {
	Capability string   `json:"capability" jsonschema:"description=realm.name"`
	Inputs     Object   `json:"inputs,omitempty"`
	Timeout    Duration `json:"timeout,omitempty"`
	Retry      *Retry   `json:"retry,omitempty"`

	Bare bool `json:"-"` // written as the bare string; findings point there
}

// OnUnknown says what follows a once call whose outcome is unknown. A plan may write the bare value of Then.
type OnUnknown struct {
	Then   string  `json:"then,omitempty" jsonschema:"enum=suspend,enum=fail,enum=retry,description=suspend holds the node for a decision and is the default"`
	Verify *Verify `json:"verify,omitempty" jsonschema:"description=a read-only call that finds out whether it happened"`

	Bare bool `json:"-"` // written as the bare string; findings point there
}

// Verify finds out whether a call of unknown outcome happened. Its expressions read the call's answer as ${output.…}.
type Verify struct {
	Capability string `json:"capability" jsonschema:"description=realm.name of a read capability"`
	Inputs     Object `json:"inputs,omitempty"`
	Happened   string `json:"happened" jsonschema:"description=${…} condition over output; true: the node succeeded and false: it is called again"`
	Output     Value  `json:"output,omitempty" jsonschema:"description=the node's output if it happened; ${output} unless given"`
}

// OnError says what a node's failure does to its execution.
type OnError string

const (
	// OnErrorFail ends the execution as failed; it is the default.
	OnErrorFail OnError = "fail"
	// OnErrorContinue lets the execution continue, and it may still succeed; the dependents follow their trigger_rule.
	OnErrorContinue OnError = "continue"
	// OnErrorSuspend suspends the execution with the node held for a decision of resume_execution.
	OnErrorSuspend OnError = "suspend"
	// OnErrorCompensate undoes what succeeded, in reverse order, and then ends the execution as failed.
	OnErrorCompensate OnError = "compensate"
)

// The values of [OnUnknown].Then. Suspend is the default.
const (
	OnUnknownSuspend = "suspend"
	OnUnknownFail    = "fail"
	OnUnknownRetry   = "retry"
)

// Safety levels of a node.
const (
	SafetyNormal = "normal"
	SafetyReview = "review"
)

// TriggerRule says which results of its dependencies let a node start. A node whose rule can no longer hold is skipped.
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

// NodeID matches the id of a node.
var NodeID = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// Priorities of an execution.
const (
	PriorityFirst   = 1
	PriorityDefault = 3
	PriorityLast    = 5
)

// Explain says what a valid plan would do at most.
type Explain struct {
	Waves        [][]string `json:"waves" jsonschema:"description=groups of node ids that can run together; in order"`
	Edges        [][]string `json:"edges,omitempty" jsonschema:"description=what waits for what: pairs of node ids; the first runs before the second"`
	MoreEdges    int        `json:"more_edges,omitempty" jsonschema:"description=pairs that are left out"`
	CriticalPath []string   `json:"critical_path" jsonschema:"description=longest chain of node ids"`
	MaxCalls     int        `json:"max_calls" jsonschema:"description=number of attempts if every retry is used"`
	Reviews      []string   `json:"reviews" jsonschema:"description=nodes that wait for a person"`
	OnceNodes    []string   `json:"once_nodes" jsonschema:"description=nodes that are never repeated without a decision"`
	Secrets      []string   `json:"secrets,omitempty" jsonschema:"description=names of the secrets that calls are sent with"`

	Repeats []string `json:"repeats,omitempty" jsonschema:"description=nodes that make their call again; with their most rounds"`

	MaxExecutions int `json:"max_executions" jsonschema:"description=executions of workflow nodes; at every depth; if every list is as long as its limit"`
	MaxItems      int `json:"max_items" jsonschema:"description=items of for_each nodes; at every depth"`
	WorkflowBytes int `json:"max_workflow_bytes,omitempty" jsonschema:"description=of the plans of all these executions; without inputs that are computed"`

	Limits *PlanLimits `json:"limits,omitempty" jsonschema:"description=the budget of the plan"`

	MoreIDs int `json:"more_ids,omitempty" jsonschema:"description=node ids that are left out"`
}

// Validation is the result of validate_plan.
type Validation struct {
	Valid    bool      `json:"valid"`
	Findings []Finding `json:"findings"`
	Explain  *Explain  `json:"explain,omitempty" jsonschema:"description=only for a valid plan"`
}
