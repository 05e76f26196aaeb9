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

// arguments checks the inputs of each call against its tool's schema, as far as they are known before the plan runs.
func (c *compiler) arguments() {
	for i := range c.prog.Nodes {
		n, from, at := &c.prog.Nodes[i], &c.plan.Nodes[i], c.at(i)
		if n.Kind == KindWorkflow {
			c.workflowArguments(i)
		}
		if n.Kind != KindCapability {
			continue
		}
		item := around(from)
		c.argumentsOf(arguments{&n.Target, i, at + "/inputs", from.Inputs, false, item, ""})
		for k := range from.Fallback { // what a policy adds is checked when it is called
			if t := n.Fallbacks[k].Target; t != nil {
				where := schemas.PointerToItem(at+"/fallback", k)
				c.argumentsOf(arguments{t, i, where + "/inputs", from.Fallback[k].Inputs, t.Inputs == n.Inputs, item | readsErrors, ""})
			}
		}
		if t := n.Compensate; t != nil {
			c.argumentsOf(arguments{t, i, at + "/compensate/inputs", from.Compensate.Inputs, false, item&readsItem | readsSelf, ""})
		}
		if v := n.Verify; v != nil {
			c.argumentsOf(arguments{&v.Target, i, at + "/on_unknown/verify/inputs", from.OnUnknown.Verify.Inputs, false, item, ""})
		}
		if c.out.full() {
			return
		}
	}
}

// arguments are those of one call.
type arguments struct {
	*Target
	node  int
	at    string         // JSON pointer to them
	given schemas.Object // as they are written; empty: they are not
	taken bool           // from the node: there is nothing to repair here
	may   reach

	workflow string // what is executed, where it is not a capability
}

// called is the name of what takes the arguments.
func (a *arguments) called() string {
	if a.workflow != "" {
		return a.workflow
	}
	return a.Name()
}

func (c *compiler) argumentsOf(a arguments) {
	t := c.tools[a.Name()]
	if t == nil || a.Inputs == nil {
		return
	}
	if t.checker != nil {
		doc, open := a.Inputs.Sample()
		problems := t.checker.CheckPartial(c.ctx, doc, open)
		if len(problems) > 0 {
			if settled, changed := t.checker.Settle(doc, open); changed {
				doc, problems = settled, t.checker.CheckPartial(c.ctx, settled, open)
			}
		}
		c.problemsOf(a, problems, doc)
	}
	c.typesGiven(a, t.input)
}

// problemsOf reports the arguments that the schema does not allow.
func (c *compiler) problemsOf(a arguments, problems []schemas.Problem, doc json.RawMessage) {
	for _, p := range problems {
		if p.Keyword != "required" || !renamedTo(problems, p) {
			c.argument(a, doc, p)
		}
	}
}

// typesGiven compares the types of the expressions with those that the schema allows.
func (c *compiler) typesGiven(a arguments, input shape) {
	for h := range a.Inputs.Placeholders() {
		want := input.place(h.At).types()
		got := c.typesOf(h, a.node, a.may)
		switch {
		case len(got) == 1 && got[0] == "null" && !h.Inside && input.optional(h.At): // it is left out
		case !compatible(got, want):
			c.wrongType(a, h, got, want)
		case len(got) == 0 && !h.Plain && slices.Contains(want, "integer") && !slices.Contains(want, "number"):
			c.fraction(a, h)
		}
	}
}

// fraction warns of arithmetic with doubles where only whole numbers are taken.
func (c *compiler) fraction(a arguments, h *expr.Placeholder) {
	facts, faults := c.language(a.node).Check(h.Text)
	if len(faults) > 0 || !facts.Double || a.taken {
		return
	}
	where := a.at + h.At
	c.out.warnf(codeWrongArgument, where,
		"%s: `%s` must be an integer, and ${%s} may have a fraction: round it", a.called(), schemas.Dotted(h.At), expr.Shorten(h.Text)).Fix =
		[]schemas.PatchOp{c.fixText(where, h.Source, func(text string) string {
			return strings.Replace(text, h.Text, "int(math.round("+h.Text+"))", 1)
		})}
}

// renamedTo reports whether an unknown argument is evidently the missing one, misspelt; that is one finding, not two.
func renamedTo(problems []schemas.Problem, missing schemas.Problem) bool {
	parent, _ := schemas.SplitPointer(missing.Field)
	for _, p := range problems {
		if holder, _ := schemas.SplitPointer(p.Field); p.Keyword == "additionalProperties" && holder == parent &&
			len(p.Candidates) > 0 && p.Candidates[0] == missing.Name() {
			return true
		}
	}
	return false
}

