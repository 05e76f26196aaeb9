package plan

import (
	"encoding/json"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// idle warns about a wait, an event or a question in the middle of the plan that nothing waits for: authors take the
// order in which nodes are written for the order in which they run. The fix makes it so.
func (c *compiler) idle() {
	if c.out.errors > 0 {
		return
	}
	read := map[string]bool{}
	for h := range c.prog.Output.Placeholders() {
		for id := range h.Nodes() {
			read[id] = true
		}
	}
	added := map[int][]int{} // dependencies of the fixes so far
	for i := range c.prog.Nodes[:len(c.prog.Nodes)-1] {
		n := &c.prog.Nodes[i]
		if c.out.full() {
			return
		}
		orders := n.Kind == KindWait || n.Kind == KindWaitFor || n.Kind == KindReview
		if !orders || len(n.Deps)+len(n.Dependents) > 0 || read[n.ID] {
			continue
		}
		f := c.out.warnf(codeMissingDependency, c.at(i),
			"node %q depends on nothing and nothing depends on it, so nothing waits for it: nodes run as soon as their "+
				"references allow, whatever their place in the list", n.ID)
		for _, edge := range [][2]int{{i + 1, i}, {i, i - 1}} {
			if from, to := edge[0], edge[1]; to >= 0 && !c.reaches(to, from, added) {
				f.Fix = append(f.Fix, c.fixDependency(from, to, len(added[from])))
				added[from] = append(added[from], to)
			}
		}
	}
}

// fixDependency makes node i depend on another one, after so many that other fixes have added.
func (c *compiler) fixDependency(i, on, before int) schemas.PatchOp {
	at, id := c.at(i)+"/depends_on", document.Quote(c.prog.Nodes[on].ID)
	if k := len(c.plan.Nodes[i].DependsOn) + before; k > 0 {
		return opAdd(schemas.PointerToItem(at, k), json.RawMessage(id))
	}
	return opAdd(at, json.RawMessage("["+id+"]"))
}

// reaches reports whether a node depends on another one, directly or through others.
func (c *compiler) reaches(from, to int, added map[int][]int) bool {
	seen := make([]bool, len(c.prog.Nodes))
	open := []int{from}
	for len(open) > 0 {
		at := open[len(open)-1]
		open = open[:len(open)-1]
		if at == to {
			return true
		}
		for _, list := range [][]int{c.prog.Nodes[at].Deps, added[at]} {
			for _, d := range list {
				if !seen[d] {
					seen[d] = true
					open = append(open, d)
				}
			}
		}
	}
	return false
}
