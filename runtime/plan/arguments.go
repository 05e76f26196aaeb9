package plan

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/runplane/runplane/schemas"
)

// arguments checks the inputs of each node against its tool's schema, as far as they are known before anything ran.
func (c *compiler) arguments() {
	for i := range c.prog.Nodes {
		n := &c.prog.Nodes[i]
		t := c.tools[n.Realm+"."+n.Capability]
		if n.Kind != KindCapability || t == nil || n.Inputs == nil {
			continue
		}
		at := pointerToItem("/nodes", i) + "/inputs"
		if t.checker != nil {
			doc, open := n.Inputs.sample()
			problems := t.checker.CheckPartial(doc, open)
			for _, p := range problems {
				if p.Keyword != "required" || !renamedTo(problems, p) {
					c.argument(n, at, doc, p)
				}
			}
		}
		for _, h := range n.Inputs.holes() {
			want := t.input.place(h.at).types()
			if got := c.typesOf(h); !compatible(got, want) {
				c.wrongType(n, at, h, got, want)
			}
		}
		if c.out.full() {
			return
		}
	}
}

// renamedTo reports whether an unknown argument is evidently the missing one, misspelt; that is one finding, not two.
func renamedTo(problems []schemas.Problem, missing schemas.Problem) bool {
	parent := missing.Field[:strings.LastIndexByte(missing.Field, '/')]
	for _, p := range problems {
		if p.Keyword == "additionalProperties" && len(p.Candidates) > 0 && p.Candidates[0] == missing.Name() &&
			p.Field[:strings.LastIndexByte(p.Field, '/')] == parent {
			return true
		}
	}
	return false
}

// sample renders the template with stand-ins for what is not known yet, and says where they are.
func (t *Template) sample() (json.RawMessage, []string) {
	var doc []byte
	var open []string
	for i := range t.parts {
		p := &t.parts[i]
		switch {
		case p.hole == nil:
			doc = append(doc, p.literal...)
			continue
		case !p.hole.inside:
			doc = append(doc, "null"...)
		}
		open = appendOnce(open, p.hole.at)
	}
	return doc, open
}

func (c *compiler) argument(n *Node, at string, doc json.RawMessage, p schemas.Problem) {
	code := codeWrongArgument
	switch p.Keyword {
	case "required":
		code = codeMissingArgument
	case "additionalProperties":
		code = codeUnknownArgument
	}
	where := at + p.Field
	f := c.out.errorf(code, where, "%s.%s: %s", n.Realm, n.Capability, p.Message)
	root, err := parseTree(string(doc))
	if err != nil {
		return
	}
	switch {
	case p.Keyword == "required":
		if len(c.plan.Nodes[n.Index].Inputs) == 0 {
			f.Path = strings.TrimSuffix(at, "/inputs")
		}
	case p.Keyword == "additionalProperties" && len(p.Candidates) > 0:
		parent := p.Field[:strings.LastIndexByte(p.Field, '/')]
		if holder := find(&root, parent); holder != nil && holder.get(p.Candidates[0]) == nil {
			f.Fix = []schemas.PatchOp{opMove(where, pointerTo(at+parent, p.Candidates[0]))}
		}
	case p.Keyword == "additionalProperties":
		f.Fix = []schemas.PatchOp{opRemove(where)}
	case p.Keyword == "enum" && len(p.Candidates) > 0:
		f.Fix = []schemas.PatchOp{opReplaceText(where, p.Candidates[0])}
	case p.Keyword == "type":
		if v := find(&root, p.Field); v != nil {
			if fixed, ok := convert(v, p.Expected); ok {
				f.Fix = []schemas.PatchOp{opReplace(where, fixed)}
			}
		}
	}
}

// find goes to a JSON pointer in a value.
func find(t *tree, pointer string) *tree {
	for pointer != "" && t != nil {
		part, more, _ := strings.Cut(pointer[1:], "/")
		pointer = ""
		if more != "" {
			pointer = "/" + more
		}
		switch t.kind {
		case '{':
			t = t.get(strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~"))
		case '[':
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(t.items) {
				return nil
			}
			t = &t.items[i]
		default:
			return nil
		}
	}
	return t
}

// convert writes a literal in the type that is wanted, where that loses nothing.
func convert(v *tree, want []string) (json.RawMessage, bool) {
	for _, w := range want {
		switch {
		case v.kind == '"' && (w == "integer" || w == "number" || w == "boolean"):
			text := strings.TrimSpace(v.text())
			if t, err := parseTree(text); err == nil && (t.jsonType() == w || w == "number" && t.jsonType() == "integer") {
				return json.RawMessage(text), true
			}
		case w == "string" && (v.kind == '0' || v.kind == 't' || v.kind == 'f'):
			return json.RawMessage(quote(v.raw)), true
		case w == "array" && v.kind != 'n' && v.kind != '[':
			return json.RawMessage("[" + v.raw + "]"), true
		}
	}
	return nil, false
}

func (c *compiler) wrongType(n *Node, at string, h *hole, got, want []string) {
	where := at + h.at
	f := c.out.errorf(codeWrongArgument, where, "%s.%s: `%s` must be %s, and ${%s} is %s", n.Realm, n.Capability,
		strings.ReplaceAll(strings.TrimPrefix(h.at, "/"), "/", "."), strings.Join(want, " or "), shorten(h.text), strings.Join(got, " or "))
	if h.inside || len(got) != 1 {
		return
	}
	convert := ""
	switch {
	case slices.Contains(want, "string") && (got[0] == "integer" || got[0] == "number" || got[0] == "boolean"):
		convert = "string"
	case slices.Contains(want, "integer") && got[0] == "string":
		convert = "int"
	case slices.Contains(want, "number") && got[0] == "string":
		convert = "double"
	}
	if convert != "" {
		f.Fix = []schemas.PatchOp{c.fixText(where, h.source, func(text string) string {
			return strings.Replace(text, h.text, convert+"("+h.text+")", 1)
		})}
	}
}
