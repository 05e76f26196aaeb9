package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// nodes reads the list of nodes, or a map of nodes by id, which is made a list.
func (d *decoder) nodes(to *[]schemas.Node, v *document.Tree, at string) {
	switch v.Kind {
	case '{':
		d.nodeMap(v, at)
	case '[':
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

func (d *decoder) node(n *schemas.Node, v *document.Tree, at string) {
	if v.Kind != '{' {
		d.wrong(v, at, "an object")
		n.Set = nullValue
		return
	}
	d.aliases(v, at, nodeAliases)
	d.retries(v, at)
	d.relocate(v, at)
	what := "node"
	if id := v.Get("id"); id != nil && id.Kind == '"' {
		what = fmt.Sprintf("node %q", expr.Shorten(id.Text()))
	}
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

// aliases replaces other names of fields by the fields.
func (d *decoder) aliases(v *document.Tree, at string, words map[string]string) {
	for i, name := range v.Names {
		canonical, ok := words[name]
		if !ok {
			continue
		}
		where := schemas.PointerTo(at, name)
		if v.Get(canonical) != nil {
			d.out.errorf(codeAliasConflict, where, "%s means %s, which is given as well; keep one of them", name, canonical)
			v.Items[i] = document.Tree{Kind: 'n', Raw: "null"}
			v.Names[i] = canonical
			continue
		}
		d.out.warnf(codeAlias, where,
			"%s is taken as %s", name, canonical).Fix = []schemas.PatchOp{opMove(where, schemas.PointerTo(at, canonical))}
		v.Names[i] = canonical
	}
}

// retries turns retries: n into retry.max_attempts n+1.
func (d *decoder) retries(v *document.Tree, at string) {
	r := v.Get("retries")
	if r == nil {
		return
	}
	where := at + "/retries"
	n, err := strconv.Atoi(r.Raw)
	if r.Kind != '0' || err != nil || n < 0 {
		d.wrong(r, where, "a whole number of tries after the first")
		v.Drop("retries")
		return
	}
	attempts := strconv.Itoa(n + 1)
	retry := v.Get("retry")
	switch {
	case retry == nil:
		v.Put("retry", document.Tree{Kind: '{', Names: []string{"max_attempts"}, Items: []document.Tree{{Kind: '0', Raw: attempts}}})
		d.out.warnf(codeAlias, where, "retries: %d is taken as retry.max_attempts: %s, which counts the first try", n, attempts).Fix =
			[]schemas.PatchOp{opRemove(where), opAdd(at+"/retry", json.RawMessage(`{"max_attempts":`+attempts+`}`))}
	case retry.Kind == '{' && retry.Get("max_attempts") == nil:
		retry.Put("max_attempts", document.Tree{Kind: '0', Raw: attempts})
		d.out.warnf(codeAlias, where, "retries: %d is taken as retry.max_attempts: %s, which counts the first try", n, attempts).Fix =
			[]schemas.PatchOp{opRemove(where), opAdd(at+"/retry/max_attempts", json.RawMessage(attempts))}
	default:
		d.out.errorf(codeAliasConflict, where, "retries means retry.max_attempts, which is given as well; keep one of them").Fix =
			[]schemas.PatchOp{opRemove(where)}
	}
	v.Drop("retries")
}
