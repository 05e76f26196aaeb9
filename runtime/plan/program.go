package plan

import (
	"encoding/json"

	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// Tool is what compile knows of one live capability.
type Tool struct {
	InputSchema  json.RawMessage
	OutputSchema json.RawMessage // empty: the tool declares none
	Effect       schemas.Effect
	Hash         string         // of the tool's definition; changes with it
	Policy       schemas.Policy // resolved for this capability
}

// Catalog is a snapshot of the live tools. It answers from memory.
type Catalog interface {
	// Realms lists the names of the configured realms, sorted.
	Realms() []string
	// Tools lists the tool names of a realm, sorted; an error says why they are not known now.
	Tools(realm string) ([]string, error)
	// Tool finds one tool; ok is false when the realm has none of that name.
	Tool(realm, name string) (t Tool, ok bool)
}

// Pin is what a plan was accepted with for one capability; it is stored with the plan, so that a recovery decides as
// the submission did, even if the realm has changed since.
type Pin struct {
	Effect         schemas.Effect    `json:"effect"`
	Hash           string            `json:"hash"`
	InputSchema    json.RawMessage   `json:"input_schema,omitempty"`
	Timeout        *schemas.Duration `json:"timeout,omitempty"` // 0: none
	TimeoutFrom    string            `json:"timeout_from,omitempty"`
	Retry          *schemas.Retry    `json:"retry,omitempty"`
	IdempotencyArg string            `json:"idempotency_arg,omitempty"`
	MaxRefusals    *int              `json:"max_refusals,omitempty"` // 0: no limit
	// Fallback is the policy's list, for nodes without one of their own.
	Fallback []schemas.PolicyFallback `json:"fallback,omitempty"`
	// AsksPerson says that the policy had a person allow each call as the plan was compiled. It is not stored: the policy at the time of the call decides.
	AsksPerson bool `json:"-"`
}

// Definition is the durable form of an accepted plan.
type Definition struct {
	Plan schemas.Plan   `json:"plan"`
	Pins map[string]Pin `json:"pins,omitempty"` // by realm.name, those of plans within the plan too
	// MaxItems is the limit of a for_each that gives none, where it is not the default.
	MaxItems int `json:"max_items,omitempty"`
}

// Kind of a node.
type Kind string

// The kinds.
const (
	KindCapability Kind = "capability"
	KindSet        Kind = "set"
	KindWait       Kind = "wait"
	KindWaitFor    Kind = "wait_for"
	KindReview     Kind = "review"
	KindWorkflow   Kind = "workflow"
)

// Program is a compiled plan, ready to run; it is immutable and safe for concurrent use.
type Program struct {
	Definition Definition
	Nodes      []Node // in the order they were written
	Output     *expr.Template

	index    map[string]int
	language expr.Evaluator
	checks   map[string]inputCheck // by realm.name
	size     func() *Size
	stored   func() int64
}

// Index finds a node by its id.
func (p *Program) Index(id string) (int, bool) {
	i, ok := p.index[id]
	return i, ok
}

// Node is a compiled node: every default is resolved.
type Node struct {
	ID           string
	Index        int
	Kind         Kind
	Deps         []int // inferred and explicit, each once, ascending
	Dependents   []int
	Rule         schemas.TriggerRule
	CancelOthers bool           // once it starts, dependencies that have not ended are cancelled
	InOutput     bool           // the plan's output reads it
	When         *expr.Template // nil: always; with for_each it is evaluated once, before the list
	Priority     int            // among ready nodes; 1 is first

	Target                    // what a capability node calls
	Value    *expr.Template   // the value of set
	Wait     *expr.Template   // a string: duration or timestamp
	Event    string           // of wait_for an event
	Awaited  *Awaited         // of wait_for a state
	Question *expr.Template   // of review
	Choices  []string         // of review: an approval names one; none: it names none
	Form     schemas.Object   // of review: the schema of the data of an approval; empty: it has none
	form     inputCheck       // by Form
	Expires  schemas.Duration // of wait_for and review; 0: never
	Sub      *Program         // of workflow: the plan within; its own inputs are Target.Inputs
	Version  string           // of workflow: name@version of one that is registered; empty: its plan is given
	declared inputCheck       // of workflow: the input schema of a named one

	ForEach     *expr.Template // nil: the node runs once
	language    expr.Evaluator // of the node's expressions, with the names of its items
	MaxParallel int            // items in flight; 0: no limit of its own
	MaxItems    int
	MinSuccess  int // successful items that suffice; -1: all, as on_error decides

	Repeat *Repeat // nil: the node runs once, or once for each item

	TotalTimeout schemas.Duration // 0: none
	QueueTimeout schemas.Duration // 0: none

	Review     bool // safety_level review: a person is asked before the call
	asksPerson bool // by the policy as it was when the plan was compiled, for Explain
	Fallbacks  []Fallback
	Compensate *Target // nil: nothing to undo
	OnError    schemas.OnError
	OnUnknown  string
	Verify     *Verify // nil: OnUnknown decides
}

// Target is one capability as a node calls it: the node's own, a fallback, a compensation, a verification.
type Target struct {
	Realm      string
	Capability string
	Inputs     *expr.Template // the arguments

	Hash             string // of the tool's definition that the plan was accepted with; empty: not known
	Effect           schemas.Effect
	IdempotencyArg   string
	Timeout          schemas.Duration // of one attempt; 0: none
	TimeoutFrom      string           // the setting it comes from: "node", "plan defaults", "realm's policy", "built-in default", …
	HeartbeatTimeout schemas.Duration // 0: none
	Retry            schemas.Retry    // complete
	MaxRefusals      int              // refusals of the realm in a row that make a failed attempt; 0: no limit
	RetryExplicit    bool             // the plan or a policy asked for retries: tool errors are retried too

	node    string         // the id of the node that calls
	secrets map[string]int // how often the arguments read a secret; nil: they read none
	inputs  inputCheck
}

// Name is realm.capability.
func (t *Target) Name() string { return t.Realm + "." + t.Capability }

// Fallback is one entry of a node's fallback list: a call, or a value.
type Fallback struct {
	Target *Target        // nil: Value
	Value  *expr.Template // may read whatever the node may
}

// Verify finds out whether a call of unknown outcome happened. Happened and Output read the answer as the root `output`.
type Verify struct {
	Target
	Happened *expr.Template
	Output   *expr.Template // nil: the answer itself
}
