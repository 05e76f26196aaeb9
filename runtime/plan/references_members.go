package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan/expr"
)

// Members of a node, and facts of a run, that have other names in other languages.

// failureWords are what other languages call the errors of a list or of rounds.
var failureWords = []string{"failures", "item_errors", "exceptions"}

// eventWords are what other languages call the data of an event, which is the output of the node that waits for it.
var eventWords = []string{"payload", "event_data"}

// otherMember reads steps after the id of a node whose first is another language's word for a member of ours that is not output, or for the whole
// of output; empty: it is none.
func (m meant) otherMember(node int, steps []expr.Step) (to []expr.Step, say string) {
	declared := m.shapeFor(node, m.site.node, m.may)
	names, closed := declared.properties()
	known := len(names) > 0 || closed || slices.Contains(declared.types(), "array")
	n, word := &m.plan.Nodes[node], steps[0].Key
	if slices.Contains(names, word) {
		return nil, ""
	}
	switch {
	case (n.ForEach != nil || n.Repeat != nil) && slices.Contains(failureWords, word):
		return append([]expr.Step{{Key: "errors", Index: -1}}, steps[1:]...), fmt.Sprintf("what failed of a node is nodes.<id>.errors, not %s", word)
	case n.WaitFor != nil && n.WaitFor.Event != "" && slices.Contains(eventWords, word):
		return append([]expr.Step{{Key: "output", Index: -1}}, steps[1:]...), fmt.Sprintf("the data of an event is the output of the node that waits for it, without %s", word)
	}
	if word == "raw" && len(steps) == 1 { // of CrewAI
		return []expr.Step{{Key: "text", Index: -1}}, "what a tool gave as text is nodes.<id>.text"
	}
	blocks := steps
	for len(blocks) > 2 && (blocks[0].Key == "output" || hasWrapper(blocks[0].Key)) {
		blocks = blocks[1:]
	}
	if blocks[0].Key == "content" && len(blocks) > 1 && blocks[1].Index >= 0 && len(blocks) < len(steps) && !slices.Contains(names, "content") &&
		(known || word != "output") {
		return blocks, "the blocks of a result are nodes.<id>.content"
	}
	return nil, ""
}

// frames are the names around what the node before gave, in n8n and in Node-RED.
var frames = map[string][]string{"$input": {"item", "json"}, "msg": {"payload"}}

// withoutFrame are steps without the names around what the node before gave.
func withoutFrame(root string, steps []expr.Step) []expr.Step {
	for _, name := range frames[root] {
		if len(steps) > 0 && steps[0].Index < 0 && steps[0].Key == name {
			steps = steps[1:]
		}
	}
	return steps
}

// contexts are what other languages know of a run and of an item, by their name for all of it and the steps after that.
var contexts = map[string]map[string]string{
	"$$":         ofStepFunctions, // of Step Functions
	"$execution": {"id": "execution.id"},
	"dag_run":    {"run_id": "execution.id"},
	"flow_run":   {"id": "execution.id", "name": "execution.name"},
	"each":       {"value": "item"}, // of Terraform
	"github":     {"run_id": "execution.id", "event.inputs": "inputs"},
}

var ofStepFunctions = map[string]string{
	"Execution.Id": "execution.id", "Execution.Name": "execution.name", "Execution.StartTime": "execution.created_at", "Execution.Input": "inputs",
	"Map.Item.Value": "item", "Map.Item.Index": "index",
}

// ofContext reads a reference to the run or to the item, in the words of another language.
func (m meant) ofContext(as expr.Reference, root string, steps []expr.Step) (expr.Reference, bool) {
	known := contexts[root]
	if root == "$states" && len(steps) > 1 && steps[0].Key == "context" {
		known, steps = ofStepFunctions, steps[1:]
	}
	if known == nil || m.isNode(root) || m.isInput(root) || m.ownName(root) {
		return as, false
	}
	as.Code = expr.CodeUnknownRoot
	for n := min(len(steps), 3); n > 0; n-- {
		written, ok := known[strings.TrimPrefix(expr.StepsString(steps[:n]), ".")]
		if !ok {
			continue
		}
		to, _ := expr.ParsePath(written)
		if to.Root == "item" || to.Root == "index" {
			if m.may&readsItem == 0 || m.node < 0 || m.plan.Nodes[m.node].ForEach == nil {
				break
			}
			item, index := m.plan.Nodes[m.node].ForEach.Names()
			to.Root = map[string]string{"item": item, "index": index}[to.Root]
		}
		as.Path = expr.Path{Root: to.Root, Steps: slices.Concat(to.Steps, steps[n:])}
		as.Changed, as.Say = true, fmt.Sprintf("%s is written %s", root+expr.StepsString(steps[:n]), expr.Path{Root: to.Root, Steps: to.Steps})
		return as, true
	}
	as.Stuck = root + expr.StepsString(steps) + " is not known here: of a run there are execution.id, execution.name and execution.created_at, in for_each item and index; what " +
		"comes from outside is an input, as in inputs.x"
	return as, true
}

// isOwn reports whether a root of another language that stands for the item, or for what the node before gave, is a name of this plan.
func (m meant) isOwn(kind rootKind, root string) bool {
	return (kind == rootItem || kind == rootIndex || kind == rootBefore) && (m.isInput(root) || m.isNode(root))
}

// leadsInside reports whether steps may follow a name of this plan.
func (m meant) leadsInside(root string, steps []expr.Step) bool {
	return m.isInput(root) && m.inInput(root, steps) || m.isNode(root) && m.inNode(root, steps)
}
