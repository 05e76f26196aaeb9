package plan

import (
	"fmt"
	"slices"
	"strings"
)

// findCycles returns up to limit cycles that share no node, each as the indices along its arrows: every node depends on
// the next, the last on the first.
func findCycles(nodes []Node, limit int) [][]int {
	const (
		unseen = iota
		open   // on the path that is being walked
		done
	)
	state := make([]byte, len(nodes))
	next := make([]int, len(nodes)) // which dependency to walk next
	var cycles [][]int
	for start := range nodes {
		if state[start] != unseen {
			continue
		}
		path := []int{start}
		state[start] = open
		for len(path) > 0 {
			at := path[len(path)-1]
			if next[at] == len(nodes[at].Deps) {
				state[at] = done
				path = path[:len(path)-1]
				continue
			}
			d := nodes[at].Deps[next[at]]
			next[at]++
			switch state[d] {
			case unseen:
				state[d] = open
				path = append(path, d)
			case open:
				from := slices.Index(path, d)
				cycles = append(cycles, rotated(path[from:]))
				if len(cycles) == limit {
					return cycles
				}
				for _, i := range path[from:] {
					state[i] = done
				}
				path = path[:from]
			}
		}
	}
	return cycles
}

// rotated copies a cycle so that the node that was written first comes last, which is where it runs first.
func rotated(cycle []int) []int {
	first := slices.Index(cycle, slices.Min(cycle)) + 1
	return append(slices.Clone(cycle[first:]), cycle[:first]...)
}

// cyclePath prints a cycle in the order in which the nodes would run: a → b → a.
func cyclePath(nodes []Node, cycle []int) string {
	const most = 20
	names := make([]string, 0, len(cycle)+1)
	for i := len(cycle) - 1; i >= 0; i-- {
		names = append(names, nodes[cycle[i]].ID)
	}
	names = append(names, names[0])
	if len(names) > most {
		names = append(append(names[:most-1:most-1], "…"), names[0])
	}
	return strings.Join(names, " → ")
}

// order lists the nodes so that each comes after those it depends on.
func (p *Program) order() []int {
	missing := make([]int, len(p.Nodes))
	order := make([]int, 0, len(p.Nodes))
	for i := range p.Nodes {
		if missing[i] = len(p.Nodes[i].Deps); missing[i] == 0 {
			order = append(order, i)
		}
	}
	for k := 0; k < len(order); k++ {
		for _, d := range p.Nodes[order[k]].Dependents {
			if missing[d]--; missing[d] == 0 {
				order = append(order, d)
			}
		}
	}
	return order
}

// cut says where a cycle may be cut: the one depends_on in it, if what the nodes read of each other makes the rest. Which of both the
// author meant is not known, so there is no fix.
func (c *compiler) cut(cycle []int) string {
	at, found := "", 0
	for k, i := range cycle {
		needs := cycle[(k+1)%len(cycle)]
		if n, id := &c.prog.Nodes[i], c.prog.Nodes[needs].ID; !c.needsOutput(i, id) {
			at, found = fmt.Sprintf("%q waits for %q by depends_on alone, and the others read what the one before gives: take %q out of "+
				"the depends_on of %q, or correct what is read", n.ID, id, id, n.ID), found+1
		}
	}
	if found != 1 {
		return "take out one of the references or depends_on between them"
	}
	return at
}

// needsOutput reports whether a node reads another one.
func (c *compiler) needsOutput(i int, id string) bool {
	for _, t := range c.prog.Nodes[i].templates(&c.plan.Nodes[i]) {
		for h := range t.template.Placeholders() {
			if slices.Contains(slices.Collect(h.Nodes()), id) {
				return true
			}
		}
	}
	return false
}
