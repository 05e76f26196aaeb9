package plan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// readsFrom checks one read; false means that the rest of the expression need not be checked.
func (c *compiler) readsFrom(s site, r expr.Read) bool {
	switch root := r.Path.Root; root {
	case "nodes":
		c.readsNode(s, r)
	case "inputs":
		c.readsInput(s, r)
	case "execution":
		if len(r.Path.Steps) > 0 && !slices.Contains(executionFields, r.Path.Steps[0].Key) {
			c.unknownStep(s, r, 0, codeUnknownMember, schemas.SeverityError, "the execution has no %q", executionFields)
		}
	case "session":
	case expr.Secret:
		c.readsSecret(s, r)
	case "item", "index":
		if root == "index" && s.may&readsRound != 0 {
			return true
		}
		if s.may&readsItem == 0 {
			c.noItem(s, r)
			return false
		}
		if c.itemName(s, r.Path) {
			return false
		}
		if root == "item" && !r.Guarded {
			c.follow(s, r, 0, c.itemShape(s.node), "the item")
		}
	case "previous":
		if s.may&readsRound == 0 {
			c.noPrevious(s)
			return false
		}
		c.readsRounds(s, r)
	case "output":
		if s.may&readsAnswer != 0 {
			c.readsRounds(s, r)
			return true
		}
		if s.may&readsOutput == 0 {
			c.noOutput(s)
			return false
		}
		if v := c.plan.Nodes[s.node].OnUnknown.Verify; !r.Guarded {
			c.follow(s, r, 0, c.toolShape(v.Capability), "the output of "+v.Capability)
		}
	case "state":
		if s.may&readsState == 0 {
			c.noState(s)
			return false
		}
		if !r.Guarded {
			c.readsOfState(s, r)
		}
	default:
		c.unknownRoot(s, root)
	}
	return true
}

// noItem reports item and index outside of for_each.
func (c *compiler) noItem(s site, r expr.Read) {
	root := cmp.Or(r.Path.As, r.Path.Root)
	var list *expr.Template
	if s.node >= 0 {
		list = c.prog.Nodes[s.node].ForEach
	}
	switch {
	case list == nil && c.outer != nil && c.outer.plan.Nodes[c.holder].ForEach != nil:
		c.out.errorf(codeMisplacedRoot, s.at,
			"%s is not known in the definition: pass it in, as in inputs: {x: \"${%s}\"} beside for_each, and read "+
				"${inputs.x}", root, r.Path)
	case list == nil:
		c.out.errorf(codeMisplacedRoot, s.at, "%s in ${%s} belongs to for_each, which is not here", root, expr.Shorten(s.Text))
	case s.field == "/when":
		c.out.errorf(codeMisplacedRoot, s.at,
			"when is asked once, before the list, and knows no %s: filter the list instead, which leaves no place in the output for what is not "+
				"in it, as in for_each: \"${list.filter(%[1]s, %[1]s.ok)}\"", root)
	default:
		c.out.errorf(codeMisplacedRoot, s.at, "%s is not known in %s", root, strings.TrimPrefix(s.field, "/"))
	}
}

// noOutput reports a bare output outside a verification; in a compensation the fix reads the node's own.
func (c *compiler) noOutput(s site) {
	if s.may&readsState != 0 {
		c.out.errorf(codeMisplacedRoot, s.at, "until reads state, which becomes the node's output, got ${%s}", expr.Shorten(s.Text)).Fix =
			[]schemas.PatchOp{c.fixText(s.at, s.Source, func(text string) string { return expr.ReplaceWord(text, "output", "state") })}
		return
	}
	if s.may&readsRound != 0 {
		c.out.errorf(codeMisplacedRoot, s.at, "output is the answer of a round, which is not known here: that of the round before is previous, null at first, "+
			"as in ${previous == null ? null : previous.x}, got ${%s}", expr.Shorten(s.Text))
		return
	}
	f := c.out.errorf(codeMisplacedRoot, s.at,
		"output alone is the answer of a verification (on_unknown.verify); what a node gave is read as "+
			"nodes.<id>.output, got ${%s}", expr.Shorten(s.Text))
	if s.may&readsSelf != 0 {
		own := "nodes." + c.plan.Nodes[s.node].ID + ".output"
		f.Fix = []schemas.PatchOp{c.fixText(s.at, s.Source, func(text string) string { return expr.ReplaceWord(text, "output", own) })}
	}
}

// unknownStep reports step i of a path as unknown; the fix renames it to the nearest name.
func (c *compiler) unknownStep(s site, r expr.Read, i int, code string, severity schemas.Severity, format string, names []string) {
	wrong := r.Path.Steps[i].Key
	suggestion, near := nearest(wrong, names)
	message := fmt.Sprintf(format, wrong) + suggestion
	if len(near) == 0 && len(names) > 0 {
		message += "; it has " + expr.NameList(names, 20)
	}
	f := c.out.add(severity, code, s.at, "%s", message)
	if meant := meantStep(wrong, names, r.Path.UpTo(i).String()); meant != "" {
		c.fixPath(f, s, r.Path, i, meant)
	}
}

