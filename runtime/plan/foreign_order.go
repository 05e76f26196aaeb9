package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// In other languages an earlier node names the later ones, or the plan has a list of edges. Both are depends_on of the later node.

// arrow says that one node runs after another one.
type arrow struct{ from, to string }

// ends are the names of no node at either end of an arrow.
var arrowEnds = []string{"start", "end", "__start__", "__end__", "done", "none", ""}

// arrowFields lists the fields of a node that name what comes after it.
func arrowFields(n *document.Tree) (words []string) {
	for _, word := range n.Names {
		if slices.Contains([]string{"next", "then", "on_success"}, snake(word)) {
			words = append(words, word)
		}
	}
	return words
}

// arrows writes the edges of a plan, and what its nodes name as next, as depends_on. What it cannot read stays for the table.
func (d *decoder) arrows(t *document.Tree, at string) {
	name := ""
	for _, n := range append([]string{"nodes"}, strings.Fields(nodeLists)...) {
		if v := t.Get(n); v != nil && (v.Kind == '[' || v.Kind == '{') {
			name = n
			break
		}
	}
	if name == "" {
		return
	}
	nodes, where := t.Get(name), schemas.PointerTo(at, name)
	if nodes.Kind == '{' {
		if handler, _ := handlerKey(nodes); handler >= 0 || !slices.ContainsFunc(nodes.Items, func(n document.Tree) bool { return len(arrowFields(&n)) > 0 }) {
			return
		}
		d.nodeMap(nodes, where)
	}
	ids := map[string]int{}
	if d.named == nil {
		d.named = map[string]bool{}
	}
	for i := range nodes.Items {
		if id := nodes.Items[i].Get("id"); id != nil && id.Kind == '"' {
			ids[id.Text()] = i
			d.named[strings.ToLower(id.Text())] = true
		}
	}
	for i := range nodes.Items {
		n := &nodes.Items[i]
		id := n.Get("id")
		if n.Kind != '{' || id == nil || id.Kind != '"' {
			continue
		}
		for _, word := range arrowFields(n) {
			var list []arrow
			ok := true
			for _, to := range namesIn(n.Get(word)) {
				ok = ok && arrowEnd(ids, to)
				list = append(list, arrow{id.Text(), to})
			}
			if ok = ok && len(list) > 0; ok {
				d.drawn(nodes, where, ids, list, n, schemas.PointerTo(schemas.PointerToItem(where, i), word))
			}
		}
	}
	for _, word := range []string{"edges", "connections", "links"} {
		if v := t.Get(word); v != nil && v.Kind == '[' {
			if list := arrowsIn(v, ids); list != nil {
				d.drawn(nodes, where, ids, list, t, schemas.PointerTo(at, word))
			}
		}
	}
}

// arrowEnd reports whether a name is the id of a node, or at an end of the flow where no node is called like that.
func arrowEnd(ids map[string]int, name string) bool {
	if _, known := ids[name]; known {
		return true
	}
	for id := range ids {
		if strings.EqualFold(id, name) && name != "START" && name != "END" { // as in LangGraph
			return false
		}
	}
	return slices.Contains(arrowEnds, strings.ToLower(name))
}

// namesIn is a text, or the texts of a list.
func namesIn(v *document.Tree) (names []string) {
	switch v.Kind {
	case '"':
		return []string{v.Text()}
	case '[':
		for i := range v.Items {
			if v.Items[i].Kind != '"' {
				return nil
			}
			names = append(names, v.Items[i].Text())
		}
	}
	return names
}

// arrowsIn reads a list of edges: pairs, objects with both ends, or texts with an arrow; nil: one of them says more, or names no node.
func arrowsIn(v *document.Tree, ids map[string]int) (list []arrow) {
	for i := range v.Items {
		var ends []string
		switch e := &v.Items[i]; e.Kind {
		case '[':
			ends = namesIn(e)
		case '"':
			for _, sign := range []string{"->", "→", "=>", ">>"} {
				if from, to, ok := strings.Cut(e.Text(), sign); ok {
					ends = []string{strings.TrimSpace(from), strings.TrimSpace(to)}
					break
				}
			}
		case '{':
			for _, pair := range [][2]string{{"from", "to"}, {"source", "target"}, {"start", "end"}} {
				from, to := e.Get(pair[0]), e.Get(pair[1])
				if from == nil || to == nil || from.Kind != '"' || to.Kind != '"' {
					continue
				}
				for j, name := range e.Names {
					if name != pair[0] && name != pair[1] && name != "id" && !saysNothing(name, &e.Items[j]) {
						return nil // a condition, or a handle
					}
				}
				ends = []string{from.Text(), to.Text()}
			}
		}
		if len(ends) != 2 {
			return nil
		}
		for _, end := range ends {
			if !arrowEnd(ids, end) {
				return nil
			}
		}
		list = append(list, arrow{ends[0], ends[1]})
	}
	return list
}

