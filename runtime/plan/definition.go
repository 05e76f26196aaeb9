package plan

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/runplane/runplane/schemas"
)

// definitions compiles the plans within the plan. Each reads its own nodes and inputs alone.
func (c *compiler) definitions() {
	c.subs = map[int]*Program{}
	for i := range c.plan.Nodes {
		d := definitionOf(&c.plan.Nodes[i])
		if d == nil || c.out.full() {
			continue
		}
		inner := &compiler{work: c.work, base: c.at(i) + toDefinition, outer: c, holder: i, depth: c.depth + 1, plan: *d}
		c.subs[i] = inner.compile()
	}
}

// shared is what all programs of one compilation have in common: compiled expressions and schemas.
func (w *work) shared() (Evaluator, map[string]inputCheck) {
	if w.evaluator == nil {
		w.evaluator, w.checks = &language{lim: w.lim}, map[string]inputCheck{}
	}
	return w.evaluator, w.checks
}

// knownInputs reads the inputs of the plan. For a plan within a plan those that its node gives replace the members of
// its own; what is computed stands as null, which is a value that comes later.
func (c *compiler) knownInputs() {
	t, err := parseTree(cmp.Or(string(c.plan.Inputs), "{}"))
	if err != nil {
		return
	}
	if c.outer != nil {
		n := &c.outer.plan.Nodes[c.holder]
		if given, err := parseTree(cmp.Or(string(n.Inputs), "{}")); err == nil {
			c.givenInputs(&t, &given, n)
		}
	}
	c.inputs = &t
}

// givenInputs puts what the node gives into the definition's inputs. A name that the definition lacks and that is near
// to one that it has was misspelt.
func (c *compiler) givenInputs(own, given *tree, n *schemas.Node) {
	declared := own.keys()
	for k, name := range given.names {
		value := given.items[k]
		if value.kind != '"' && strings.Contains(value.raw, "${") || value.kind == '"' && strings.Contains(value.text(), "${") {
			value = tree{kind: 'n', raw: "null"}
		}
		if near := schemas.Nearest(name, declared, 1); len(near) > 0 && !slices.Contains(declared, name) && given.get(near[0]) == nil &&
			!strings.Contains(string(quotedNodes(c.plan.Nodes)), "inputs."+name) {
			at := c.outer.at(c.holder) + "/inputs"
			c.out.errorf(codeUnknownInput, pointerTo(at, name), "the definition of node %q has no input %q; did you mean %q?", n.ID, name, near[0]).Fix =
				[]schemas.PatchOp{opMove(pointerTo(at, name), pointerTo(at, near[0]))}
			name = near[0]
		}
		own.put(name, value)
	}
}

// quotedNodes is the text of nodes, to look for a word in.
func quotedNodes(nodes []schemas.Node) []byte {
	raw, err := json.Marshal(nodes)
	if err != nil {
		return nil
	}
	return raw
}

// MergeInputs gives the inputs of a run of this plan within another: the plan's own, with the members that the node
// gives in their place. The error says that given is no JSON object.
func (p *Program) MergeInputs(given json.RawMessage) (json.RawMessage, error) {
	own, err := parseTree(cmp.Or(string(p.Definition.Plan.Inputs), "{}"))
	if err != nil {
		return nil, schemas.Errorf(schemas.CodeInternal, "the inputs of the definition are %v", err)
	}
	more, err := parseTree(cmp.Or(string(given), "{}"))
	if err != nil || more.kind != '{' {
		return nil, schemas.Errorf(schemas.CodeInvalidArgument, "the inputs of a workflow are an object")
	}
	for k, name := range more.names {
		own.put(name, more.items[k])
	}
	return own.appendTo(nil), nil
}
