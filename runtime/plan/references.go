package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// rootKind is what a name at the front of a reference stands for in another language.
type rootKind int

const (
	rootNodes  rootKind = iota + 1 // the next name is a node
	rootInputs                     // the next name is an input
	rootAny                        // the next name is nodes, inputs, a node or an input
	rootItem                       // the item of for_each
	rootIndex                      // its index
	rootBefore                     // what the node before gave
	rootNone                       // nothing that a plan has
)

// foreignRoots are the names at the front of references in other languages.
var foreignRoots = map[string]rootKind{
	"node": rootNodes, "steps": rootNodes, "step": rootNodes, "tasks": rootNodes, "task": rootNodes, "jobs": rootNodes,
	"job": rootNodes, "needs": rootNodes,
	"stages": rootNodes, "actions": rootNodes, "activities": rootNodes, "results": rootNodes, "outputs": rootNodes, "$node": rootNodes,
	"$nodes": rootNodes, "$steps": rootNodes,
	"input": rootInputs, "params": rootInputs, "parameters": rootInputs, "vars": rootInputs, "variables": rootInputs,
	"args": rootInputs, "arguments": rootInputs,
	"$input": rootInputs, "$inputs": rootInputs, "$vars": rootInputs,
	"$": rootAny, "context": rootAny, "ctx": rootAny, "workflow": rootAny, "plan": rootAny, "flow": rootAny, "$context": rootAny,
	"$ctx": rootAny, "state": rootAny,
	"$states": rootAny, "this": rootItem, "it": rootItem, "element": rootItem, "$item": rootItem, "$index": rootIndex,
	"$json": rootBefore, "msg": rootBefore, "prev": rootBefore, "$prev": rootBefore,
	"env": rootNone, "process": rootNone, "os": rootNone, "$env": rootNone, "secrets": rootNone, "github": rootNone, "runner": rootNone,
}

// wrappers are the names by which other languages, and MCP, reach into what a node gave. certain: no tool has a member with that name.
var wrappers = map[string]struct{ certain bool }{
	"outputs": {true}, "structuredContent": {true}, "structured_content": {true}, "json": {true},
	"result": {}, "results": {}, "data": {}, "response": {}, "value": {}, "body": {}, "return_value": {}, "returns": {}, "out": {},
	"pydantic": {true}, "json_dict": {true},
}

// meant is what the author of an expression may have meant by its names.
type meant struct {
	*compiler
	site
}

// Reference implements expr.Names.
func (m meant) Reference(root string, steps []expr.Step) expr.Reference {
	as := expr.Reference{Path: expr.Path{Root: root, Steps: steps}}
	switch {
	case root == "nodes":
		return m.ofNodes(as, steps, "")
	case root == "inputs" && len(steps) > 1 && steps[0].Key == "parameters" && !m.isInput("parameters") && m.isInput(steps[1].Key):
		as.Path.Steps, as.Changed, as.Code, as.Say = steps[1:], true, codeUnknownInput, "an input is read as inputs."+steps[1].Key
		return as
	case slices.Contains(expr.Roots, root):
		return as
	}
	if to, found := m.ofRounds(as, root, steps); found {
		return to
	}
	if to, found := m.ofContext(as, root, steps); found {
		return to
	}
	switch {
	case m.local(root):
		return as
	case root == expr.Secret && !(m.isNode(root) && len(steps) > 0 && slices.Contains(expr.Members, steps[0].Key)):
		return as
	}
	if kind, ok := foreignRoots[root]; ok && !m.isOwn(kind, root) {
		if to, found := m.foreignRoot(as, kind, root, steps); found {
			if to.Stuck == "" && m.leadsInside(root, steps) {
				to.Path, to.Changed = as.Path, false
				to.Stuck = fmt.Sprintf("%q is a name of this plan, and in other languages the front of a reference: write inputs.<name> or nodes.<id>.output", root)
			}
			return to
		}
	}
	bare := strings.TrimPrefix(root, "$")
	if found, ok := m.named(as, bare, steps, root); ok {
		return found
	}
	return as
}

