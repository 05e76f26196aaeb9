package plan

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// A plan may come inside of something: text around it, an object with its name, a list without its object. What is around is taken off with a
// warning; what stands beside it and might mean something is kept, as a field of the plan.

// wrappers of a plan, in the spelling of [snake].
var planWrappers = strings.Fields("plan execution_plan workflow definition workflow_definition dag pipeline flow graph spec arguments args params " +
	"parameters input inputs json data payload body result output response content task function plan_definition")

// ofMessage are the fields that stand beside arguments in a message that calls a tool.
var ofMessage = strings.Fields("name method jsonrpc id type tool tool_name function_name call_id tool_use_id")

// planWord is a field that shows that a text holds a plan.
var planWord = regexp.MustCompile("(?i)(?:" + strings.Join(strings.Fields("nodes "+nodeLists+" invocations capability depends_on"), "|") +
	")[\"'”“`]?\\s*(?::|=>)")

// mayHold reports whether a piece of a text may be a plan.
func mayHold(piece string) bool { return planWord.MatchString(piece) }

// partWord is a field of a plan or of a node that data seldom has.
var partWord = sync.OnceValue(func() *regexp.Regexp {
	var names []string
	for _, table := range [][]field{fieldsOf(reflect.TypeFor[schemas.Plan]()), fieldsOf(reflect.TypeFor[schemas.Node]())} {
		for i := range table {
			if !slices.Contains(strings.Fields("plan name description id inputs output priority"), table[i].name) {
				names = append(names, table[i].name)
			}
		}
	}
	return regexp.MustCompile("(?i)(?:^|[{,\\s-])[\"']?(?:" + strings.Join(names, "|") + ")[\"']?\\s*:(?:\\s|[\"'\\[{0-9])")
})

// mayBelong reports whether a piece of a text may be a part of the plan that stands beside it.
func mayBelong(piece string) bool { return partWord().MatchString(piece) }

// listOf is the field of a plan with its nodes; empty: it has none.
func listOf(t *document.Tree) string {
	for _, name := range t.Names {
		if plain := snake(name); plain == "nodes" || slices.Contains(strings.Fields(nodeLists), plain) {
			return name
		}
	}
	return ""
}

// isNode reports whether an object is evidently a node: it names what it calls.
func isNode(t *document.Tree) bool {
	if t.Kind != '{' {
		return false
	}
	if t.Get("capability") != nil {
		return true
	}
	for _, name := range t.Names {
		if isCallName(name) && t.Get(name).Kind == '"' {
			return slices.ContainsFunc(t.Names, func(n string) bool { return n == "id" || n == "inputs" || isCallWord(n) && n != name })
		}
	}
	return t.Get("id") != nil && slices.ContainsFunc(kindNames, func(kind string) bool { return t.Get(kind) != nil })
}

// isMessage reports whether an object is a message that calls a tool of ours.
func isMessage(t *document.Tree) bool {
	for i, name := range t.Names {
		if v := &t.Items[i]; slices.Contains(ofMessage, snake(name)) && v.Kind == '"' {
			for _, tool := range []string{"execute_plan", "validate_plan", "execute_with_timeout", "execute_with_retry", "tools/call"} {
				if strings.HasSuffix(v.Text(), tool) {
					return true
				}
			}
		}
	}
	return false
}

// hasSentence reports whether YAML took a sentence for a field.
func hasSentence(t *document.Tree) bool {
	return slices.ContainsFunc(t.Names, func(name string) bool { return strings.Count(name, " ") > 1 })
}

// isPlan reports whether a value can be read as a plan, or as the envelope of one.
func isPlan(t *document.Tree) bool {
	switch t.Kind {
	case '[':
		return len(t.Items) > 0 && isNode(&t.Items[0])
	case '{':
		return listOf(t) != "" || isNode(t) || wrapperOf(t) != "" || t.Get("plan") != nil && t.Get("plan").Kind == '"'
	}
	return false
}

// wrapperOf is the field of an object that holds the plan; empty: none does.
func wrapperOf(t *document.Tree) string {
	if t.Kind != '{' || listOf(t) != "" || isNode(t) && !isMessage(t) {
		return ""
	}
	for i, name := range t.Names {
		v := &t.Items[i]
		if !slices.Contains(planWrappers, snake(name)) {
			continue
		}
		if v.Kind == '{' && (listOf(v) != "" || isNode(v) || wrapperOf(v) != "") || v.Kind == '[' && isPlan(v) {
			return name
		}
		if inner := textOfPlan(v); inner != nil {
			return name
		}
	}
	return ""
}

