package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/runplane/runplane/schemas"
)

// liveTool is one capability of the catalog as far as this compilation has needed it.
type liveTool struct {
	Tool
	checker *schemas.Checker // nil: the schema cannot be used
	input   shape
	output  shape
}

// pinTools finds every capability and pins what the plan is accepted with.
func (c *compiler) pinTools() {
	c.pins, c.tools = map[string]Pin{}, map[string]*liveTool{}
	var realms []string
	unavailable := map[string]bool{} // by realm, once asked
	for i := range c.plan.Nodes {
		n := &c.plan.Nodes[i]
		if n.Capability == "" {
			continue
		}
		at := pointerToItem("/nodes", i) + "/capability"
		if t := c.tools[n.Capability]; t != nil {
			c.effect(n, i, t)
			continue
		}
		realm, name, ok := strings.Cut(n.Capability, ".")
		if realms == nil {
			realms = c.cat.Realms()
		}
		switch {
		case !ok || realm == "" || name == "":
			c.unqualified(n.Capability, at, realms)
		case !slices.Contains(realms, realm):
			c.unknownRealm(realm, name, at, realms)
		default:
			down, asked := unavailable[realm]
			if !asked {
				down = !c.available(realm, at)
				unavailable[realm] = down
			}
			if down {
				continue
			}
			t, ok := c.cat.Tool(realm, name)
			if !ok {
				c.unknownCapability(realm, name, at, realms)
				continue
			}
			c.pin(n.Capability, at, t)
			c.effect(n, i, c.tools[n.Capability])
		}
		if c.out.full() {
			return
		}
	}
}

func (c *compiler) pin(capability, at string, t Tool) {
	live := &liveTool{Tool: t, input: newShape(t.InputSchema), output: newShape(t.OutputSchema)}
	checker, err := schemas.NewChecker(t.InputSchema)
	if err != nil {
		c.out.warnf(codeUnusableSchema, at, "the arguments of %s are not checked before the call: %v", capability, err)
	}
	live.checker = checker
	c.tools[capability] = live
	c.pins[capability] = Pin{
		Effect: t.Effect, Hash: t.Hash, InputSchema: t.InputSchema,
		Timeout: t.Policy.Timeout, Retry: t.Policy.Retry, IdempotencyArg: t.Policy.IdempotencyArg,
	}
}

// available asks the catalog for the realm's tools and reports why they are not known.
func (c *compiler) available(realm, at string) bool {
	_, err := c.cat.Tools(realm)
	if err == nil {
		return true
	}
	e := schemas.AsError(err)
	message := e.Message
	if e.Code == schemas.CodeInternal {
		message = err.Error()
	}
	if e.Hint != "" && e.Code != schemas.CodeInternal {
		message += " (" + e.Hint + ")"
	}
	c.out.errorf(codeRealmUnavailable, at, "the tools of realm %q are not known now: %s", realm, message)
	return false
}

func (c *compiler) unqualified(capability, at string, realms []string) {
	f := c.out.errorf(codeInvalidCapability, at, "%q is no capability: write realm.name", shorten(capability))
	name := strings.Trim(capability, ".")
	for _, realm := range realms {
		if _, ok := c.cat.Tool(realm, name); ok {
			f.Message += fmt.Sprintf("; did you mean %q?", realm+"."+name)
			f.Fix = []schemas.PatchOp{opReplaceText(at, realm+"."+name)}
			return
		}
	}
	f.Message += "; the realms are " + nameList(realms, 20)
}

func (c *compiler) unknownRealm(realm, name, at string, realms []string) {
	f := c.out.errorf(codeUnknownRealm, at, "no realm %q", realm)
	for _, near := range schemas.Nearest(realm, realms, 3) {
		f.Message += fmt.Sprintf("; did you mean %q?", near)
		f.Fix = []schemas.PatchOp{opReplaceText(at, near+"."+name)}
		return
	}
	if len(realms) == 0 {
		f.Message += "; none is configured"
		return
	}
	f.Message += "; the realms are " + nameList(realms, 20)
}

func (c *compiler) unknownCapability(realm, name, at string, realms []string) {
	tools, _ := c.cat.Tools(realm)
	f := c.out.errorf(codeUnknownCapability, at, "no capability %q in realm %q", name, realm)
	if near := schemas.Nearest(name, tools, 3); len(near) > 0 {
		f.Message += fmt.Sprintf("; did you mean %s?", strings.Join(quoteAll(near), " or "))
		f.Fix = []schemas.PatchOp{opReplaceText(at, realm+"."+near[0])}
		return
	}
	for _, other := range realms {
		if _, ok := c.cat.Tool(other, name); ok {
			f.Message += fmt.Sprintf("; did you mean %q?", other+"."+name)
			f.Fix = []schemas.PatchOp{opReplaceText(at, other+"."+name)}
			return
		}
	}
	f.Message += "; it has " + nameList(tools, 20)
}

func quoteAll(names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = strconv.Quote(name)
	}
	return out
}

// effect refuses a plan that calls a tool more harmless than it is.
func (c *compiler) effect(n *schemas.Node, i int, t *liveTool) {
	if n.Effect == "" || !slices.Contains(effects, string(n.Effect)) || n.Effect.Rank() >= t.Effect.Rank() {
		return
	}
	at := pointerToItem("/nodes", i) + "/effect"
	effect := t.Effect
	if effect == "" {
		effect = schemas.EffectOnce
	}
	c.out.errorf(codeLooserEffect, at, "%s has the effect %q; a plan may be stricter than that, not looser (%q)", n.Capability, effect, n.Effect).Fix =
		[]schemas.PatchOp{opRemove(at)}
}

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