// plainEdges are the words of labels and types of edges that say no more than the edge.
var plainEdges = strings.Fields("default smoothstep straight bezier step simplebezier normal edge link arrow next then follows after before sequence " +
	"sequential flow depends on depend dependency data output outputs result results")

// saysNothing reports whether a member of an edge is a label or a type that says no more than the edge: any other may be a condition. A label
// "default" is the branch that is taken otherwise.
func saysNothing(name string, v *document.Tree) bool {
	if name != "label" && name != "type" || v.Kind != '"' {
		return (name == "label" || name == "type") && v.Kind == 'n'
	}
	for _, word := range strings.FieldsFunc(strings.ToLower(v.Text()), func(r rune) bool { return r == ' ' || r == '_' || r == '-' }) {
		if !slices.Contains(plainEdges, word) || word == "default" && name == "label" {
			return false
		}
	}
	return true
}

// conditionalEdges are edges that depend on something.
func conditionalEdges(f *found) bool {
	if hasMember(f.value, "condition", "when", "if", "path_map", "path", "guard", "on", "expression", "predicate", "source_handle", "branch", "outcome", "status") {
		return f.refused(sayBranch)
	}
	for i := range f.value.Items {
		for j, name := range f.value.Items[i].Names {
			if (name == "label" || name == "type") && !saysNothing(name, &f.value.Items[i].Items[j]) {
				return f.refused(fmt.Sprintf("the %s of an edge may be a condition: %s; %s", name, sayBranch, sayHandler))
			}
		}
	}
	return false
}

// drawn writes arrows as depends_on, and takes out the field that had them.
func (d *decoder) drawn(nodes *document.Tree, where string, ids map[string]int, list []arrow, holder *document.Tree, at string) {
	for _, a := range list {
		if _, known := ids[a.from]; known && a.from == a.to {
			d.out.errorf(codeUnknownField, at, "%s leads from node %q to itself, and no node runs twice: %s", expr.Shorten(lastPart(at)), expr.Shorten(a.from), sayRounds)
			holder.Drop(lastPart(at))
			return
		}
	}
	fix := []schemas.PatchOp{opRemove(at)}
	type change struct {
		node int
		from string
	}
	var changes []change
	for _, a := range list {
		to, ok := ids[a.to]
		if _, known := ids[a.from]; !ok || !known {
			continue
		}
		deps := nodes.Items[to].Get("depends_on")
		if deps != nil && deps.Kind != '[' && deps.Kind != 'n' {
			return // it is read first
		}
		changes = append(changes, change{to, a.from})
	}
	var said []string
	for _, c := range changes {
		n := &nodes.Items[c.node]
		to := schemas.PointerToItem(where, c.node) + "/depends_on"
		deps := n.Get("depends_on")
		quoted := document.Tree{Kind: '"', Raw: document.Quote(c.from)}
		switch {
		case deps == nil || deps.Kind == 'n':
			n.Put("depends_on", document.Tree{Kind: '[', Items: []document.Tree{quoted}})
			fix = append(fix, opAdd(to, json.RawMessage("["+quoted.Raw+"]")))
		case slices.Contains(namesIn(deps), c.from):
			continue
		default:
			fix = append(fix, opAdd(schemas.PointerToItem(to, len(deps.Items)), json.RawMessage(quoted.Raw)))
			deps.Items = append(slices.Clip(deps.Items), quoted)
		}
		said = append(said, fmt.Sprintf("%s depends on %s", n.Get("id").Text(), c.from))
	}
	name := lastPart(at)
	holder.Drop(name)
	if len(said) == 0 {
		said = []string{"nothing that is not so anyway"}
	}
	d.out.warnf(codeAlias, at, "%s is taken as depends_on of the later nodes: %s", expr.Shorten(name), expr.NameList(said, 10)).Fix = fix
}
