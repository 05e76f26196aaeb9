package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// How a node ended, in the words of other languages.

// outcomes are the members by which GitHub Actions says how a job or a step ended. Elsewhere a result is what it gave.
var outcomes = map[string][]string{"needs": {"result"}, "steps": {"outcome", "conclusion"}}

// outcome reads how a node ended. certain: no other language has such a member.
func (m meant) outcome(as expr.Reference, id, word string, certain bool) expr.Reference {
	output, status := expr.Step{Key: "output", Index: -1}, expr.Step{Key: "status", Index: -1}
	node, member := expr.Step{Key: id, Index: -1}, expr.Step{Key: word, Index: -1}
	names, closed := m.shapeFor(m.ids[id], m.site.node, m.may).properties()
	declared := slices.Contains(names, word)
	as.Path = expr.Path{Root: "nodes", Steps: []expr.Step{node, status}}
	switch {
	case declared && !certain:
		as.Path.Steps = []expr.Step{node, output, member}
		as.Changed, as.Say = true, "a node is read as nodes."+id+", and what it gave is inside output"
	case declared, !certain && len(names) == 0 && !closed:
		as.Stuck = fmt.Sprintf("how a node ended is nodes.%[1]s.status, a member of what it gave nodes.%[1]s.output.%[2]s", id, word)
	default:
		as.Changed, as.Say = true, "how a node ended is nodes.<id>.status"
	}
	return as
}

// statusWords are what other languages call the statuses of a node. Words for any end, such as completed and done, are none of them.
var statusWords = map[string]schemas.NodeStatus{
	"success": schemas.NodeSucceeded, "successful": schemas.NodeSucceeded,
	"ok": schemas.NodeSucceeded, "error": schemas.NodeFailed,
	"failure": schemas.NodeFailed,
	"errored": schemas.NodeFailed, "canceled": schemas.NodeCancelled,
}

// approved is the decision of a review that succeeded: a rejected one fails its node.
const approved = "approve"

// decisionWords are what other languages call the decision of a review that succeeded.
var decisionWords = []string{"approved", "Approve", "Approved", "yes", "accept", "accepted"}

// Value implements expr.Names.
func (m meant) Value(p expr.Path, text string) (string, string) {
	i, ok := m.ids[p.NodeID()]
	if !ok {
		return text, ""
	}
	switch {
	case len(p.Steps) == 2 && p.Steps[1].Key == "status":
		if status, ok := statusWords[strings.ToLower(text)]; ok {
			return string(status), fmt.Sprintf("the status of a node is never %q: it is %q", text, status)
		}
	case len(p.Steps) == 3 && p.Steps[1].Key == "output" && p.Steps[2].Key == "decision":
		r := m.plan.Nodes[i].Review
		switch {
		case r == nil:
		case len(r.Choices) > 0 && (text != approved || slices.Contains(r.Choices, text)):
			return text, fmt.Sprintf("which of the choices a person took is nodes.%[1]s.output.choice: the decision of a review that succeeded is always \"approve\", "+
				"whatever was chosen, so write nodes.%[1]s.output.choice == \"<one of the choices>\"", p.NodeID())
		case slices.Contains(decisionWords, text):
			return approved, "the decision of a review that succeeded is always \"approve\"; a rejected one fails its node, so what " +
				"depends on it is skipped without a condition"
		}
	}
	return text, ""
}
