package plan

import (
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// References that other languages write as objects: {"$ref": "nodes.x.output.y"} and {"from": "x", "path": "y"}.

// refKeys are the keys of an object that is a reference: it has no other key.
var refKeys = names("$ref ref Ref reference $expr expr expression $path $from $var var $eval value_from valueFrom $value")

// nodeKeys and pathKeys are the two keys of an object that names a node and what is read of it.
var (
	nodeKeys = names("from node step task source node_id nodeId from_node fromNode step_id stepId task_id")
	pathKeys = names("path field output key property select output_key outputKey value attribute")
)

func names(of string) map[string]bool {
	set := map[string]bool{}
	for _, name := range strings.Fields(of) {
		set[name] = true
	}
	return set
}

// foreignValue looks in a value, its objects and its strings.
func (c *compiler) foreignValue(t *document.Tree, s site, depth int) {
	switch t.Kind {
	case '{':
		if depth > 0 && c.objectReference(t, s) {
			return
		}
		for i := range t.Items {
			inner := s
			inner.at = schemas.PointerTo(s.at, t.Names[i])
			c.foreignValue(&t.Items[i], inner, depth+1)
		}
	case '[':
		for i := range t.Items {
			inner := s
			inner.at = schemas.PointerToItem(s.at, i)
			c.foreignValue(&t.Items[i], inner, depth+1)
		}
	case '"':
		s.Placeholder = &expr.Placeholder{Source: t.Text()}
		c.foreignText(textOf{site: s, source: t.Text()})
	}
}

// objectReference reports an object that is a reference elsewhere, and whether it did.
func (c *compiler) objectReference(t *document.Tree, s site) bool {
	with := ""
	switch {
	case len(t.Names) == 1 && strings.HasPrefix(t.Names[0], "Fn::"):
		c.out.warnf(codeForeign, s.at, "%s is sent as it is, an object: a value is written ${nodes.<id>.output.x} or ${inputs.x}, a text with values \"a ${inputs.x}\"",
			expr.Shorten(t.Names[0]))
		return false
	case len(t.Names) == 1 && refKeys[t.Names[0]] && t.Items[0].Kind == '"':
		text := expr.Unwrapped(t.Items[0].Text())
		if m := (meant{c, s}); t.Names[0] == "Ref" && m.isInput(text) { // of CloudFormation
			with = "${inputs." + text + "}"
			break
		}
		if !strings.Contains(text, ".") || strings.Contains(text, "${") || strings.HasPrefix(text, "#") {
			return false
		}
		with = c.reference(s, text)
	case len(t.Names) == 2:
		node, path := 0, 1
		if pathKeys[t.Names[0]] {
			node, path = 1, 0
		}
		if !nodeKeys[t.Names[node]] || !pathKeys[t.Names[path]] || t.Items[node].Kind != '"' || t.Items[path].Kind != '"' {
			return false
		}
		id, ok := meant{c, s}.nodeLike(t.Items[node].Text())
		member := strings.TrimPrefix(strings.TrimPrefix(t.Items[path].Text(), "$"), ".")
		if !ok || member == "" || c.shapeFor(c.ids[id], s.node, s.may).at == nil {
			return false
		}
		if !strings.HasPrefix(member, "output") {
			member = "output." + member
		}
		p, plain := expr.ParsePath("nodes." + id + "." + member)
		if !plain || c.shapeOf(p, s.node, s.may).at == nil {
			return false
		}
		with = c.reference(s, p.String())
	}
	if with == "" {
		return false
	}
	raw := string(t.AppendTo(nil))
	c.out.errorf(codeForeign, s.at, "%s is sent as it is: a value is written in ${…}: write %s", expr.Shorten(raw), with).Fix =
		[]schemas.PatchOp{opReplaceText(s.at, with)}
	return true
}

// reference is a reference of another language as it is written here; empty: it leads to nothing of this plan.
func (c *compiler) reference(s site, text string) string {
	s.Placeholder = &expr.Placeholder{Source: text}
	r := expr.Rewrite(text, meant{c, s})
	with := "${" + r.Text + "}"
	if !r.Parsed || len(r.Stuck) > 0 || len(r.Reads) != 1 || !c.leads(s, r.Reads[0]) || c.unusable(s.node, with) != "" {
		return ""
	}
	return with
}

// isItem reports whether a name is that of the item of a node's list.
func (c *compiler) isItem(node int, name string) bool {
	list := c.plan.Nodes[node].ForEach
	return list != nil && (name == list.As || list.As == "" && name == "item")
}

// takesItem reports whether a string that is the name of the item stands for the item: nothing else of the node reads the item, and the
// argument is declared as what the item is, without the word as one of its values.
func (c *compiler) takesItem(s textOf, name string) bool {
	n := &c.plan.Nodes[s.node]
	tool := c.tools[n.Capability]
	place, ok := strings.CutPrefix(s.at, c.at(s.node)+"/inputs")
	if tool == nil || !ok || place == "" {
		return false
	}
	reads := expr.ReplaceWord(n.When, name, "") != n.When
	inputs, err := document.Parse(string(n.Inputs))
	if err != nil {
		return false
	}
	rewriteStrings(&inputs, "", func(_, text string) string {
		segments, _ := expr.Split(text)
		for _, segment := range segments {
			reads = reads || segment.Expression && expr.ReplaceWord(segment.Text, name, "") != segment.Text
		}
		return text
	})
	argument := tool.input.place(place)
	types, item := argument.types(), c.itemShape(s.node).types()
	if reads || argument.at == nil || len(types) == 0 || len(item) == 0 || !compatible(item, types) {
		return false
	}
	return argument.at.Get("enum") == nil && argument.at.Get("const") == nil
}