// local reports whether the name has a meaning where the expression stands.
func (m meant) local(root string) bool {
	for _, l := range localRoots {
		if m.may&l.may != 0 && slices.Contains(l.names, root) {
			return true
		}
	}
	return m.ownName(root)
}

// ownName reports whether the name is that of the item or of its index, given by the list of the node.
func (m meant) ownName(name string) bool {
	if m.may&readsItem == 0 || m.node < 0 || m.plan.Nodes[m.node].ForEach == nil {
		return false
	}
	list := m.plan.Nodes[m.node].ForEach
	return name == list.As || name == list.IndexAs
}

// named reads a reference that begins with the name of a node or an input.
func (m meant) named(as expr.Reference, name string, rest []expr.Step, written string) (expr.Reference, bool) {
	node, isNode := m.nodeLike(name)
	isInput := m.isInput(name)
	if isNode && isInput {
		ofNode, ofInput := m.inNode(node, rest), m.inInput(name, rest)
		if ofNode == ofInput {
			as.Code = expr.CodeUnknownRoot
			as.Stuck = fmt.Sprintf("%q is a node and an input: write nodes.%s.output or inputs.%s", written, node, name)
			return as, true
		}
		isNode, isInput = ofNode, ofInput
	}
	switch {
	case isNode:
		step := expr.Step{Key: node, Index: -1}
		if len(rest) == 0 {
			rest = []expr.Step{{Key: "output", Index: -1}}
		}
		return m.ofNodes(as, append([]expr.Step{step}, rest...), fmt.Sprintf("a node is read as nodes.%s", node)), true
	case isInput:
		as.Path = expr.Path{Root: "inputs", Steps: append([]expr.Step{{Key: name, Index: -1}}, rest...)}
		as.Changed, as.Code, as.Say = true, expr.CodeUnknownRoot, fmt.Sprintf("an input is read as inputs.%s", name)
		return as, true
	}
	return as, false
}

// inNode reports whether steps may follow the id of a node.
func (m meant) inNode(id string, steps []expr.Step) bool {
	if len(steps) == 0 || slices.Contains(expr.Members, steps[0].Key) || hasWrapper(steps[0].Key) {
		return true
	}
	names, closed := m.shapeFor(m.ids[id], m.site.node, m.may).properties()
	return slices.Contains(names, steps[0].Key) || len(names) == 0 && !closed
}

// inInput reports whether steps may follow the name of an input.
func (m meant) inInput(name string, steps []expr.Step) bool {
	at := m.inputs.Get(name)
	for _, step := range steps {
		if at == nil || at.Kind == 'n' {
			break // a null stands for a value that comes with the call
		}
		at = step.In(at)
	}
	return at != nil
}

func hasWrapper(name string) bool { _, ok := wrappers[name]; return ok }

// isInput reports whether the plan has the input.
func (m meant) isInput(name string) bool { return m.inputs != nil && m.inputs.Get(name) != nil }

