package plan

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// Arguments are given in other shapes than a tool declares: beside inputs, wrapped once more, under a near name. What is certain from the tool's
// schema is brought into its shape before the plan is built, so that the rest is checked as if it were repaired.

// stray keeps a field of a call that is none of a node's and decides nothing there, for the compiler to compare with the tool's arguments.
func (d *decoder) stray(t *document.Tree, table []field, name, at, what string) bool {
	calls := t.Get("capability") != nil || (&found{object: t}).calls()
	plain := snake(name)
	if !calls || findField(table, plain) != nil || isCallName(name) && t.Get("capability") == nil || plain == "when" ||
		slices.Contains(realmNames, plain) {
		return false
	}
	trial := *d
	trial.out, trial.strays = findings{max: 2}, nil
	probe := document.Tree{Kind: '{', Names: slices.Clone(t.Names), Items: slices.Clone(t.Items)}
	f := &found{d: &trial, object: &probe, value: probe.Get(name), kind: "node", at: at, what: what, name: name, words: foreignFields}
	if f.means(foreignFields[plain]) || f.unit(table, plain) {
		changed := len(probe.Names) != len(t.Names)-1 || !slices.ContainsFunc(f.d.out.list, func(found schemas.Finding) bool {
			return found.Code == codeIgnoredField || len(found.Fix) == 0
		})
		if changed || slices.Contains(strings.Fields(approvals), plain) {
			return false
		}
	} else if known := fieldNames(table); onlyMisspelt(name, known) != "" {
		return false
	} else {
		f.d.unknownField(&probe, name, at, what, known)
	}
	v := t.Get(name)
	d.strays = append(d.strays, schemas.Stray{Name: name, Value: schemas.Value(v.AppendTo(nil)), Said: f.d.out.list})
	t.Drop(name)
	return true
}

// givenArguments brings the arguments of all calls into the shape that their tools declare.
func (c *compiler) givenArguments() {
	for i := range c.plan.Nodes {
		n, at := &c.plan.Nodes[i], c.at(i)
		c.strays(n, at)
		for _, call := range callsOf(n) {
			tool, inputs := c.tools[call.capability], inputsOf(n, call.inputs)
			if tool == nil || inputs == nil || len(*inputs) == 0 {
				continue
			}
			t, err := c.tree(*inputs)
			if err != nil || t.Kind != '{' {
				continue
			}
			g := givenTo{compiler: c, tool: tool, name: call.capability, at: at + call.inputs, tree: t}
			if g.arrange(); g.changed {
				delete(c.trees, &(*inputs)[0])
				*inputs = schemas.Object(t.AppendTo(nil))
			}
		}
		if c.out.full() {
			return
		}
	}
}

// inputsOf are the inputs at a JSON pointer below a node, which may be changed without a change of the caller's plan.
func inputsOf(n *schemas.Node, at string) *schemas.Object {
	switch at {
	case "/inputs":
		return &n.Inputs
	case "/compensate/inputs":
		undo := *n.Compensate
		n.Compensate = &undo
		return &undo.Inputs
	case "/on_unknown/verify/inputs":
		unknown, verify := *n.OnUnknown, *n.OnUnknown.Verify
		unknown.Verify = &verify
		n.OnUnknown = &unknown
		return &verify.Inputs
	}
	for k := range n.Fallback {
		if at == schemas.PointerToItem("/fallback", k)+"/inputs" {
			n.Fallback = slices.Clone(n.Fallback)
			return &n.Fallback[k].Inputs
		}
	}
	return nil
}

// strays moves the fields of a node that are arguments of its call into inputs, and reports the others.
func (c *compiler) strays(n *schemas.Node, at string) {
	if len(n.Strays) == 0 {
		return
	}
	var declared shape
	if t := c.tools[n.Capability]; t != nil {
		declared = t.input
	}
	inputs := document.Tree{Kind: '{'}
	if len(n.Inputs) > 0 {
		if t, err := document.Parse(string(n.Inputs)); err == nil && t.Kind == '{' {
			inputs = t
		}
	}
	names, _ := declared.properties()
	argument := func(s *schemas.Stray) bool {
		if !slices.Contains(names, s.Name) || inputs.Get(s.Name) != nil {
			return false
		}
		v, err := document.Parse(string(s.Value))
		if err != nil {
			return false
		}
		p, _ := declared.property(s.Name)
		return v.Kind == '"' && strings.Contains(v.Text(), "${") || compatible([]string{v.JSONType()}, p.types())
	}
	// What means nothing on a node, such as a name, is an argument only beside others that are.
	evident := slices.ContainsFunc(n.Strays, func(s schemas.Stray) bool {
		return argument(&s) && (len(s.Said) == 0 || s.Said[0].Code != codeIgnoredField)
	})
	was := len(inputs.Names)
	for i := range n.Strays {
		s := &n.Strays[i]
		where := schemas.PointerTo(at, s.Name)
		if !evident || !argument(s) {
			for _, f := range s.Said {
				kept := c.out.add(f.Severity, f.Code, f.Path, "%s", f.Message)
				kept.Fix = f.Fix
				if len(names) > 0 && len(foreignFields[snake(s.Name)]) == 0 && f.Severity == schemas.SeverityError {
					kept.Message += fmt.Sprintf(". %s takes %s, in inputs", n.Capability, expr.NameList(names, 10))
				}
			}
			continue
		}
		f := c.out.warnf(codeMisplacedField, where, "%s is an argument of %s: it belongs in inputs", expr.Shorten(s.Name), n.Capability)
		if len(n.Inputs) == 0 && len(inputs.Names) == 0 {
			f.Fix = append(f.Fix, opAdd(at+"/inputs", json.RawMessage("{}")))
		}
		f.Fix = append(f.Fix, opMove(where, schemas.PointerTo(at+"/inputs", s.Name)))
		if v, err := document.Parse(string(s.Value)); err == nil {
			inputs.Put(s.Name, v)
		}
	}
	if len(inputs.Names) != was {
		n.Inputs = schemas.Object(inputs.AppendTo(nil))
	}
}

