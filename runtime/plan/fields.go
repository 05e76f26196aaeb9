package plan

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// field is one field of an object of the plan: the name and the least value come from the tags of the Go field.
type field struct {
	name       string
	index      int
	low        int // of a whole number
	isDuration bool
	given      bool // a text that may not be empty: one that cannot be read is reported once, and a stand-in takes its place
}

// isGiven reports whether an object has the field; an empty list counts as absent.
func (f *field) isGiven(object reflect.Value) bool {
	v := object.Field(f.index)
	return !v.IsZero() && (v.Kind() != reflect.Slice || v.Len() > 0)
}

// tables are the fields of the objects of the plan by their type, made on first use.
var tables sync.Map // reflect.Type → []field

// fieldsOf lists the fields that a plan may give an object of the type.
func fieldsOf(t reflect.Type) []field {
	if known, ok := tables.Load(t); ok {
		return known.([]field)
	}
	var table []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || f.Type == reflect.TypeFor[*schemas.ResolvedWorkflow]() {
			continue // set by the runtime, never written
		}
		one := field{name: name, index: i, isDuration: f.Type == reflect.TypeFor[schemas.Duration]()}
		for part := range strings.SplitSeq(f.Tag.Get("jsonschema"), ",") {
			if low, ok := strings.CutPrefix(part, "minimum="); ok {
				one.low, _ = strconv.Atoi(low)
			}
			one.given = one.given || part == "minLength=1"
		}
		table = append(table, one)
	}
	tables.Store(t, table)
	return table
}

// field reads a value of an object by the type of the field; strings have rules by their names.
func (d *decoder) field(object reflect.Value, f *field, v *document.Tree, at string) {
	switch to := object.Field(f.index).Addr().Interface().(type) {
	case *string:
		d.string(to, f, v, at)
	case *schemas.TriggerRule:
		word(d, to, v, at)
	case *schemas.OnError:
		if v.Kind == '{' || v.Kind == '[' {
			d.wrong(v, at, "one of "+strings.Join(onErrors, ", ")).Message += "; fallback: [{capability, inputs} or {value}] replaces what failed; " + sayHandler
			return
		}
		word(d, to, v, at)
	case *schemas.Effect:
		word(d, to, v, at)
	case *schemas.Duration:
		d.duration(to, v, at)
	case *schemas.Object:
		d.object(to, v, at)
	case *schemas.Value:
		d.value(to, v, at)
	case *bool:
		d.boolean(to, v, at)
	case *int:
		if objectKind(object.Type()) == "planlimits" {
			d.limitNumber(to, v, at)
			return
		}
		d.integer(to, v, at, f.low)
	case **int:
		*to = new(int)
		d.integer(*to, v, at, f.low)
	case *float64:
		if d.number(to, v, at); v.Kind == '0' && *to == 0 { // 0 would count as absent
			*to = -1
		}
	case **float64:
		*to = new(float64)
		d.number(*to, v, at)
	case *[]string:
		switch f.name {
		case "choices":
			d.choices(to, v, at)
			return
		case "depends_on":
			d.dependsOn(v, at)
		}
		d.texts(to, v, at)
	case *[]schemas.Code:
		d.codes(to, v, at)
	case **schemas.Retry:
		d.retry(to, v, at)
	case **schemas.PlanLimits:
		d.planLimits(to, v, at)
	case **schemas.Defaults:
		*to = new(schemas.Defaults)
		d.fields(*to, v, at, "defaults")
	case *[]schemas.Node:
		d.nodes(to, v, at)
	case **schemas.ForEach:
		d.forEach(to, v, at)
	case **schemas.WaitFor:
		d.waitFor(to, v, at)
	case **schemas.StateName:
		d.state(to, v, at)
	case **schemas.Review:
		d.review(to, v, at)
	case **schemas.Workflow:
		d.workflow(to, v, at)
	case **schemas.Plan:
		d.definition(object.Addr().Interface().(*schemas.Workflow), v, at)
	case *[]schemas.Fallback:
		d.fallbacks(to, v, at)
	case **schemas.Compensate:
		d.compensate(to, v, at)
	case **schemas.Repeat:
		d.repeat(to, v, at)
	case **schemas.OnUnknown:
		d.onUnknown(to, v, at)
	case **schemas.Verify:
		d.verify(to, v, at)
	default:
		panic("plan: no reader for " + reflect.TypeOf(to).String()) // a test reads every field
	}
}

// string reads the strings of the language.
func (d *decoder) string(to *string, f *field, v *document.Tree, at string) {
	switch f.name {
	case "plan":
		d.version(to, v, at)
	case "capability":
		d.capability(to, v, at)
	case "wait":
		d.wait(to, v, at)
	case "when", "until":
		d.when(to, v, at)
	case "collect":
		if v.Kind == '"' {
			*to = v.Text()
		} else {
			d.wrong(v, at, "one ${…} that each round adds to the output, such as \"${output.items}\"")
		}
	case "every":
		d.wait(to, v, at)
	case "happened":
		if d.when(to, v, at); *to == "" && v.Kind != '"' {
			*to = "${true}"
		}
	default:
		if d.text(to, v, at); f.given && *to == "" && v.Kind != '"' {
			*to = unreadable
		}
	}
}

// takesNull are the fields whose null is a value; everywhere else it counts as absent.
var takesNull = map[string]bool{"set": true, "output": true, "value": true}

// unreadable takes the place of a name that was refused already, so that it is reported once.
const unreadable = "?"

// nullValue takes the place of a kind that was refused, so that the rest of the node can be checked.
var nullValue = schemas.Value(json.RawMessage("null"))