// foreignRoot reads a reference that begins with a name of another language.
func (m meant) foreignRoot(as expr.Reference, kind rootKind, root string, steps []expr.Step) (expr.Reference, bool) {
	first := ""
	if len(steps) > 0 && steps[0].Index < 0 {
		first = steps[0].Key
	}
	as.Code = expr.CodeUnknownRoot
	switch kind {
	case rootNodes:
		if id, ok := m.nodeLike(first); ok {
			if len(steps) == 2 && slices.Contains(outcomes[root], steps[1].Key) {
				return m.outcome(as, id, steps[1].Key, root == "needs"), true
			}
			rest := steps[1:]
			if len(rest) == 0 {
				rest = []expr.Step{{Key: "output", Index: -1}}
			}
			step := expr.Step{Key: id, Index: -1}
			return m.ofNodes(as, append([]expr.Step{step}, rest...), fmt.Sprintf("%s is written nodes", root)), true
		}
	case rootInputs:
		if root == "$input" && !m.isInput(first) && (first == "item" || first == "json") {
			return m.foreignRoot(as, rootBefore, root, steps)
		}
		if m.isInput(first) {
			as.Path = expr.Path{Root: "inputs", Steps: steps}
			as.Changed, as.Say = true, fmt.Sprintf("%s is written inputs", root)
			return as, true
		}
	case rootAny:
		switch inner := foreignRoots[first]; {
		case first == "nodes" || first == "inputs" || first == "item" && m.may&readsItem != 0 || first == "execution" || first == "session":
			to := m.Reference(first, steps[1:])
			to.Changed, to.Code = true, expr.CodeUnknownRoot
			to.Say = strings.TrimPrefix(to.Say+", and a reference begins with "+first, ", and ")
			return to, true
		case inner == rootNodes || inner == rootInputs:
			return m.foreignRoot(as, inner, first, steps[1:])
		case first != "":
			return m.named(as, first, steps[1:], root+"."+first)
		}
	case rootItem, rootIndex:
		if m.may&readsItem == 0 {
			return as, false
		}
		as.Path.Root, as.Changed = map[rootKind]string{rootItem: "item", rootIndex: "index"}[kind], true
		as.Say = root + " is written " + as.Path.Root
		return as, true
	case rootBefore:
		steps = withoutFrame(root, steps)
		if m.node >= 0 && len(m.plan.Nodes[m.node].DependsOn) == 1 {
			id := m.plan.Nodes[m.node].DependsOn[0]
			as.Path = expr.Path{Root: "nodes", Steps: append([]expr.Step{{Key: id, Index: -1}, {Key: "output", Index: -1}}, steps...)}
			as.Changed, as.Say = true, fmt.Sprintf("%s is what the node before gave, nodes.%s.output", root, id)
			return as, true
		}
		as.Stuck = root + " is what the node before gave: name the node, as in nodes.<id>.output" + expr.StepsString(steps)
		return as, true
	case rootNone:
		if _, ok := m.nodeLike(root); ok || m.isInput(root) {
			return as, false
		}
		variable := environment.FindStringSubmatch(as.Path.String())
		if variable == nil {
			variable = []string{"", ""}
		}
		p, stuck := m.foreignSecret(m.site, variable[1])
		if stuck != "" {
			as.Stuck = fmt.Sprintf("unknown name %q: %s", root, stuck)
			return as, true
		}
		as.Path, as.Changed, as.Say = p, true, "a secret of the operator's is read as "+p.String()
		return as, true
	}
	return as, false
}

// nodeLike is the node with the id, or the one whose id differs in case and separators alone.
func (m meant) nodeLike(word string) (string, bool) {
	if word == "" || m.isNode(word) {
		return word, word != ""
	}
	if found := m.folded[fold(word)]; len(found) == 1 {
		return found[0], true
	}
	return "", false
}

var separators = strings.NewReplacer("_", "", "-", "", " ", "")

// fold is a name without its separators, in lower case.
func fold(name string) string { return strings.ToLower(separators.Replace(name)) }