// givenTo are the arguments of one call.
type givenTo struct {
	*compiler
	tool    *liveTool
	name    string // of the capability
	at      string
	tree    *document.Tree
	changed bool
}

// arrange takes off what is around the arguments, and gives them their names.
func (g *givenTo) arrange() {
	names, closed := g.tool.input.properties()
	if len(names) == 0 {
		return
	}
	g.unwrap(names, closed)
	g.dollars()
	required := g.tool.input.required()
	for _, name := range slices.Clone(g.tree.Names) {
		if slices.Contains(names, name) || closed {
			continue
		}
		where := schemas.PointerTo(g.at, name)
		if meant := sameWord(name, required); meant != "" && g.tree.Get(meant) == nil {
			g.out.warnf(codeUnknownArgument, where, "%s: `%s` is taken for `%s`, which is required", g.name, expr.Shorten(name), meant).Fix =
				[]schemas.PatchOp{opMove(where, schemas.PointerTo(g.at, meant))}
			v := *g.tree.Get(name)
			g.tree.Drop(name)
			g.tree.Put(meant, v)
			g.changed = true
			continue
		}
		say := ""
		if near := schemas.Nearest(name, names, 1); len(near) > 0 {
			say = fmt.Sprintf("; did you mean `%s`?", near[0])
		}
		g.out.warnf(codeUnknownArgument, where, "%s does not declare `%s`; it is sent as it is%s%s", g.name, expr.Shorten(name), say, elsewhere(name))
	}
}

// elsewhere says what to write where an argument that no tool declares is a field of a node, or decides something elsewhere.
func elsewhere(name string) string {
	plain := snake(name)
	switch {
	case slices.Contains(strings.Fields(approvals), plain), plain == "safety_level":
		return "; if a person is to decide on the call, write safety_level: review on the node"
	case findField(fieldsOf(reflect.TypeFor[schemas.Node]()), plain) != nil:
		return fmt.Sprintf("; if it is the node's, write %s beside inputs", plain)
	case strings.HasSuffix(name, ".$"):
		return "; a value is computed in ${…}, under its plain name"
	case plain == "dry_run" || plain == "simulate":
		return "; " + sayDryRun
	}
	return ""
}

// unwrap takes the arguments out of an object around them that the tool does not declare.
func (g *givenTo) unwrap(names []string, closed bool) {
	for range 3 {
		if len(g.tree.Names) != 1 || slices.Contains(names, g.tree.Names[0]) {
			return
		}
		name := g.tree.Names[0]
		if !slices.Contains(strings.Fields("inputs json request query "+argumentNames), snake(name)) {
			return
		}
		inner := g.tree.Items[0]
		where := schemas.PointerTo(g.at, name)
		var fix []schemas.PatchOp
		if inner.Kind == '"' {
			t, ok := document.Within(inner.Text(), g.lim.MaxDepth)
			if !ok || t.Kind != '{' {
				return
			}
			raw := t.AppendTo(nil)
			inner = t
			fix = append(fix, opReplace(where, raw))
		}
		if inner.Kind != '{' || !g.holds(&inner, names, closed) {
			return
		}
		aside := strings.TrimSuffix(g.at, "/inputs") + "/_inputs"
		fix = append(fix, opMove(where, aside), opRemove(g.at), opMove(aside, g.at))
		g.out.warnf(codeMisplacedField, where, "%s takes its arguments as inputs, without %s around them", g.name, expr.Shorten(name)).Fix = fix
		*g.tree = inner
		g.changed = true
	}
}

// holds reports whether an object evidently has the arguments: none that the tool does not know, and of an open schema all that it requires.
func (g *givenTo) holds(inner *document.Tree, names []string, closed bool) bool {
	if len(inner.Names) == 1 && !slices.Contains(names, inner.Names[0]) && inner.Items[0].Kind == '{' {
		return true // it is wrapped once more
	}
	known := 0
	for _, name := range inner.Names {
		switch {
		case slices.Contains(names, name), sameWord(name, names) != "", onlyMisspelt(name, names) != "":
			known++
		case closed:
			return false
		}
	}
	for _, name := range g.tool.input.required() {
		if !closed && inner.Get(name) == nil {
			return false
		}
	}
	return known > 0
}

// dollars takes names as Step Functions write them: "id.$" has a reference as its value.
func (g *givenTo) dollars() {
	for i, name := range g.tree.Names {
		bare, ok := strings.CutSuffix(name, ".$")
		if v := &g.tree.Items[i]; !ok || v.Kind != '"' || !strings.HasPrefix(v.Text(), "$") || g.tree.Get(bare) != nil {
			continue
		}
		where := schemas.PointerTo(g.at, name)
		g.out.warnf(codeAlias, where, "%s is written %s: what stands in ${…} is computed anywhere", expr.Shorten(name), expr.Shorten(bare)).Fix =
			[]schemas.PatchOp{opMove(where, schemas.PointerTo(g.at, bare))}
		g.tree.Names[i] = bare
		g.changed = true
	}
}
