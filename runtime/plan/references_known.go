package plan

import (
	"slices"

	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// What is known of the values that references lead to.

// Type implements expr.Names.
func (m meant) Type(p expr.Path) string {
	types := m.operandTypes(m.site, &expr.Operand{Path: p})
	if len(types) != 1 {
		return ""
	}
	return types[0]
}

// Certain implements expr.Names.
func (m meant) Certain(p expr.Path) bool {
	switch p.Root {
	case "inputs":
		return len(p.Steps) == 0 || len(p.Steps) == 1 && m.isInput(p.Steps[0].Key)
	case "nodes":
		return len(p.Steps) == 2 && slices.Contains(expr.Members, p.Steps[1].Key) || m.required(p)
	}
	return len(p.Steps) == 0
}

// declaresContent reports whether steps that follow the id of a node read its content blocks, where the output has a content of its own that
// they fit better.
func (c *compiler) declaresContent(node int, steps []expr.Step) bool {
	if steps[0].Key != "content" || c.plan.Nodes[node].ForEach != nil {
		return false
	}
	declared, known := c.outputShape(node).property("content")
	if !known || len(steps) == 1 {
		return known
	}
	return compatible(declared.types(), []string{"array"}) == (steps[1].Index >= 0)
}

// required reports whether a path leads to what the output of a node always has, where the node has succeeded.
func (m meant) required(p expr.Path) bool {
	i, ok := m.ids[p.NodeID()]
	if !ok || len(p.Steps) < 3 || p.Steps[1].Key != "output" {
		return false
	}
	n := &m.plan.Nodes[i]
	if n.OnError != "" && n.OnError != schemas.OnErrorFail || len(n.Fallback) > 0 || n.ForEach != nil ||
		m.node < 0 || m.plan.Nodes[m.node].TriggerRule != "" && m.plan.Nodes[m.node].TriggerRule != schemas.AllSuccess {
		return false
	}
	at := m.shapeFor(i, m.site.node, m.may)
	for _, s := range p.Steps[2:] {
		if s.Index >= 0 || at.at == nil || !slices.Equal(at.types(), []string{"object"}) {
			return false
		}
		if required := at.at.Get("required"); required == nil || !slices.Contains(namesIn(required), s.Key) {
			return false
		}
		at, _ = at.property(s.Key)
	}
	return true
}
