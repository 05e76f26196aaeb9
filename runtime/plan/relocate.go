package plan

import (
	"encoding/json"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// relocate moves fields that authors write in the wrong place, where renaming is not enough. What it reports it also
// repairs in v, so that the rest is checked as if it were repaired.
func (d *decoder) relocate(v *document.Tree, at string) {
	if v.Kind != '{' {
		return
	}
	d.reviewOfCall(v, at)
	if t := v.Get("verify"); t != nil {
		where, to := at+"/verify", at+"/on_unknown"
		f := d.out.errorf(codeUnknownField, where, "a node has no field \"verify\": it belongs in on_unknown")
		switch u := v.Get("on_unknown"); {
		case u == nil:
			f.Fix = []schemas.PatchOp{opAdd(to, json.RawMessage("{}")), opMove(where, to+"/verify")}
			v.Put("on_unknown", document.Tree{Kind: '{', Names: []string{"verify"}, Items: []document.Tree{*t}})
		case u.Kind == '{' && u.Get("verify") == nil:
			f.Fix = []schemas.PatchOp{opMove(where, to+"/verify")}
			u.Put("verify", *t)
		case u.Kind == '"':
			f.Fix = []schemas.PatchOp{opReplace(to, json.RawMessage(`{"then":`+u.Raw+`}`)), opMove(where, to+"/verify")}
			u.Wrap("then")
			u.Put("verify", *t)
		}
		v.Drop("verify")
	}
	for _, name := range []string{"definition", "subplan", "sub_plan", "subworkflow"} {
		if t := v.Get(name); t != nil && t.Kind == '{' && v.Get("workflow") == nil {
			d.out.errorf(codeUnknownField, schemas.PointerTo(at, name),
				"a node has no field %q; a plan within a plan is written workflow: {definition: …}", name).Fix =
				[]schemas.PatchOp{opAdd(at+"/workflow", json.RawMessage("{}")), opMove(schemas.PointerTo(at, name), at+"/workflow/definition")}
			v.Put("workflow", document.Tree{Kind: '{', Names: []string{"definition"}, Items: []document.Tree{*t}})
			v.Drop(name)
		}
	}
	d.expiry(v, at)
	d.besideReview(v, at)
	d.until(v, at)
}

// reviewOfCall moves a review of a call into its safety level.
func (d *decoder) reviewOfCall(v *document.Tree, at string) {
	calls := v.Get("capability") != nil
	if r := v.Get("review"); r != nil && calls && r.Kind != 'n' {
		f := d.out.errorf(codeSeveralKinds, at+"/review",
			"a review node asks a person and calls nothing; to have a person decide on the call write safety_level: review; a question of your own "+
				"is a node before it")
		switch { // a question would be lost
		case r.Kind == 'f':
			f.Fix = []schemas.PatchOp{opRemove(at + "/review")}
		case r.Kind == 't' && v.Get("safety_level") == nil:
			f.Fix = []schemas.PatchOp{opRemove(at + "/review"), opAdd(at+"/safety_level", json.RawMessage(`"review"`))}
		}
		v.Drop("review")
	}
}

// until moves a condition beside wait_for into it.
func (d *decoder) until(v *document.Tree, at string) {
	t, w := v.Get("until"), v.Get("wait_for")
	if t == nil || w == nil || w.Kind != '{' || w.Get("until") != nil {
		return
	}
	d.out.errorf(codeMisplacedField, at+"/until", "until belongs to wait_for, as in wait_for: {state: {type, key}, until}").Fix =
		[]schemas.PatchOp{opMove(at+"/until", at+"/wait_for/until")}
	w.Put("until", *t)
	v.Drop("until")
}

// expiry moves expires into the review or the wait_for of the node.
func (d *decoder) expiry(v *document.Tree, at string) {
	t := v.Get("expires")
	if t == nil {
		return
	}
	where := at + "/expires"
	for _, kind := range []struct{ name, text, time string }{{"review", "question", "expires"}, {"wait_for", "event", "timeout"}} {
		k := v.Get(kind.name)
		if k == nil {
			continue
		}
		to := at + "/" + kind.name
		f := d.out.errorf(codeUnknownField, where, "a node has no field \"expires\": write %s: {%s, %s}", kind.name, kind.text, kind.time)
		switch {
		case k.Kind == '{' && k.Get(kind.time) == nil:
			f.Fix = []schemas.PatchOp{opMove(where, to+"/"+kind.time)}
			k.Put(kind.time, *t)
		case k.Kind == '"':
			f.Fix = []schemas.PatchOp{opReplace(to, json.RawMessage(`{`+document.Quote(kind.text)+`:`+k.Raw+`}`)), opMove(where, to+"/"+kind.time)}
			k.Wrap(kind.text)
			k.Put(kind.time, *t)
		}
		v.Drop("expires")
		return
	}
	d.out.errorf(codeUnknownField, where,
		"expires belongs to review: {question, expires}; a call has timeout and total_timeout, and a wait needs no limit")
	v.Drop("expires")
}
