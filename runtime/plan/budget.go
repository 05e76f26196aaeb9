package plan

import (
	"github.com/runplane/runplane/schemas"
)

// budget refuses a plan of which it is certain that it needs more than the executions of one tree may use: over lists that are known now,
// if every node succeeds.
func (c *compiler) budget() {
	if c.outer != nil || c.out.errors > 0 { // the outermost counts those within it
		return
	}
	for k, about := range schemas.BudgetKinds {
		kind := schemas.BudgetKind(k)
		limit := *c.lim.Tree.Of(kind)
		if needed := *c.prog.Size().Least.Of(kind); limit > 0 && needed > limit {
			c.out.errorf(codeOverBudget, c.largest(kind), "the plan needs %d %s (limit %d, %s); %s",
				needed, about.Unit, limit, about.Setting, about.Hint)
		}
	}
}

// largest points to the node of the plan that needs most of a kind.
func (c *compiler) largest(kind schemas.BudgetKind) string {
	at, most := "/nodes", int64(-1)
	for i := range c.prog.Nodes {
		var size Size
		size.add(c.prog, &c.prog.Nodes[i])
		if needed := *size.Least.Of(kind); needed > most {
			at, most = c.at(i), needed
		}
	}
	return at
}
