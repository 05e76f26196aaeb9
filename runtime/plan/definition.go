package plan

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// definitions compiles the plans within the plan; false when one of them has no program. Each reads its own nodes and
// inputs alone.
func (c *compiler) definitions() bool {
	c.subs = map[int]*Program{}
	complete := true
	for i := range c.plan.Nodes {
		d := definitionOf(&c.plan.Nodes[i])
		switch {
		case d == nil:
			continue
		case c.out.full():
			return false
		}
		inner := &compiler{work: c.work, base: c.at(i) + toDefinition, outer: c, holder: i, depth: c.depth + 1, plan: *d}
		c.subs[i] = inner.compile()
		complete = complete && c.subs[i] != nil
	}
	return complete
}

// shared is what all programs of one compilation have in common: compiled expressions and schemas.
func (w *work) shared() (expr.Evaluator, map[string]inputCheck) {
	if w.evaluator == nil {
		w.evaluator, w.checks = expr.NewEvaluator(w.lim.Limits), map[string]inputCheck{}
	}
	return w.evaluator, w.checks
}

// knownInputs reads the inputs of the plan. For a plan within a plan those that its node gives replace the members of
// its own; what is computed is null here, which means a value that is known later.
func (c *compiler) knownInputs() {
	t, err := document.Parse(cmp.Or(string(c.plan.Inputs), "{}"))
	if err != nil {
		return
	}
	if c.outer != nil {
		n := &c.outer.plan.Nodes[c.holder]
		if given, err := document.Parse(cmp.Or(string(n.Inputs), "{}")); err == nil {
			c.givenInputs(&t, &given, n)
		}
	}
	c.inputs = &t
}

// givenInputs puts what the node gives into the definition's inputs. A name that the definition lacks and that is near
// to one that it has was misspelt.
func (c *compiler) givenInputs(own, given *document.Tree, n *schemas.Node) {
	declared := own.Keys()
	index := make(map[string]int, len(own.Names))
	for i, name := range own.Names {
		index[name] = i
	}
	compare := len(declared)*len(given.Names) <= 10_000
	for k, name := range given.Names {
		value := given.Items[k]
		if strings.Contains(value.Raw, "${") || strings.Contains(value.Raw, `\u`) {
			value = document.Tree{Kind: 'n', Raw: "null"}
		}
		if _, have := index[name]; compare && !have && !c.out.full() {
			if near := c.misspeltInput(declared, given, name); near != "" {
				at := c.outer.at(c.holder) + "/inputs"
				c.out.errorf(codeUnknownInput, schemas.PointerTo(at, name),
					"the definition of node %q has no input %q; did you mean %q?", n.ID, name, near).Fix =
					[]schemas.PatchOp{opMove(schemas.PointerTo(at, name), schemas.PointerTo(at, near))}
				name = near
			}
		}
		if i, have := index[name]; have {
			own.Items[i] = value
			continue
		}
		index[name] = len(own.Names)
		own.Names, own.Items = append(own.Names, name), append(own.Items, value)
	}
}

// misspeltInput finds the input that is near to a name which the definition neither has nor reads.
func (c *compiler) misspeltInput(declared []string, given *document.Tree, name string) string {
	near := schemas.Nearest(name, declared, 1)
	if len(near) == 0 || given.Get(near[0]) != nil || strings.Contains(string(quotedNodes(c.plan.Nodes)), "inputs."+name) {
		return ""
	}
	return near[0]
}

// quotedNodes is the text of nodes, to look for a word in.
func quotedNodes(nodes []schemas.Node) []byte {
	raw, err := json.Marshal(nodes)
	if err != nil {
		return nil
	}
	return raw
}
