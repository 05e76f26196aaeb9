package plan

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// nodes reads the list of nodes, or a map of nodes by id, which is made a list.
func (d *decoder) nodes(to *[]schemas.Node, v *document.Tree, at string) {
	d.fromText(v, at, "[{")
	switch v.Kind {
	case '{', '[':
		if d.handlerAmong(v, at) {
			d.blind = true
			return
		}
		if v.Kind == '{' {
			d.nodeMap(v, at)
		}
	default:
		d.wrong(v, at, "a list of nodes")
		d.blind = true
		return
	}
	if d.count += len(v.Items); d.count > d.lim.MaxNodes {
		d.out.errorf(codeTooManyNodes, at, "the plan has %d nodes; at most %d are allowed", d.count, d.lim.MaxNodes)
		d.blind = true
		return
	}
	*to = make([]schemas.Node, len(v.Items))
	for i := range v.Items {
		d.node(&(*to)[i], &v.Items[i], schemas.PointerToItem(at, i))
		if d.out.full() {
			return
		}
	}
}

// aside is where the fix of a map of nodes puts it while it makes the list.
const aside = "_by_id"

// nodeMap turns a map of nodes into the list, in its order.
func (d *decoder) nodeMap(v *document.Tree, at string) {
	aside := at + aside
	ops := []schemas.PatchOp{opMove(at, aside), opAdd(at, json.RawMessage("[]"))}
	for i, id := range v.Names {
		n := &v.Items[i]
		where := schemas.PointerToItem(at, i)
		ops = append(ops, opMove(schemas.PointerTo(aside, id), where))
		if n.Kind != '{' || n.Get("id") != nil {
			continue
		}
		ops = append(ops, opAdd(where+"/id", json.RawMessage(document.Quote(id))))
		n.Put("id", document.Tree{Kind: '"', Raw: document.Quote(id)})
	}
	ops = append(ops, opRemove(aside))
	d.out.warnf(codeAlias, at, "nodes is a list, in which each node has its id").Fix = ops
	v.Kind, v.Names = '[', nil
}

// unreadNode is the id of node i, which is no object, so that the others can be checked. It stands in no message.
func unreadNode(i int) string { return fmt.Sprintf("node_%d_is_none", i) }

func (d *decoder) node(n *schemas.Node, v *document.Tree, at string) {
	if v.Kind != '{' {
		f := d.wrong(v, at, "an object")
		if v.Kind == '[' {
			f.Message += ": nodes is one list, without lists in it; " + sayParallel
		}
		n.Set, n.ID = nullValue, unreadNode(lastIndex(at))
		return
	}
	d.keyed(v, at)
	what := "node"
	if id := v.Get("id"); id != nil && id.Kind == '"' {
		what = fmt.Sprintf("node %q", expr.Shorten(id.Text()))
	}
	if w := v.Get("when"); w != nil {
		condition(&found{d: d, object: v, value: w, kind: "node", what: what, at: at, name: "when"})
	}
	d.relocate(v, at)
	d.fields(n, v, at, what)
	if len(kindsOf(n)) > 0 {
		return
	}
	for i, name := range v.Names { // a kind was given and could not be read
		if slices.Contains(kindNames, name) && v.Items[i].Kind != 'n' {
			n.Set = nullValue
		}
	}
}