// meantStep is the one name that a step of a path evidently stands for: it is misspelt, short and a letter off, or has a word of what is
// read before it or after it. A name that is merely near, as step1 is to step3, is another one.
func meantStep(word string, names []string, of string) string {
	if meant := onlyMisspelt(word, names); meant != "" {
		return meant
	}
	found := ""
	for _, name := range names {
		if !aLetterOff(word, name) && !withAffix(word, name, of) {
			continue
		}
		if found != "" {
			return ""
		}
		found = name
	}
	return found
}

// fixPath renames step i of a path, if the string has the path in its usual form.
func (c *compiler) fixPath(f *schemas.Finding, s site, p expr.Path, i int, name string) {
	before := p.UpTo(i + 1).String()
	after := p.UpTo(i).Then(name).String()
	if !strings.Contains(s.Source, before) {
		return
	}
	f.Fix = []schemas.PatchOp{c.fixText(s.at, s.Source, func(text string) string { return expr.ReplaceWord(text, before, after) })}
}

func (c *compiler) readsInput(s site, r expr.Read) {
	at := c.inputs
	for i, step := range r.Path.Steps {
		if at == nil || r.Guarded {
			return
		}
		next := step.In(at)
		if next == nil && step.Index < 0 && at.Kind == '{' {
			severity, format := schemas.SeverityError, "the plan has no input %q"
			if c.outer != nil {
				format = "the definition has no input %q"
			}
			if i > 0 {
				severity, format = schemas.SeverityWarning, "this input has no %q"
			}
			if i > 0 || !c.outerInput(s, step.Key) {
				c.unknownStep(s, r, i, codeUnknownInput, severity, format, at.Keys())
			}
			return
		}
		at = next
	}
}

// outerInput reports an input that the plan around the definition has; the fix passes it in.
func (c *compiler) outerInput(s site, name string) bool {
	if c.outer == nil || c.outer.inputs == nil || c.outer.inputs.Get(name) == nil || !expr.IsName(name) {
		return false
	}
	n, at := &c.outer.plan.Nodes[c.holder], c.outer.at(c.holder)+"/inputs"
	f := c.out.errorf(codeUnknownInput, s.at, "a definition has inputs of its own; pass %q in with the inputs of node %q", name, n.ID)
	value := json.RawMessage(document.Quote("${inputs." + name + "}"))
	if len(n.Inputs) == 0 && !c.passed {
		f.Fix = []schemas.PatchOp{opAdd(at, json.RawMessage("{}"))}
	}
	f.Fix = append(f.Fix, opAdd(at+"/"+name, value))
	c.passed = true
	c.inputs.Put(name, *c.outer.inputs.Get(name)) // the rest is checked as if the fix were applied
	return true
}

func (c *compiler) readsNode(s site, r expr.Read) {
	p := r.Path
	id := p.NodeID()
	if id == "" {
		c.out.errorf(expr.CodeDynamicReference, s.at,
			"nodes must be named one by one, as in ${nodes.order.output}, got ${%s}", expr.Shorten(s.Text))
		return
	}
	i, known := c.ids[id]
	switch {
	case !known && c.outer != nil && c.outer.knows(id):
		c.out.errorf(codeUnknownNode, s.at,
			"node %q is outside of the definition: pass what you need of it in with the inputs of the workflow node, "+
				"and read it as ${inputs.…}", id)
		return
	case !known:
		c.unknownStep(s, r, 0, codeUnknownNode, schemas.SeverityError, "no node %q", c.nodeNames())
		return
	case i == s.node && s.may&readsErrors != 0 && len(p.Steps) > 1 && p.Steps[1].Key == "errors":
	case i == s.node && s.may&readsErrors != 0 && len(p.Steps) > 1 && p.Steps[1].Key == "error":
		f := c.out.errorf(codeSelfDependency, s.at, "why node %q failed is nodes.%s.errors in its own fallback: a list with one entry for each call that failed", id, id)
		if before := p.UpTo(2).String(); strings.Contains(s.Source, before) {
			f.Fix = []schemas.PatchOp{c.fixText(s.at, s.Source, func(text string) string { return expr.ReplaceWord(text, before, before+"s[0]") })}
		}
		return
	case i == s.node && s.may&readsSelf == 0:
		f := c.out.errorf(codeSelfDependency, s.at, "node %q reads its own result in ${%s}", id, expr.Shorten(s.Text))
		if own := "nodes." + id + ".output"; s.may&readsAnswer != 0 && strings.Contains(s.Source, own) {
			f.Message += ": in repeat, that of the round is output"
			f.Fix = []schemas.PatchOp{c.fixText(s.at, s.Source, func(text string) string { return expr.ReplaceWord(text, own, "output") })}
			return
		}
		if s.may&readsRound != 0 {
			f.Message += ": the answer of the round before is previous, null at first"
			return
		}
		if own := "nodes." + id + ".output"; s.may&readsState != 0 && strings.Contains(s.Source, own) {
			f.Message += ": before it is over, that is state"
			f.Fix = []schemas.PatchOp{c.fixText(s.at, s.Source, func(text string) string { return expr.ReplaceWord(text, own, "state") })}
		}
		return
	case len(p.Steps) == 1:
		return
	}
	member := p.Steps[1]
	if member.Index >= 0 || !slices.Contains(expr.Members, member.Key) {
		c.unknownMember(s, r, i)
		return
	}
	if !r.Guarded {
		c.followMember(s, r, i)
		if member.Key == "output" {
			c.verified(s, r, i)
		}
	}
	if c.declaresContent(i, p.Steps[1:]) {
		c.out.warnf(codeUnknownMember, s.at, "nodes.%[1]s.content is the list of content blocks of the answer: what %[2]s gives as content is "+
			"nodes.%[1]s.output.content", id, c.outputOf(i))
	}
}