// textOfPlan is the plan that a text holds as JSON; nil: it holds none.
func textOfPlan(v *document.Tree) *document.Tree {
	if v.Kind != '"' || !strings.HasPrefix(strings.TrimSpace(v.Text()), "{") {
		return nil
	}
	if t, err := document.Parse(v.Text()); err == nil && t.Kind == '{' && listOf(&t) != "" {
		return &t
	}
	return nil
}

// besides is where the fix of a wrapped plan puts it while its fields move up.
const besides = "/_wrapped"

// unwrapped takes a plan out of the objects around it, and makes an object of a bare list or a bare node.
func (d *decoder) unwrapped(t *document.Tree) {
	for range 5 {
		name := wrapperOf(t)
		if name == "" {
			break
		}
		d.unwrapOne(t, name)
	}
	switch {
	case t.Kind == '[' && isPlan(t):
		whole := `{"plan":"v1","nodes":` + string(t.AppendTo(nil)) + `}`
		d.out.warnf(codeEnvelope, "", "a list of nodes is taken as {plan: v1, nodes: […]}").Fix = []schemas.PatchOp{opReplace("", json.RawMessage(whole))}
		t.Wrap("nodes")
		t.Put("plan", text(schemas.PlanVersion))
	case listOf(t) == "" && isNode(t) && !isMessage(t):
		ops := []schemas.PatchOp{opAdd("/nodes", json.RawMessage("[{}]"))}
		for _, name := range t.Names {
			ops = append(ops, opMove(schemas.PointerTo("", name), schemas.PointerTo("/nodes/0", name)))
		}
		ops = append(ops, opAdd("/plan", json.RawMessage(`"v1"`)))
		d.out.warnf(codeEnvelope, "", "a single node is taken as {plan: v1, nodes: [{…}]}").Fix = ops
		t.WrapInList()
		t.Wrap("nodes")
		t.Put("plan", text(schemas.PlanVersion))
	}
}

// unwrapOne takes off one object around a plan.
func (d *decoder) unwrapOne(t *document.Tree, name string) {
	v := *t.Get(name)
	where := schemas.PointerTo("", name)
	var ops []schemas.PatchOp
	if inner := textOfPlan(&v); inner != nil {
		v = *inner
		ops = append(ops, opReplace(where, inner.AppendTo(nil)))
	}
	ops = append(ops, opMove(where, besides))
	if v.Kind == '[' {
		ops = append(ops, opMove(besides, "/nodes"))
		d.out.warnf(codeEnvelope, where, "a list of nodes is written nodes: […]").Fix = ops
		for i := range t.Names {
			if t.Names[i] == name {
				t.Names[i] = "nodes"
			}
		}
		return
	}
	rest := document.Tree{Kind: '{'}
	message := slices.Contains([]string{"arguments", "args", "params", "input", "parameters", "function"}, snake(name))
	var clash []string
	for i, other := range t.Names {
		switch {
		case other == name:
		case message && slices.Contains(ofMessage, snake(other)) && t.Items[i].Kind != '{' && t.Items[i].Kind != '[':
			ops = append(ops, opRemove(schemas.PointerTo("", other)))
		case v.Get(other) != nil:
			clash = append(clash, other)
		default:
			rest.Put(other, t.Items[i])
		}
	}
	if len(clash) > 0 {
		d.out.errorf(codeAliasConflict, schemas.PointerTo("", clash[0]), "%s stands beside the plan and in it; keep one of them", strings.Join(clash, ", "))
	}
	for i, field := range v.Names {
		ops = append(ops, opMove(schemas.PointerTo(besides, field), schemas.PointerTo("", field)))
		rest.Put(field, v.Items[i])
	}
	ops = append(ops, opRemove(besides))
	f := d.out.warnf(codeEnvelope, where, "the plan is written without %s around it", name)
	if len(clash) == 0 {
		f.Fix = ops
	}
	t.Names, t.Items = rest.Names, rest.Items
}
