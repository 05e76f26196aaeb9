package plan

import (
	"encoding/json"
	"strings"

	"github.com/runplane/runplane/schemas"
)

// waitFor reads the name of an event, or {event, timeout}, or {state, until, timeout}.
func (d *decoder) waitFor(to **schemas.WaitFor, v *tree, at string) {
	w := new(schemas.WaitFor)
	*to = w
	switch v.kind {
	case '{':
		d.stateOf(v, at)
		fields(d, w, v, at, "wait_for", waitForFields)
	case '"':
		w.Event, w.Bare = v.text(), true
	default:
		d.wrong(v, at, "the name of an event, {event, timeout} or {state: {type, key}, until, timeout}")
		w.Event = unreadable
	}
}

// stateOf moves what names a state into it, and what stands beside a state out of it.
func (d *decoder) stateOf(v *tree, at string) {
	where := at + "/state"
	if s := v.get("state"); s != nil {
		for _, name := range []string{"until", "timeout"} {
			if t := s.get(name); t != nil && v.get(name) == nil {
				d.out.errorf(codeMisplacedField, where+"/"+name, "%s stands beside state, as in wait_for: {state: {type, key}, %s}", name, name).Fix =
					[]schemas.PatchOp{opMove(where+"/"+name, at+"/"+name)}
				v.put(name, *t)
				v.get("state").drop(name)
				s = v.get("state")
			}
		}
		return
	}
	parts := tree{kind: '{'}
	fix := []schemas.PatchOp{opAdd(where, json.RawMessage(`{}`))}
	for _, name := range []string{"type", "state_type", "key", "state_key"} {
		if t := v.get(name); t != nil {
			to := strings.TrimPrefix(name, "state_")
			fix = append(fix, opMove(at+"/"+name, where+"/"+to))
			parts.put(to, *t)
			v.drop(name)
		}
	}
	if len(parts.names) > 0 {
		d.out.errorf(codeMisplacedField, at, "type and key name a state within it, as in wait_for: {state: {type, key}, until}").Fix = fix
		v.put("state", parts)
	}
}

// review reads a question, or {question, expires}.
func (d *decoder) review(to **schemas.Review, v *tree, at string) {
	r := new(schemas.Review)
	*to = r
	switch v.kind {
	case '{':
		fields(d, r, v, at, "review", reviewFields)
	case '"':
		r.Question, r.Bare = v.text(), true
	default:
		d.wrong(v, at, "a question or {question, expires}")
		r.Question = unreadable
	}
}

// workflow reads a name, or {name} or {definition}. A plan in its place is the definition.
func (d *decoder) workflow(to **schemas.Workflow, v *tree, at string) {
	w := new(schemas.Workflow)
	*to = w
	switch {
	case v.kind == '{' && v.get("nodes") != nil && v.get("definition") == nil:
		beside := at + "_definition"
		d.out.warnf(codeAlias, at, "a plan within a plan is written {definition: …}").Fix =
			[]schemas.PatchOp{opMove(at, beside), opAdd(at, json.RawMessage("{}")), opMove(beside, at+"/definition")}
		d.definition(w, v, at+"/definition")
	case v.kind == '{':
		fields(d, w, v, at, "workflow", workflowFields)
	case v.kind == '"':
		w.Name, w.Bare = v.text(), true
	default:
		d.wrong(v, at, "{definition: …}")
		w.Definition = emptyDefinition()
	}
}

// emptyDefinition stands for a definition that was refused already.
func emptyDefinition() *schemas.Plan {
	return &schemas.Plan{Version: schemas.PlanVersion, Nodes: []schemas.Node{{ID: "a", Set: nullValue}}, Output: schemas.Value(`"${nodes.a.output}"`)}
}

// definition reads the plan within a plan. It need not say its version again.
func (d *decoder) definition(w *schemas.Workflow, v *tree, at string) {
	if v.kind != '{' {
		d.wrong(v, at, "a plan")
		w.Definition = emptyDefinition()
		return
	}
	if d.depth == d.lim.MaxNesting {
		d.out.errorf(codeTooDeep, at, "definitions are nested more than %d levels deep; write the nodes into the plan around them", d.lim.MaxNesting)
		w.Name = unreadable
		return
	}
	d.depth++
	defer func() { d.depth-- }()
	errors := d.out.errors
	p := &schemas.Plan{Version: schemas.PlanVersion}
	w.Definition = p
	fields(d, p, v, at, "the definition", d.table)
	if len(p.Nodes) == 0 && d.out.errors > errors {
		p.Nodes = emptyDefinition().Nodes // what is wrong with them was said
	}
}

// fallbacks reads the list of what serves instead; one entry stands for a list of one.
func (d *decoder) fallbacks(to *[]schemas.Fallback, v *tree, at string) {
	if v.kind != '[' {
		one := *v
		*v = tree{kind: '[', items: []tree{one}}
		written := one.appendTo(nil)
		d.out.warnf(codeAlias, at, "fallback is a list").Fix = []schemas.PatchOp{opReplace(at, append(append([]byte{'['}, written...), ']'))}
	}
	*to = make([]schemas.Fallback, len(v.items))
	for i := range v.items {
		d.fallback(&(*to)[i], &v.items[i], schemas.PointerToItem(at, i))
	}
}

func (d *decoder) fallback(f *schemas.Fallback, v *tree, at string) {
	switch {
	case v.kind == '"':
		f.Capability, f.Bare = v.text(), true
	case v.kind == '{' && looksLikeCall(v):
		d.aliases(v, at, callAliases)
		fields(d, f, v, at, "fallback", fallbackFields)
		if f.Capability == "" && len(f.Value) == 0 && v.get("capability") != nil {
			f.Capability = unreadable
		}
	default:
		d.value(&f.Value, v, at)
		d.out.errorf(codeWrongType, at, "a fallback is {capability, inputs} or {value}, got %s", v.typeName()).Fix =
			[]schemas.PatchOp{opReplace(at, json.RawMessage(`{"value":`+string(f.Value)+`}`))}
	}
}

// looksLikeCall tells an entry of a fallback from a bare value.
func looksLikeCall(v *tree) bool {
	for _, name := range v.names {
		if findField(fallbackFields, name) != nil || callAliases[name] != "" || len(schemas.Nearest(name, fieldNames(fallbackFields), 1)) > 0 {
			return true
		}
	}
	return len(v.names) == 0
}

// compensate reads a capability, or {capability, inputs, timeout, retry}.
func (d *decoder) compensate(to **schemas.Compensate, v *tree, at string) {
	c := new(schemas.Compensate)
	*to = c
	switch v.kind {
	case '{':
		d.aliases(v, at, callAliases)
		fields(d, c, v, at, "compensate", compensateFields)
	case '"':
		c.Capability, c.Bare = v.text(), true
	default:
		c.Capability = unreadable
		f := d.wrong(v, at, "realm.name or {capability, inputs}")
		if v.kind == '[' && len(v.items) == 1 {
			f.Fix = []schemas.PatchOp{opReplace(at, v.items[0].appendTo(nil))}
		}
	}
}

// onUnknown reads a word, or {then, verify}.
func (d *decoder) onUnknown(to **schemas.OnUnknown, v *tree, at string) {
	u := new(schemas.OnUnknown)
	*to = u
	if v.kind == '{' {
		fields(d, u, v, at, "on_unknown", onUnknownFields)
		return
	}
	u.Bare = true
	d.text(&u.Then, v, at)
}
