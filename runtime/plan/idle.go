package plan

import "fmt"

// idle warns about a wait, an event or a question in the middle of the plan that nothing waits for: authors take the
// order in which nodes are written for the order in which they run. Which nodes are meant to wait is not certain.
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
	for i := range c.prog.Nodes[:len(c.prog.Nodes)-1] {
		n := &c.prog.Nodes[i]
		if c.out.full() {
			return
		}
		orders := n.Kind == KindWait || n.Kind == KindWaitFor || n.Kind == KindReview
		if !orders || len(n.Deps)+len(n.Dependents) > 0 || read[n.ID] {
			continue
		}
		f := c.out.warnf(codeMissingDependency, c.at(i), "node %q depends on nothing and nothing depends on it, so nothing waits for it: nodes run as "+
			"soon as their references allow, whatever their place in the list", n.ID)
		if next := c.prog.Nodes[i+1].ID; !c.reaches(i, i+1) {
			f.Message += fmt.Sprintf("; if node %q is to wait for it, write depends_on: [%s] there", next, n.ID)
		}
	}
}

// reaches reports whether a node depends on another one, directly or through others.
func (c *compiler) reaches(from, to int) bool {
	seen := make([]bool, len(c.prog.Nodes))
	open := []int{from}
	for len(open) > 0 {
		at := open[len(open)-1]
		open = open[:len(open)-1]
		if at == to {
			return true
		}
		for _, d := range c.prog.Nodes[at].Deps {
			if !seen[d] {
				seen[d] = true
				open = append(open, d)
			}
		}
	}
	return false
}