// followMember checks what is read of a member of a node.
func (c *compiler) followMember(s site, r expr.Read, node int) {
	member := r.Path.Steps[1].Key
	known := c.memberShape(node, member, s.node, s.may)
	if known.at == nil || len(r.Path.Steps) == 2 {
		return
	}
	of := "the output of " + c.outputOf(node)
	if member != "output" {
		of = r.Path.UpTo(2).String()
	}
	c.follow(s, r, 2, known, of)
}

// outputOf names what a node's output comes from, for messages.
func (c *compiler) outputOf(node int) string {
	n := &c.plan.Nodes[node]
	if n.Capability != "" {
		return n.Capability
	}
	return fmt.Sprintf("node %q", n.ID)
}

// knows reports whether this plan, or one around it, has the node.
func (c *compiler) knows(id string) bool {
	_, ok := c.ids[id]
	return ok || c.outer != nil && c.outer.knows(id)
}

// unknownMember reports nodes.a.x; usually x is a field of the output.
func (c *compiler) unknownMember(s site, r expr.Read, node int) {
	p := r.Path
	names, _ := c.shapeFor(node, s.node, s.may).properties()
	near := schemas.Nearest(p.Steps[1].Key, expr.Members, 1)
	if slices.Contains(names, p.Steps[1].Key) || len(near) == 0 {
		id := p.Steps[0].Key
		f := c.out.errorf(codeUnknownMember, s.at,
			"a node has %s; its result is inside output: nodes.%s.output%s", strings.Join(expr.Members, ", "), id, expr.StepsString(p.Steps[1:]))
		before := "nodes." + id + expr.StepsString(p.Steps[1:2])
		if slices.Contains(names, p.Steps[1].Key) && strings.Contains(s.Source, before) {
			f.Fix = []schemas.PatchOp{c.fixText(s.at, s.Source, func(text string) string {
				return expr.ReplaceWord(text, before, "nodes."+id+".output"+expr.StepsString(p.Steps[1:2]))
			})}
		}
		return
	}
	c.unknownStep(s, r, 1, codeUnknownMember, schemas.SeverityError, "a node has no %q", expr.Members)
}

// follow checks the steps of a path, from one on, against what is known of the value.
func (c *compiler) follow(s site, r expr.Read, from int, at shape, of string) {
	for i, step := range r.Path.Steps {
		if i < from {
			continue
		}
		if at.at == nil {
			return
		}
		types := at.types()
		isList := len(types) == 1 && types[0] == "array"
		switch {
		case step.Index >= 0 && len(types) > 0 && !slices.Contains(types, "array"),
			step.Index < 0 && len(types) > 0 && !slices.Contains(types, "object") && !isList:
			have := r.Path.UpTo(i)
			c.out.errorf(codeUnknownOutput, s.at,
				"%s is %s, so there is no %s in it", have, strings.Join(types, " or "), expr.StepsString(r.Path.Steps[i:i+1]))
			return
		case step.Index < 0 && isList:
			have := r.Path.UpTo(i)
			c.out.errorf(codeUnknownOutput, s.at, "%s is a list: take one item, as in %s[0]%s, or all, as in %s.map(x, x%s)", have, have,
				expr.StepsString(r.Path.Steps[i:]), have, expr.StepsString(r.Path.Steps[i:]))
			return
		case step.Index >= 0:
			at = at.item()
			continue
		}
		next, known := at.property(step.Key)
		if !known {
			severity, format := schemas.SeverityWarning, " declares no %q"
			names, closed := at.properties()
			if closed {
				severity, format = schemas.SeverityError, " has no %q"
			}
			if closed || len(names) > 0 {
				c.unknownStep(s, r, i, codeUnknownOutput, severity, strings.ReplaceAll(of, "%", "%%")+format, names)
			}
			return
		}
		at = next
	}
}
