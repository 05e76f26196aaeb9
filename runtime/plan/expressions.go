package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// executionFields are what ${execution.…} has.
var executionFields = []string{"id", "name", "created_at"}

// localRoots are the names that have a meaning in some places only.
var localRoots = []struct {
	may   reach
	names []string
}{
	{readsItem, []string{"item", "index"}}, {readsOutput, []string{"output"}}, {readsState, []string{"state"}},
	{readsRound, []string{"previous", "index"}}, {readsAnswer, []string{"output"}},
}

// site is one expression and where it stands.
type site struct {
	*expr.Placeholder
	node  int    // -1: the plan's output
	at    string // JSON pointer to the string
	field string // pointer below the node to the template
	may   reach
}

// language is that of the expressions of a node; -1: of the plan.
func (c *compiler) language(node int) expr.Evaluator {
	if node < 0 {
		return c.prog.language
	}
	return c.prog.Nodes[node].language
}

// expressions checks every expression and everything it reads.
func (c *compiler) expressions() {
	c.foreignTexts()
	for i := range c.prog.Nodes {
		n := &c.prog.Nodes[i]
		base := c.at(i)
		for _, t := range n.templates(&c.plan.Nodes[i]) {
			for h := range t.template.Placeholders() {
				c.expression(site{h, i, base + t.at + h.At, t.at, t.may})
			}
			if c.out.full() {
				return
			}
		}
	}
	for h := range c.prog.Output.Placeholders() {
		c.expression(site{h, -1, c.base + "/output" + h.At, "", 0})
	}
}

func (c *compiler) expression(s site) {
	s, ok := c.translated(s)
	if !ok {
		return
	}
	if s.Plain {
		c.readsFrom(s, expr.Read{Path: s.Path})
	} else {
		facts, faults := c.language(s.node).Check(s.Text)
		for _, f := range faults {
			c.fault(s, f)
		}
		found := len(c.out.list)
		for _, r := range facts.Reads {
			if !c.readsFrom(s, r) {
				break // one finding for each place is enough
			}
		}
		if len(c.out.list) == found {
			c.operands(s, facts)
		}
	}
	switch {
	case s.Inside || s.Placeholder.At != "" || s.Path.Root == expr.Secret:
	case s.field == "/when" || strings.HasSuffix(s.field, "/happened"), s.field == "/wait_for/until", s.field == "/repeat/until":
		if got := c.typesOf(s.Placeholder, s.node, s.may); !compatible(got, []string{"boolean"}) {
			c.out.errorf(codeInvalidCondition, s.at,
				"%s must be true or false, and ${%s} is %s", lastPart(s.field), expr.Shorten(s.Text), strings.Join(got, " or "))
		}
	case strings.HasPrefix(s.field, "/for_each"):
		if got := c.typesOf(s.Placeholder, s.node, s.may); !compatible(got, []string{"array"}) {
			c.notAList(s, got)
		}
	}
}

// notAList reports a for_each over anything else; the fix takes the one list inside it.
func (c *compiler) notAList(s site, got []string) {
	f := c.out.errorf(codeInvalidList, s.at, "for_each needs a list, and ${%s} is %s", expr.Shorten(s.Text), strings.Join(got, " or "))
	if !s.Plain {
		return
	}
	lists := c.listsIn(s)
	if len(lists) > 0 {
		f.Message += "; it has the list " + expr.NameList(lists, 5)
	}
	if len(lists) == 1 {
		inner := s.Path.Then(lists[0]).String()
		f.Fix = []schemas.PatchOp{c.fixText(s.at, s.Source, func(text string) string { return strings.Replace(text, s.Text, inner, 1) })}
	}
}

// listsIn names the lists directly inside what a path leads to.
func (c *compiler) listsIn(s site) []string {
	var lists []string
	if s.Path.Root == "inputs" {
		if at := s.Path.In(c.inputs); at != nil && at.Kind == '{' {
			for i, name := range at.Names {
				if at.Items[i].Kind == '[' {
					lists = append(lists, name)
				}
			}
		}
		return lists
	}
	at := c.shapeOf(s.Path, s.node, s.may)
	names, _ := at.properties()
	for _, name := range names {
		if inner, _ := at.property(name); slices.Equal(inner.types(), []string{"array"}) {
			lists = append(lists, name)
		}
	}
	return lists
}

