package plan

import (
	"encoding/json"

	"github.com/runplane/runplane/schemas"
)

// approvals are words that authors use to ask for a person's consent.
var approvals = []string{"approval", "approve", "human_review", "require_approval", "requires_approval", "needs_approval", "confirm", "confirmation"}

// relocate moves what authors write beside a field into it, where renaming the field is not enough. What it reports it
// also repairs in v, so that the rest is judged as if it were repaired.
func (d *decoder) relocate(v *tree, at string) {
	if v.kind != '{' {
		return
	}
	d.consent(v, at)
	if t := v.get("verify"); t != nil {
		where, to := at+"/verify", at+"/on_unknown"
		f := d.out.errorf(codeUnknownField, where, "a node has no field \"verify\": it belongs into on_unknown")
		switch u := v.get("on_unknown"); {
		case u == nil:
			f.Fix = []schemas.PatchOp{opAdd(to, json.RawMessage("{}")), opMove(where, to+"/verify")}
			v.put("on_unknown", tree{kind: '{', names: []string{"verify"}, items: []tree{*t}})
		case u.kind == '{' && u.get("verify") == nil:
			f.Fix = []schemas.PatchOp{opMove(where, to+"/verify")}
			u.put("verify", *t)
		case u.kind == '"':
			f.Fix = []schemas.PatchOp{opReplace(to, json.RawMessage(`{"then":`+u.raw+`}`)), opMove(where, to+"/verify")}
			*u = tree{kind: '{', names: []string{"then", "verify"}, items: []tree{*u, *t}}
		}
		v.drop("verify")
	}
	for _, name := range []string{"continue_on_error", "continue-on-error", "ignore_errors"} {
		if t := v.get(name); t != nil {
			d.flag(v, at, name, "on_error", string(schemas.OnErrorContinue), t.kind == 't')
		}
	}
	for _, name := range []string{"definition", "subplan", "sub_plan", "subworkflow"} {
		if t := v.get(name); t != nil && t.kind == '{' && v.get("workflow") == nil {
			d.out.errorf(codeUnknownField, schemas.PointerTo(at, name), "a node has no field %q; a plan within a plan is written workflow: {definition: …}", name).Fix =
				[]schemas.PatchOp{opAdd(at+"/workflow", json.RawMessage("{}")), opMove(schemas.PointerTo(at, name), at+"/workflow/definition")}
			v.put("workflow", tree{kind: '{', names: []string{"definition"}, items: []tree{*t}})
			v.drop(name)
		}
	}
	d.expiry(v, at)
	d.until(v, at)
}

// flag turns name: true into another field with a word, and drops name: false.
func (d *decoder) flag(v *tree, at, name, field, value string, on bool) {
	where := schemas.PointerTo(at, name)
	f := d.out.errorf(codeUnknownField, where, "a node has no field %q; write %s: %s", name, field, value)
	f.Fix = []schemas.PatchOp{opRemove(where)}
	if on && v.get(field) == nil {
		f.Fix = append(f.Fix, opAdd(at+"/"+field, json.RawMessage(quote(value))))
		v.put(field, tree{kind: '"', raw: quote(value)})
	}
	v.drop(name)
}

// consent reads every way of asking for a person: on a call it is a safety level, else a node of its own.
func (d *decoder) consent(v *tree, at string) {
	calls := v.get("capability") != nil
	if r := v.get("review"); r != nil && calls && r.kind != 'n' {
		f := d.out.errorf(codeSeveralKinds, at+"/review", "a review node asks a person and calls nothing; to have a person decide on the call write safety_level: review")
		f.Fix = []schemas.PatchOp{opRemove(at + "/review")}
		if r.kind != 'f' && v.get("safety_level") == nil {
			f.Fix = append(f.Fix, opAdd(at+"/safety_level", json.RawMessage(`"review"`)))
		}
		v.drop("review")
	}
	for _, name := range approvals {
		t := v.get(name)
		switch {
		case t == nil:
		case calls:
			d.flag(v, at, name, "safety_level", schemas.SafetyReview, t.kind != 'f' && t.kind != 'n')
		case v.get("review") != nil:
		case t.kind == '"' || t.kind == '{':
			d.out.errorf(codeUnknownField, schemas.PointerTo(at, name), "a node has no field %q; did you mean \"review\"?", name).Fix =
				[]schemas.PatchOp{opMove(schemas.PointerTo(at, name), at+"/review")}
			v.put("review", *t)
			v.drop(name)
		case t.kind == 't':
			d.flag(v, at, name, "review", "May this go on?", true)
		}
	}
}

// until moves a condition beside wait_for into it.
func (d *decoder) until(v *tree, at string) {
	t, w := v.get("until"), v.get("wait_for")
	if t == nil || w == nil || w.kind != '{' || w.get("until") != nil {
		return
	}
	d.out.errorf(codeMisplacedField, at+"/until", "until belongs to wait_for, as in wait_for: {state: {type, key}, until}").Fix =
		[]schemas.PatchOp{opMove(at+"/until", at+"/wait_for/until")}
	w.put("until", *t)
	v.drop("until")
}

// expiry moves expires and the timeout of a question or an event to where it counts.
func (d *decoder) expiry(v *tree, at string) {
	t := v.get("expires")
	if t == nil {
		return
	}
	where := at + "/expires"
	for _, kind := range []struct{ name, text, time string }{{"review", "question", "expires"}, {"wait_for", "event", "timeout"}} {
		k := v.get(kind.name)
		if k == nil {
			continue
		}
		to := at + "/" + kind.name
		f := d.out.errorf(codeUnknownField, where, "a node has no field \"expires\": write %s: {%s, %s}", kind.name, kind.text, kind.time)
		switch {
		case k.kind == '{' && k.get(kind.time) == nil:
			f.Fix = []schemas.PatchOp{opMove(where, to+"/"+kind.time)}
			k.put(kind.time, *t)
		case k.kind == '"':
			f.Fix = []schemas.PatchOp{opReplace(to, json.RawMessage(`{`+quote(kind.text)+`:`+k.raw+`}`)), opMove(where, to+"/"+kind.time)}
			*k = tree{kind: '{', names: []string{kind.text, kind.time}, items: []tree{*k, *t}}
		}
		v.drop("expires")
		return
	}
	d.out.errorf(codeUnknownField, where, "expires belongs to review: {question, expires}; a call has timeout and total_timeout, a wait ends by itself").Fix =
		[]schemas.PatchOp{opRemove(where)}
	v.drop("expires")
}