// ofNodes reads steps that begin with the id of a node. why says why the front of the reference is written in another way; empty: it is
// not.
func (m meant) ofNodes(as expr.Reference, steps []expr.Step, why string) expr.Reference {
	as.Path = expr.Path{Root: "nodes", Steps: steps}
	as.Changed, as.Say = why != "", why
	if why != "" {
		as.Code = expr.CodeUnknownRoot
	}
	if len(steps) == 0 || steps[0].Index >= 0 {
		return as
	}
	id, ok := m.nodeLike(steps[0].Key)
	if !ok {
		return as
	}
	change := func(code, say string, rest ...expr.Step) {
		as.Path.Steps = append([]expr.Step{{Key: id, Index: -1}}, rest...)
		if as.Code == "" {
			as.Code = code
		}
		if as.Say != "" {
			say = as.Say + ", and " + say
		}
		as.Changed, as.Say = true, say
	}
	if id != steps[0].Key {
		change(codeUnknownNode, fmt.Sprintf("the node is %q", id), steps[1:]...)
	}
	if len(steps) == 1 {
		return as
	}
	output := expr.Step{Key: "output", Index: -1}
	if to, said := m.otherMember(m.ids[id], steps[1:]); said != "" {
		change(codeUnknownMember, said, to...)
		return as
	}
	rest, stuck, say := m.inside(m.ids[id], steps[1:], why != "")
	if block := steps[1:]; len(block) > 3 && block[0].Key == "output" && block[1].Key == "content" && block[2].Index >= 0 &&
		block[3].Key == "text" && stuck+say == "" && m.shapeFor(m.ids[id], m.site.node, m.may).at == nil {
		as.Doubt = fmt.Sprintf("content is read as a member of what the tool gave; the text of its answer is nodes.%[1]s.text, its blocks are nodes.%[1]s.content", id)
	}
	switch {
	case stuck != "":
		as.Stuck = fmt.Sprintf(stuck, id)
		if as.Code == "" {
			as.Code = codeUnknownMember
		}
	case say != "":
		change(codeUnknownMember, say, append([]expr.Step{output}, rest...)...)
	}
	return as
}

const inOutput = "what a node gave is inside output"

// inside reads what follows the id of a node: the steps inside its output, with a sentence on what differs; or a sentence on what to write,
// with %s for the id. Without either the steps stay. foreign says that the front of the reference is written as in another language, where a
// node has no content but that of its output.
func (m meant) inside(node int, steps []expr.Step, foreign bool) (rest []expr.Step, stuck, say string) {
	declared := m.shapeFor(node, m.site.node, m.may)
	names, closed := declared.properties()
	known := len(names) > 0 || closed || slices.Contains(declared.types(), "array")
	has := func(s expr.Step) bool {
		return s.Index >= 0 && slices.Contains(declared.types(), "array") || s.Index < 0 && slices.Contains(names, s.Key)
	}
	word := steps[0].Key
	after := steps[1:]
	bare := true // output is missing
	if word == "output" {
		if len(after) == 0 || after[0].Index >= 0 || known && has(after[0]) {
			return nil, "", ""
		}
		bare, word, after = false, after[0].Key, after[1:]
	} else if slices.Contains(expr.Members, word) && !(foreign && m.declaresContent(node, steps)) {
		return nil, "", ""
	}
	if word == "outputs" && len(after) > 1 && after[0].Key == "parameters" && !has(after[0]) {
		after = after[1:] // of Argo
	}
	_, wraps := wrappers[word]
	switch {
	case bare && steps[0].Index >= 0:
		if !known || has(steps[0]) {
			return steps, "", inOutput
		}
	case bare && known && has(steps[0]):
		return steps, "", inOutput
	case wraps && known && len(after) == 0 && bare:
		return nil, "", inOutput
	case wraps && known && len(after) > 0 && has(after[0]):
		return after, "", "what a node gave is output itself, without " + word
	case wraps && !known && wrappers[word].certain && (bare || word != "json" && word != "outputs"):
		return after, "", "what a node gave is output itself, without " + word
	case wraps && bare && known:
		return nil, "what a node gave is nodes.%s.output, which declares " + expr.NameList(names, 10), ""
	case wraps && bare:
		return nil, "what a node gave is nodes.%[1]s.output: write nodes.%[1]s.output" + escaped(after) + ", or nodes.%[1]s.output." + word +
			escaped(after) + " where the result has a member " + word, ""
	case bare && !known && len(schemas.Nearest(word, expr.Members, 1)) == 0:
		return steps, "", inOutput
	case !bare && known && len(names) == 1 && hasWrapper(names[0]):
		if inner, _ := declared.property(names[0]); inner.at != nil {
			if _, ok := inner.property(word); ok {
				return append([]expr.Step{{Key: names[0], Index: -1}, {Key: word, Index: -1}}, after...), "", "the result is inside output." + names[0]
			}
		}
	}
	return nil, "", ""
}

func escaped(steps []expr.Step) string { return strings.ReplaceAll(expr.StepsString(steps), "%", "%%") }