func (c *compiler) fault(s site, f expr.Fault) {
	message := f.Message
	if f.Code == expr.CodeUnknownRoot {
		if whole, ok := expr.Dashed(s.Text); ok {
			message += fmt.Sprintf("; a name with a dash is written in brackets: %s", whole)
			c.out.errorf(f.Code, s.at, "%s", place(s.Source, s.Offset+f.At, message)).Fix =
				[]schemas.PatchOp{c.fixText(s.at, s.Source, func(text string) string { return strings.Replace(text, s.Text, whole, 1) })}
			return
		}
		switch word := expr.WordAt(s.Text, f.At); {
		case word == expr.Secret && !c.isNode(word):
			c.readsSecret(s, expr.Read{Path: expr.Path{Root: word}})
			return
		case word != "":
			c.unknownRoot(s, word)
			return
		}
	}
	c.out.errorf(f.Code, s.at, "%s", place(s.Source, s.Offset+f.At, message))
}

func (c *compiler) isNode(word string) bool { _, ok := c.ids[word]; return ok }

// unknownRoot reports a name that is not a root; where it is the id of a node, the fix adds "nodes.".
func (c *compiler) unknownRoot(s site, root string) {
	if c.isNode(root) {
		c.out.errorf(expr.CodeUnknownRoot, s.at, "a node is read as nodes.%s, got ${%s}", root, expr.Shorten(s.Text)).Fix = c.renameRoot(s, root, "nodes."+root)
		return
	}
	known, words := expr.Roots, "inputs, nodes.<id>, execution and session"
	for _, local := range localRoots {
		if s.may&local.may != 0 {
			names := c.localNames(s, local.names)
			known, words = slices.Concat(known, names), words+", and here "+strings.Join(names, " and ")
		}
	}
	near := schemas.Nearest(root, known, 1)
	if len(near) == 0 && s.may&readsState != 0 && slices.Contains(stateMembers, root) {
		near = []string{"state." + root}
	}
	if len(near) == 0 {
		for _, id := range schemas.Nearest(root, c.nodeNames(), 1) {
			near = []string{"nodes." + id}
		}
	}
	suggestion := ""
	if len(near) > 0 {
		suggestion = fmt.Sprintf("; did you mean %q?", near[0])
	}
	f := c.out.errorf(expr.CodeUnknownRoot, s.at,
		"unknown name %q in ${%s}%s: expressions read %s", root, expr.Shorten(s.Text), suggestion, words)
	if len(near) > 0 && near[0] != root {
		f.Fix = c.renameRoot(s, root, near[0])
	}
}

// renameRoot is the fix that gives a root of expressions another name; nil: the text has no such root.
func (c *compiler) renameRoot(s site, from, to string) []schemas.PatchOp {
	changed := false
	fix := c.fixText(s.at, s.Source, func(text string) string {
		renamed := expr.RenameRoots(text, from, to)
		changed = renamed != text
		return renamed
	})
	if !changed {
		return nil
	}
	return []schemas.PatchOp{fix}
}

// localNames are names of localRoots as the list of the node has them.
func (c *compiler) localNames(s site, names []string) []string {
	if names[0] == "item" && s.node >= 0 && c.plan.Nodes[s.node].ForEach != nil {
		item, index := c.plan.Nodes[s.node].ForEach.Names()
		return []string{item, index}
	}
	return names
}

// typesOf lists the JSON types that an expression of a node can have; none: they are not known.
func (c *compiler) typesOf(h *expr.Placeholder, node int, may reach) []string {
	if h.Inside {
		return []string{"string"}
	}
	if !h.Plain {
		if facts, faults := c.language(node).Check(h.Text); len(faults) == 0 && facts.Type != "" {
			return []string{facts.Type}
		}
		return nil
	}
	p := h.Path
	switch p.Root {
	case "inputs":
		at := p.In(c.inputs)
		if at == nil || at.Kind == 'n' {
			return nil // a null stands for a value that comes with the call
		}
		return []string{at.JSONType()}
	case "index":
		return []string{"integer"}
	case expr.Secret:
		return []string{"string"}
	case "nodes":
		if len(p.Steps) < 2 {
			return nil
		}
		switch p.Steps[1].Key {
		case "text", "status":
			return []string{"string"}
		case "degraded":
			return []string{"boolean"}
		}
	}
	return c.shapeOf(p, node, may).types()
}