func (c *compiler) argument(a arguments, doc json.RawMessage, p schemas.Problem) {
	code := codeWrongArgument
	switch p.Keyword {
	case "required":
		code = codeMissingArgument
	case "additionalProperties":
		code = codeUnknownArgument
	}
	where := a.at + p.Field
	f := c.out.errorf(code, where, "%s: %s", a.called(), p.Message)
	if a.taken {
		f.Path = strings.TrimSuffix(a.at, "/inputs")
		f.Message += "; give this fallback inputs of its own, because it takes others than the node"
		return
	}
	root, err := document.Parse(cmp.Or(string(a.given), string(doc)))
	if err != nil {
		return
	}
	switch p.Keyword {
	case "required":
		if strings.Contains(a.at, "/compensate/") {
			f.Message += "; compensate: {capability, inputs} says with what the node is undone"
		}
		if len(a.given) == 0 {
			f.Path = strings.TrimSuffix(a.at, "/inputs")
		}
	case "additionalProperties":
		parent, name := schemas.SplitPointer(p.Field)
		if meant := c.meantArgument(a, root.Find(parent), parent, name); meant != "" {
			f.Fix = []schemas.PatchOp{opMove(where, schemas.PointerTo(a.at+parent, meant))}
			return
		}
		f.Message += elsewhere(name)
	case "enum":
		if v := root.Find(p.Field); v != nil && v.Kind == '"' {
			if meant := onlyMeant(v.Text(), p.Candidates); meant != "" {
				f.Fix = []schemas.PatchOp{opReplaceText(where, meant)}
			}
		}
	case "type":
		if v := root.Find(p.Field); v != nil {
			fixed, say := convert(v, p.Expected, c.inputShape(a).place(p.Field).item().types())
			if fixed != nil {
				f.Fix = []schemas.PatchOp{opReplace(where, fixed)}
			}
			f.Message += say
		}
	}
}

func (c *compiler) wrongType(a arguments, h *expr.Placeholder, got, want []string) {
	where := a.at + h.At
	f := c.out.errorf(codeWrongArgument, where,
		"%s: `%s` must be %s, and ${%s} is %s", a.called(), schemas.Dotted(h.At), strings.Join(want, " or "), expr.Shorten(h.Text), strings.Join(got, " or "))
	if a.taken {
		f.Path = strings.TrimSuffix(a.at, "/inputs")
		return
	}
	if h.Inside || len(got) != 1 {
		return
	}
	if c.declares(f, h, want) || c.contentOfOutput(f, a, h, want) {
		return
	}
	convert := ""
	switch {
	case slices.Contains(want, "array") && compatible(got, c.inputShape(a).place(h.At).item().types()) && (got[0] != "null"):
		f.Fix = []schemas.PatchOp{opReplace(where, json.RawMessage("["+document.Quote(c.textAt(site{h, a.node, where, h.At, a.may}))+"]"))}
		return
	case slices.Contains(want, "string") && (got[0] == "object" || got[0] == "array"):
		f.Message += "; json.encode(…) makes a text of it"
	case slices.Contains(want, "string") && (got[0] == "integer" || got[0] == "number" || got[0] == "boolean"):
		convert = "string"
	case slices.Contains(want, "integer") && got[0] == "string":
		convert = "int"
	case slices.Contains(want, "number") && got[0] == "string":
		convert = "double"
	}
	if convert != "" {
		f.Fix = []schemas.PatchOp{c.fixText(where, h.Source, func(text string) string {
			return strings.Replace(text, h.Text, convert+"("+h.Text+")", 1)
		})}
	}
}

// contentOfOutput reports whether the content blocks of an answer stand where only the content that is in its output fits, and adds that to
// the finding.
func (c *compiler) contentOfOutput(f *schemas.Finding, a arguments, h *expr.Placeholder, want []string) bool {
	i, ok := c.ids[h.Path.NodeID()]
	if !ok || !h.Plain || len(h.Path.Steps) != 2 || !c.declaresContent(i, h.Path.Steps[1:]) {
		return false
	}
	id, where := h.Path.NodeID(), a.at+h.At
	inside, _ := c.outputShape(i).property("content")
	if !compatible(inside.types(), want) {
		return false
	}
	f.Message += fmt.Sprintf("; what %s gives as content is nodes.%s.output.content", c.outputOf(i), id)
	f.Fix = []schemas.PatchOp{c.fixText(where, h.Source, func(text string) string {
		return strings.Replace(text, h.Text, "nodes."+id+".output.content", 1)
	})}
	return true
}

var jsonTypes = []string{"string", "number", "integer", "boolean", "array", "object", "null"}

// declares reports whether the expression reads an input that was written as a declaration, {type: …}, instead of its
// value, and adds that to the finding.
func (c *compiler) declares(f *schemas.Finding, h *expr.Placeholder, want []string) bool {
	name, ok := strings.CutPrefix(strings.TrimSpace(h.Text), "inputs.")
	if !ok || c.inputs == nil || c.inputs.Kind != '{' {
		return false
	}
	v := c.inputs.Get(name)
	if v == nil || v.Kind != '{' {
		return false
	}
	kind, standard := v.Get("type"), v.Get("default")
	if kind == nil || kind.Kind != '"' || !slices.Contains(jsonTypes, kind.Text()) {
		return false
	}
	f.Message += fmt.Sprintf("; inputs of a plan are values and not their schemas: write %s itself "+
		"(create_workflow takes a JSON Schema as input_schema)", name)
	if standard != nil && c.outer == nil && slices.Contains(want, kind.Text()) {
		f.Fix = []schemas.PatchOp{opReplace(schemas.PointerTo(c.base+"/inputs", name), json.RawMessage(standard.Raw))}
	}
	return true
}
