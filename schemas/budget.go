package schemas

// Budget is an amount of everything that a tree of executions shares: the execution that was submitted, which is the root, and the
// executions of its workflow nodes at every depth. As a limit it says what the tree may use in all; as a count, what was used.
type Budget struct {
	Executions   int64 `json:"executions,omitempty" jsonschema:"description=executions of workflow nodes; without the root"`
	Calls        int64 `json:"calls,omitempty" jsonschema:"description=attempts of nodes; also those of waits and workflows"`
	Sent         int64 `json:"sent,omitempty" jsonschema:"description=those of the calls that capabilities were called by"` // has no limit of its own
	Items        int64 `json:"items,omitempty" jsonschema:"description=items of for_each nodes"`
	Events       int64 `json:"events,omitempty"`
	Bytes        int64 `json:"bytes,omitempty" jsonschema:"description=of outputs; and of the plans and inputs of workflows"`
	EvaluationMS int64 `json:"evaluation_ms,omitempty" jsonschema:"description=time spent on expressions"`
}

// BudgetKind is one thing that a [Budget] counts.
type BudgetKind int

// The kinds, in the order of [BudgetKinds].
const (
	BudgetExecutions BudgetKind = iota
	BudgetCalls
	BudgetItems
	BudgetEvents
	BudgetBytes
	BudgetEvaluation
)

// BudgetKinds describes every [BudgetKind].
var BudgetKinds = [...]struct {
	Unit    string // as in "2 calls"
	Setting string // the key of the limit in the configuration
	Hint    string // how to need less
}{
	BudgetExecutions: {"executions of workflow nodes", "limits.max_tree_executions", "split the plan, or run fewer workflows with for_each"},
	BudgetCalls:      {"calls", "limits.max_tree_calls", "split the plan, or make fewer calls with for_each and retry"},
	BudgetItems:      {"items of for_each nodes", "limits.max_tree_items", "split the plan, or filter the lists before for_each"},
	BudgetEvents:     {"events", "limits.max_tree_events", "split the plan"},
	BudgetBytes: {"bytes", "limits.max_tree_bytes",
		"outputs and the plans and inputs of workflows count: let the capabilities answer with less, give workflows less, or split the plan"},
	BudgetEvaluation: {"milliseconds of evaluation", "limits.max_tree_evaluation",
		"compute less in expressions, or let a capability compute it"},
}

// Of returns the amount of one kind; it may be changed through the pointer.
func (b *Budget) Of(k BudgetKind) *int64 {
	switch k {
	case BudgetExecutions:
		return &b.Executions
	case BudgetCalls:
		return &b.Calls
	case BudgetItems:
		return &b.Items
	case BudgetEvents:
		return &b.Events
	case BudgetBytes:
		return &b.Bytes
	}
	return &b.EvaluationMS
}

// Plus returns the sum of both.
func (b Budget) Plus(o Budget) Budget {
	return Budget{
		b.Executions + o.Executions, b.Calls + o.Calls, b.Sent + o.Sent, b.Items + o.Items, b.Events + o.Events, b.Bytes + o.Bytes,
		b.EvaluationMS + o.EvaluationMS,
	}
}

// Minus returns b less o. Amounts may be negative.
func (b Budget) Minus(o Budget) Budget {
	return Budget{
		b.Executions - o.Executions, b.Calls - o.Calls, b.Sent - o.Sent, b.Items - o.Items, b.Events - o.Events, b.Bytes - o.Bytes,
		b.EvaluationMS - o.EvaluationMS,
	}
}

// OverBudget returns the error of a tree of executions of which something needs more of a kind than is left.
func OverBudget(k BudgetKind, needed, used, limit int64) *Error {
	about := BudgetKinds[k]
	return Errorf(CodeQuotaExceeded, "%d more %s are needed, and the execution with all below it has used %d (limit %d, %s)",
		needed, about.Unit, used, limit, about.Setting).
		WithHint("%s; an operator can raise %s", about.Hint, about.Setting)
}
