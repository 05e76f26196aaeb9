package plan

import (
	"encoding/json"
	"reflect"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// waitFor reads the name of an event, or {event, timeout}, or {state, until, timeout}.
func (d *decoder) waitFor(to **schemas.WaitFor, v *document.Tree, at string) {
	w := new(schemas.WaitFor)
	*to = w
	switch v.Kind {
	case '{':
		d.stateOf(v, at)
		d.fields(w, v, at, "wait_for")
	case '"':
		w.Event, w.Bare = v.Text(), true
	default:
		f := d.wrong(v, at, "the name of an event, {event, timeout} or {state: {type, key}, until, timeout}")
		if v.Kind == '[' {
			f.Message += "; a node that follows others has depends_on: [<id>, …]"
		}
		w.Event = unreadable
	}
}

// stateOf moves the type and the key of a state into state, and until and timeout out of it.
func (d *decoder) stateOf(v *document.Tree, at string) {
	where := at + "/state"
	if s := v.Get("state"); s != nil {
		for _, name := range []string{"until", "timeout"} {
			if t := s.Get(name); t != nil && v.Get(name) == nil {
				d.out.errorf(codeMisplacedField, where+"/"+name, "%s goes beside state, as in wait_for: {state: {type, key}, %s}", name, name).Fix =
					[]schemas.PatchOp{opMove(where+"/"+name, at+"/"+name)}
				v.Put(name, *t)
				v.Get("state").Drop(name)
				s = v.Get("state")
			}
		}
		return
	}
	parts := document.Tree{Kind: '{'}
	fix := []schemas.PatchOp{opAdd(where, json.RawMessage(`{}`))}
	for _, name := range []string{"type", "state_type", "key", "state_key"} {
		if t := v.Get(name); t != nil {
			to := strings.TrimPrefix(name, "state_")
			fix = append(fix, opMove(at+"/"+name, where+"/"+to))
			parts.Put(to, *t)
			v.Drop(name)
		}
	}
	if len(parts.Names) > 0 {
		d.out.errorf(codeMisplacedField, at, "type and key name a state within it, as in wait_for: {state: {type, key}, until}").Fix = fix
		v.Put("state", parts)
	}
}

// state reads {type, key}.
func (d *decoder) state(to **schemas.StateName, v *document.Tree, at string) {
	*to = new(schemas.StateName)
	if d.fields(*to, v, at, "state"); v.Kind != '{' {
		**to = schemas.StateName{Type: unreadable, Key: unreadable}
	}
}

// review reads a question, or {question, choices, schema, expires}.
func (d *decoder) review(to **schemas.Review, v *document.Tree, at string) {
	r := new(schemas.Review)
	*to = r
	switch v.Kind {
	case '{':
		d.fields(r, v, at, "review")
	case '"':
		r.Question, r.Bare = v.Text(), true
	default:
		d.wrong(v, at, "a question or {question, expires}")
		r.Question = unreadable
	}
}

// workflow reads a name, or {name} or {definition}. A plan in its place is the definition.
func (d *decoder) workflow(to **schemas.Workflow, v *document.Tree, at string) {
	w := new(schemas.Workflow)
	*to = w
	switch {
	case v.Kind == '{' && v.Get("nodes") != nil && v.Get("definition") == nil:
		beside := at + "_definition"
		d.out.warnf(codeAlias, at, "a plan within a plan is written {definition: …}").Fix =
			[]schemas.PatchOp{opMove(at, beside), opAdd(at, json.RawMessage("{}")), opMove(beside, at+"/definition")}
		v.Wrap("definition")
		d.definition(w, &v.Items[0], at+"/definition")
	case v.Kind == '{':
		d.fields(w, v, at, "workflow")
	case v.Kind == '"':
		w.Name, w.Bare = v.Text(), true
	default:
		d.wrong(v, at, "{definition: …}")
		w.Definition = emptyDefinition()
	}
}

// emptyDefinition takes the place of a definition that was refused already.
func emptyDefinition() *schemas.Plan {
	return &schemas.Plan{
		Version: schemas.PlanVersion, Nodes: []schemas.Node{{ID: "a", Set: nullValue}}, Output: schemas.Value(`"${nodes.a.output}"`),
	}
}

// definition reads the plan within a plan. It need not say its version again.
func (d *decoder) definition(w *schemas.Workflow, v *document.Tree, at string) {
	if v.Kind != '{' {
		d.wrong(v, at, "a plan")
		w.Definition = emptyDefinition()
		return
	}
	if d.depth == d.lim.MaxNesting {
		d.out.errorf(codeTooDeep, at,
			"definitions are nested more than %d levels deep; write the nodes into the plan around them", d.lim.MaxNesting)
		w.Name = unreadable
		return
	}
	d.depth++
	defer func() { d.depth-- }()
	errors := d.out.errors
	p := &schemas.Plan{Version: schemas.PlanVersion}
	w.Definition = p
	d.fields(p, v, at, "the definition")
	if len(p.Nodes) == 0 && d.out.errors > errors {
		p.Nodes = emptyDefinition().Nodes // what is wrong with them is reported already
	}
}

// fallbacks reads the list of fallbacks; a single entry counts as a list of one.
func (d *decoder) fallbacks(to *[]schemas.Fallback, v *document.Tree, at string) {
	if v.Kind != '[' {
		v.WrapInList()
		written := v.Items[0].AppendTo(nil)
		d.out.warnf(codeAlias, at, "fallback is a list").Fix = []schemas.PatchOp{opReplace(at, append(append([]byte{'['}, written...), ']'))}
	}
	*to = make([]schemas.Fallback, len(v.Items))
	for i := range v.Items {
		d.fallback(&(*to)[i], &v.Items[i], schemas.PointerToItem(at, i))
	}
}

func (d *decoder) fallback(f *schemas.Fallback, v *document.Tree, at string) {
	switch {
	case v.Kind == '"':
		f.Capability, f.Bare = v.Text(), true
	case v.Kind == '{' && looksLikeCall(v):
		d.fields(f, v, at, "fallback")
		if f.Capability == "" && len(f.Value) == 0 && v.Get("capability") != nil {
			f.Capability = unreadable
		}
	default:
		d.value(&f.Value, v, at)
		d.out.errorf(codeWrongType, at, "a fallback is {capability, inputs} or {value}, got %s", v.TypeName()).Fix =
			[]schemas.PatchOp{opReplace(at, json.RawMessage(`{"value":`+string(f.Value)+`}`))}
	}
}

// looksLikeCall reports whether an object is an entry of a fallback and not a bare value.
func looksLikeCall(v *document.Tree) bool {
	table := fieldsOf(reflect.TypeFor[schemas.Fallback]())
	for _, name := range v.Names {
		if findField(table, name) != nil || isCallWord(name) || len(schemas.Nearest(name, fieldNames(table), 1)) > 0 {
			return true
		}
	}
	return len(v.Names) == 0
}

// compensate reads a capability, or {capability, inputs, timeout, retry}.
func (d *decoder) compensate(to **schemas.Compensate, v *document.Tree, at string) {
	c := new(schemas.Compensate)
	*to = c
	switch v.Kind {
	case '{':
		d.fields(c, v, at, "compensate")
	case '"':
		c.Capability, c.Bare = v.Text(), true
	default:
		c.Capability = unreadable
		f := d.wrong(v, at, "realm.name or {capability, inputs}")
		if v.Kind == '[' && len(v.Items) == 1 {
			f.Fix = []schemas.PatchOp{opReplace(at, v.Items[0].AppendTo(nil))}
		}
	}
}

// onUnknown reads a word, or {then, verify}.
func (d *decoder) onUnknown(to **schemas.OnUnknown, v *document.Tree, at string) {
	u := new(schemas.OnUnknown)
	*to = u
	if v.Kind == '{' {
		d.fields(u, v, at, "on_unknown")
		return
	}
	u.Bare = true
	d.text(&u.Then, v, at)
}

// verify reads {capability, inputs, happened, output}.
func (d *decoder) verify(to **schemas.Verify, v *document.Tree, at string) {
	*to = new(schemas.Verify)
	if d.fields(*to, v, at, "verify"); v.Kind != '{' {
		**to = schemas.Verify{Capability: unreadable, Happened: "${true}"}
	}
}
