package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/runplane/runplane/schemas"
)

func (c *compiler) readsFrom(s site, r Read) {
	switch root := r.Path.root; {
	case root == "nodes":
		c.readsNode(s, r)
	case root == "inputs":
		c.readsInput(s, r)
	case root == "execution":
		if len(r.Path.steps) > 0 && !slices.Contains(executionFields, r.Path.steps[0].key) {
			c.unknownStep(s, r, 0, codeUnknownMember, schemas.SeverityError, "the execution has no %q", executionFields)
		}
	case root == "session":
	case slices.Contains(reservedRoots, root):
		c.out.errorf(codeNotSupported, s.at, "%s belongs to for_each, which this runtime does not have yet; %s", root, notSupported["for_each"])
	default:
		c.unknownRoot(s, root)
	}
}

// unknownStep reports step i of a path as unknown; the fix renames it to the nearest name.
func (c *compiler) unknownStep(s site, r Read, i int, code string, severity schemas.Severity, format string, names []string) {
	wrong := r.Path.steps[i].key
	suggestion, near := nearest(wrong, names)
	message := fmt.Sprintf(format, wrong) + suggestion
	if len(near) == 0 && len(names) > 0 {
		message += "; it has " + nameList(names, 20)
	}
	f := c.out.add(severity, code, s.at, "%s", message)
	if len(near) > 0 {
		c.fixPath(f, s, r.Path, i, near[0])
	}
}

// fixPath renames step i of a path, where the path stands in the string as it is usually written.
func (c *compiler) fixPath(f *schemas.Finding, s site, p path, i int, name string) {
	before := path{p.root, p.steps[:i+1]}.String()
	after := path{p.root, append(slices.Clone(p.steps[:i]), step{key: name, index: -1})}.String()
	if !strings.Contains(s.source, before) {
		return
	}
	f.Fix = []schemas.PatchOp{c.fixText(s.at, s.source, func(text string) string { return replaceWord(text, before, after) })}
}

func (c *compiler) readsInput(s site, r Read) {
	at := c.inputs
	for i, step := range r.Path.steps {
		if at == nil || r.Guarded {
			return
		}
		next := at.step(step)
		if next == nil && step.index < 0 && at.kind == '{' {
			severity, format := schemas.SeverityError, "the plan has no input %q"
			if i > 0 {
				severity, format = schemas.SeverityWarning, "this input has no %q"
			}
			c.unknownStep(s, r, i, codeUnknownInput, severity, format, at.keys())
			return
		}
		at = next
	}
}

func (c *compiler) readsNode(s site, r Read) {
	p := r.Path
	id := p.nodeID()
	if id == "" {
		c.out.errorf(codeDynamicReference, s.at, "nodes must be named one by one, as in ${nodes.order.output}, got ${%s}", shorten(s.text))
		return
	}
	i, known := c.ids[id]
	switch {
	case !known:
		c.unknownStep(s, r, 0, codeUnknownNode, schemas.SeverityError, "no node %q", c.nodeNames())
		return
	case i == s.node:
		c.out.errorf(codeSelfDependency, s.at, "node %q reads its own result in ${%s}", id, shorten(s.text))
		return
	case len(p.steps) == 1:
		return
	}
	member := p.steps[1]
	if member.index >= 0 || !slices.Contains(members, member.key) {
		c.unknownMember(s, r, i)
		return
	}
	if member.key == "output" && !r.Guarded {
		c.readsOutput(s, r, i)
	}
}

// unknownMember reports nodes.a.x; mostly x is a field of the output.
func (c *compiler) unknownMember(s site, r Read, node int) {
	p := r.Path
	names, _ := c.outputShape(node).properties()
	near := schemas.Nearest(p.steps[1].key, members, 1)
	if slices.Contains(names, p.steps[1].key) || len(near) == 0 {
		id := p.steps[0].key
		f := c.out.errorf(codeUnknownMember, s.at, "a node has %s; its result is inside output: nodes.%s.output%s", strings.Join(members, ", "), id, stepsString(p.steps[1:]))
		before := "nodes." + id + stepsString(p.steps[1:2])
		if strings.Contains(s.source, before) {
			f.Fix = []schemas.PatchOp{c.fixText(s.at, s.source, func(text string) string {
				return replaceWord(text, before, "nodes."+id+".output"+stepsString(p.steps[1:2]))
			})}
		}
		return
	}
	c.unknownStep(s, r, 1, codeUnknownMember, schemas.SeverityError, "a node has no %q", members)
}

// outputShape is what the node's tool says about its output.
func (c *compiler) outputShape(node int) shape {
	if t := c.tools[c.plan.Nodes[node].Capability]; t != nil {
		return t.output
	}
	return shape{}
}

func (c *compiler) readsOutput(s site, r Read, node int) {
	at := c.outputShape(node)
	for i, step := range r.Path.steps {
		if i < 2 {
			continue
		}
		if at.at == nil {
			return
		}
		types := at.types()
		isList := len(types) == 1 && types[0] == "array"
		switch {
		case step.index >= 0 && len(types) > 0 && !slices.Contains(types, "array"),
			step.index < 0 && len(types) > 0 && !slices.Contains(types, "object") && !isList:
			have := path{r.Path.root, r.Path.steps[:i]}
			c.out.errorf(codeUnknownOutput, s.at, "%s is %s, so there is no %s in it", have, strings.Join(types, " or "), stepsString(r.Path.steps[i:i+1]))
			return
		case step.index < 0 && isList:
			have := path{r.Path.root, r.Path.steps[:i]}
			c.out.errorf(codeUnknownOutput, s.at, "%s is a list: take one item, as in %s[0]%s, or all, as in %s.map(x, x%s)", have, have,
				stepsString(r.Path.steps[i:]), have, stepsString(r.Path.steps[i:]))
			return
		case step.index >= 0:
			at = at.item()
			continue
		}
		next, known := at.property(step.key)
		if !known {
			names, closed := at.properties()
			if closed {
				c.unknownStep(s, r, i, codeUnknownOutput, schemas.SeverityError, "the output of "+strings.ReplaceAll(c.plan.Nodes[node].Capability, "%", "%%")+" has no %q", names)
			} else if len(names) > 0 {
				c.unknownStep(s, r, i, codeUnknownOutput, schemas.SeverityWarning, "the output of "+strings.ReplaceAll(c.plan.Nodes[node].Capability, "%", "%%")+" declares no %q", names)
			}
			return
		}
		at = next
	}
}
