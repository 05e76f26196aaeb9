package plan

import (
	"encoding/json"
	"slices"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// verified warns where the answer of a verification becomes the output of its node, and other nodes read what such an
// answer does not have: the plan fails only when it is verified. One finding for each verification.
func (c *compiler) verified(s site, r expr.Read, node int) {
	u := c.plan.Nodes[node].OnUnknown
	if u == nil || u.Verify == nil || len(u.Verify.Output) > 0 || r.Guarded || c.warned[node] {
		return
	}
	steps := r.Path.Steps[2:]
	if c.plan.Nodes[node].ForEach != nil && (node != s.node || s.may&readsSelf == 0) { // a list of such outputs
		if len(steps) == 0 || steps[0].Index < 0 {
			return
		}
		steps = steps[1:]
	}
	answer := c.toolShape(u.Verify.Capability)
	if len(steps) == 0 || !answer.lacks(steps) {
		return
	}
	if c.warned == nil {
		c.warned = map[int]bool{}
	}
	c.warned[node] = true
	at := c.at(node) + "/on_unknown/verify"
	f := c.out.warnf(codeVerifyOutput, at,
		"if %s finds that the call happened, its answer becomes the output of node %q, and that has no %q, which ${%s} "+
			"reads; give verify an output, as in output: %s",
		u.Verify.Capability, c.plan.Nodes[node].ID, expr.StepsString(steps)[1:], expr.Shorten(s.Text), `"${output.items[0]}"`)
	if inside := answer.holding(steps); inside != "" {
		f.Fix = []schemas.PatchOp{opAdd(at+"/output", json.RawMessage(document.Quote("${output."+inside+"}")))}
	}
}

// lacks reports whether a value of the shape has nothing at the end of the steps, as far as the schema declares its members.
func (s shape) lacks(steps []expr.Step) bool {
	for _, step := range steps {
		types := s.types()
		switch {
		case s.at == nil:
			return false
		case step.Index >= 0 && len(types) > 0 && !slices.Contains(types, "array"),
			step.Index < 0 && len(types) > 0 && !slices.Contains(types, "object"):
			return true
		case step.Index >= 0:
			s = s.item()
			continue
		}
		next, known := s.property(step.Key)
		if !known {
			names, closed := s.properties()
			return closed || len(names) > 0
		}
		s = next
	}
	return false
}

// holding finds the one property, or the first item of it, in which the steps lead to something declared; empty: none, or
// more than one.
func (s shape) holding(steps []expr.Step) (found string) {
	names, _ := s.properties()
	for _, name := range names {
		at, _ := s.property(name)
		where := name
		if slices.Equal(at.types(), []string{"array"}) {
			at, where = at.item(), name+"[0]"
		}
		if _, known := at.property(steps[0].Key); !known || steps[0].Index >= 0 || at.lacks(steps) || !expr.IsName(name) {
			continue
		}
		if found != "" {
			return ""
		}
		found = where
	}
	return found
}
