package plan

import (
	"reflect"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// forEach reads a list, an expression that gives one, or {items, as, index_as}.
func (d *decoder) forEach(to **schemas.ForEach, v *document.Tree, at string) {
	*to = &schemas.ForEach{Bare: true}
	if v.Kind != '{' || !looksLikeList(v, foreignFields) {
		d.value(&(*to).Items, v, at)
		return
	}
	(*to).Bare = false
	d.fields(*to, v, at, "for_each")
}

// looksLikeList reports whether an object says over what a node runs, in our words or in those of another language.
func looksLikeList(v *document.Tree, words map[string][]meaning) bool {
	table := fieldsOf(reflect.TypeFor[schemas.ForEach]())
	for _, name := range v.Names {
		name = snake(name)
		if findField(table, name) != nil || isWordOf(words[name], "foreach") {
			return true
		}
	}
	return false
}

// list checks for_each as it is written; what an expression gives is checked with the expressions.
func (c *compiler) list(n *schemas.Node, at string) {
	if n.ForEach == nil {
		return
	}
	c.itemNames(n.ForEach, at+"/for_each")
	where := at + itemsAt(n)
	if len(n.ForEach.Items) == 0 {
		c.out.errorf(codeMissingField, at+"/for_each", "for_each has no items: write the list, or one ${…} that gives one, as items")
		return
	}
	c.inRange(at+"/max_parallel", "max_parallel", n.MaxParallel, 1, maxParallel)
	c.inRange(at+"/max_items", "max_items", n.MaxItems, 1, c.lim.MaxItems)
	t, err := document.Parse(string(n.ForEach.Items))
	if err != nil {
		c.out.errorf(codeWrongType, where, "for_each is %v", err)
		return
	}
	most, bound := n.MaxItems, "max_items"
	if most == 0 {
		most, bound = c.lim.MaxItems, "the most items"
	}
	switch t.Kind {
	case '[':
		if len(t.Items) > most {
			f := c.out.errorf(codeOutOfRange, where, "for_each has %d items; %s is %d", len(t.Items), bound, most)
			if n.MaxItems > 0 && len(t.Items) <= c.lim.MaxItems {
				f.Path = at + "/max_items"
			}
			return
		}
		most, bound = len(t.Items), "the number of items"
	case '"':
		c.listText(t.Text(), where)
	default:
		f := c.out.errorf(codeInvalidList, where, "for_each takes a list or one ${…} that gives one, got %s", t.TypeName())
		if t.Kind == '{' {
			f.Message += "; a list of its members would be [{key: …, value: …}, …]"
		}
	}
	if n.MinSuccess != nil && (*n.MinSuccess < 0 || *n.MinSuccess > most) {
		c.out.errorf(codeOutOfRange, at+"/min_success", "min_success must be from 0 to %d, which is %s, got %d", most, bound, *n.MinSuccess)
	}
}

// listText wants one expression. A path without its braces gets them.
func (c *compiler) listText(text, at string) {
	segments, fault := expr.Split(text)
	if fault != nil || len(segments) == 1 && segments[0].Expression {
		return // a fault is reported with the other strings
	}
	f := c.out.errorf(codeInvalidList, at, "for_each takes a list or one ${…} that gives one, got the text %q", expr.Shorten(text))
	bare := strings.TrimSpace(text)
	if strings.Contains(bare, "${") {
		return
	}
	if whole := c.embraced(bare); whole != "" && bare != "" {
		f.Fix = []schemas.PatchOp{c.fixText(at, text, func(string) string { return whole })}
	}
}

// itemNames checks the names that a list gives its items and their indices.
func (c *compiler) itemNames(list *schemas.ForEach, at string) {
	item, index := list.Names()
	for _, own := range []struct{ field, name, usual string }{{"as", list.As, "item"}, {"index_as", list.IndexAs, "index"}} {
		if own.name == "" || own.name == own.usual {
			continue
		}
		if problem := expr.NameProblem(own.name); problem != "" {
			c.out.errorf(codeInvalidName, at+"/"+own.field, "%s cannot be %q: %s", own.field, expr.Shorten(own.name), problem)
		}
	}
	if item == index {
		c.out.errorf(codeInvalidName, at, "the item and its index have the same name, %q", item)
	}
}

// itemName reports item or index where the list gives it another name.
func (c *compiler) itemName(s site, p expr.Path) bool {
	if p.As != "" || s.node < 0 || c.plan.Nodes[s.node].ForEach == nil {
		return false
	}
	name, index := c.plan.Nodes[s.node].ForEach.Names()
	if p.Root == "index" {
		name = index
	}
	if name == p.Root {
		return false
	}
	c.out.errorf(expr.CodeUnknownRoot, s.at, "%s is named %s here by for_each, got ${%s}", p.Root, name, expr.Shorten(s.Text)).Fix =
		[]schemas.PatchOp{c.fixText(s.at, s.Source, func(text string) string {
			return expr.ReplaceExpression(text, s.Text, "${"+expr.RenameRoot(s.Text, p.Root, name)+"}")
		})}
	return true
}
