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

// Plans are written by models that know other languages. What a field of another language means here stands in one table, foreignFields:
// it is rewritten if its meaning is certain, ignored with a warning if it cannot mean anything to a run, and refused otherwise, with what
// to write instead. No field is taken out of a plan that could order, guard, bound, repeat, undo or approve something.

// meaning is what a field of another language is here. The first row whose turn does not return false counts.
type meaning struct {
	names string              // in the spelling of snake, separated by spaces
	of    string              // the kinds of object that it stands in, such as "node retry"; empty: any
	to    string              // the field that it is, with the same value
	turn  func(f *found) bool // writes it in ours; false: the value has another meaning
	say   string              // what to write instead, as the rest of a sentence after the name of the field
	idle  bool                // it means nothing to a run
}

// found is a field of another language in an object of the plan.
type found struct {
	d      *decoder
	object *document.Tree
	value  *document.Tree
	kind   string // of the object
	what   string // the object, in messages
	at     string // of the object
	name   string
	beside []string             // the fields of the object as it was written
	words  map[string][]meaning // the table
}

// objectKind is the name of a kind of object in the table.
func objectKind(t reflect.Type) string { return strings.ToLower(t.Name()) }

// foreign brings the fields of other languages in an object into ours.
func (d *decoder) foreign(t *document.Tree, table []field, kind, at, what string) {
	if !slices.ContainsFunc(t.Names, func(name string) bool { return findField(table, name) == nil }) {
		return
	}
	written := slices.Clone(t.Names)
	for _, name := range written {
		if findField(table, name) != nil || t.Get(name) == nil {
			continue
		}
		if kind == "node" && d.stray(t, table, name, at, what) {
			continue
		}
		f := &found{d: d, object: t, value: t.Get(name), kind: kind, at: at, what: what, name: name, beside: written, words: foreignFields}
		plain := snake(name)
		if findField(table, plain) != nil {
			f.becomes(plain)
			continue
		}
		if !f.means(foreignFields[plain]) {
			f.unit(table, plain)
		}
	}
}

// means tries the rows of a field.
func (f *found) means(rows []meaning) bool {
	for _, m := range rows {
		if m.of != "" && !slices.Contains(strings.Fields(m.of), f.kind) {
			continue
		}
		switch {
		case m.turn != nil:
			if !m.turn(f) {
				continue
			}
		case m.to != "":
			f.becomes(m.to)
		case m.idle:
			f.ignored()
		default:
			f.refused(m.say)
		}
		return true
	}
	return false
}

// snake is a name in the spelling of our fields: timeoutSeconds and timeout-seconds are timeout_seconds.
func snake(name string) string {
	if !strings.ContainsFunc(name, func(r rune) bool { return 'A' <= r && r <= 'Z' || r == '-' || r == ' ' }) {
		return name
	}
	var b strings.Builder
	for i, r := range name {
		switch {
		case 'A' <= r && r <= 'Z':
			if i > 0 && (name[i-1] < 'A' || name[i-1] > 'Z') && name[i-1] != '_' && name[i-1] != '-' {
				b.WriteByte('_')
			}
			b.WriteRune(r - 'A' + 'a')
		case r == '-' || r == ' ':
			b.WriteByte('_')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func (f *found) where() string { return schemas.PointerTo(f.at, f.name) }

// becomes gives the value to one of our fields.
func (f *found) becomes(field string) {
	if f.taken(field) {
		return
	}
	f.d.out.warnf(codeAlias, f.where(), "%s is taken as %s", expr.Shorten(f.name), field).Fix =
		[]schemas.PatchOp{opMove(f.where(), schemas.PointerTo(f.at, field))}
	for i := range f.object.Names {
		if f.object.Names[i] == f.name {
			f.object.Names[i] = field
			return
		}
	}
}

// taken reports a field of ours that is given as well.
func (f *found) taken(field string) bool {
	if other := f.object.Get(field); other == nil || other.Kind == 'n' && !takesNull[field] {
		f.object.Drop(field)
		return false
	}
	f.d.out.errorf(codeAliasConflict, f.where(), "%s means %s, which is given as well; keep one of them", expr.Shorten(f.name), field)
	f.object.Drop(f.name)
	return true
}

// written puts another value into one of our fields, and takes the field out.
func (f *found) written(field string, raw string) bool {
	if other := f.object.Get(field); f.name != field && other != nil && string(other.AppendTo(nil)) == raw {
		f.d.out.warnf(codeAlias, f.where(), "%s: %s says the same as %s", expr.Shorten(f.name), f.shown(), field).Fix =
			[]schemas.PatchOp{opRemove(f.where())}
		f.object.Drop(f.name)
		return true
	}
	if f.name != field && f.taken(field) {
		return true
	}
	v, err := document.Parse(raw)
	if err != nil {
		return false
	}
	f.d.out.warnf(codeAlias, f.where(), "%s: %s is taken as %s: %s", expr.Shorten(f.name), f.shown(), field, expr.Shorten(raw)).Fix =
		[]schemas.PatchOp{opRemove(f.where()), opAdd(schemas.PointerTo(f.at, field), json.RawMessage(raw))}
	f.object.Drop(f.name)
	f.object.Put(field, v)
	return true
}

// inside puts a value into a field of one of our objects, which is made if it is absent.
func (f *found) inside(field, member, raw string) bool {
	holder := f.object.Get(field)
	switch {
	case holder == nil || holder.Kind == 'n':
		return f.written(field, "{"+document.Quote(member)+":"+raw+"}")
	case holder.Kind != '{':
		return false
	case holder.Get(member) != nil:
		f.d.out.errorf(codeAliasConflict, f.where(), "%s means %s.%s, which is given as well; keep one of them",
			expr.Shorten(f.name), field, member)
		f.object.Drop(f.name)
		return true
	}
	v, err := document.Parse(raw)
	if err != nil {
		return false
	}
	taken := f.d.out.warnf(codeAlias, f.where(), "%s: %s is taken as %s.%s: %s", expr.Shorten(f.name), f.shown(), field, member, expr.Shorten(raw))
	taken.Fix = []schemas.PatchOp{opRemove(f.where()), opAdd(f.at+"/"+field+"/"+member, json.RawMessage(raw))}
	holder.Put(member, v)
	f.object.Drop(f.name)
	return true
}

// ignored warns of a field that means nothing to a run.
func (f *found) ignored() bool {
	f.d.out.warnf(codeIgnoredField, f.where(), "%s means nothing to a run and is ignored", expr.Shorten(f.name)).Fix =
		[]schemas.PatchOp{opRemove(f.where())}
	f.object.Drop(f.name)
	return true
}

// refused says what to write instead.
func (f *found) refused(say string) bool {
	f.d.out.errorf(codeUnknownField, f.where(), "%s has no field %q: %s", f.what, expr.Shorten(f.name), say)
	f.object.Drop(f.name)
	return true
}

// shown is the value in messages.
func (f *found) shown() string { return expr.Shorten(string(f.value.AppendTo(nil))) }

// is reports whether the value is true, or a text that says so.
func (f *found) is(on bool) bool {
	switch f.value.Kind {
	case 't':
		return on
	case 'f':
		return !on
	case '"':
		switch strings.ToLower(strings.TrimSpace(f.value.Text())) {
		case "true", "yes", "on", "always", "required":
			return on
		case "false", "no", "off", "never", "none":
			return !on
		}
	}
	return false
}

// word is the value in lower case, if it is a text.
func (f *found) word() string {
	if f.value.Kind != '"' {
		return ""
	}
	return strings.ToLower(strings.TrimSpace(f.value.Text()))
}

func (f *found) has(field string) bool {
	v := f.object.Get(field)
	return v != nil && v.Kind != 'n'
}

// flag is a field that says true or false: true is one of our fields, and false is what is so anyway.
func flag(field, value string) func(*found) bool {
	return func(f *found) bool {
		switch {
		case f.is(true):
			return f.written(field, document.Quote(value))
		case f.is(false):
			return f.ignored()
		}
		return false
	}
}

// said is a text that is one of our words.
func said(field string, words map[string]string) func(*found) bool {
	return func(f *found) bool {
		word, ok := words[snake(f.word())]
		return ok && f.written(field, document.Quote(word))
	}
}

// when is a field whose value must be of some kinds of JSON for the row to count.
func when(kinds, field string) func(*found) bool {
	return func(f *found) bool {
		if !strings.ContainsRune(kinds, rune(f.value.Kind)) {
			return false
		}
		f.becomes(field)
		return true
	}
}

// wholeNumber is the value as a whole number of at least low.
func (f *found) wholeNumber(low int) (n int, ok bool) {
	text := f.value.Raw
	if f.value.Kind == '"' {
		text = strings.TrimSpace(f.value.Text())
	}
	_, err := fmt.Sscanf(text, "%d", &n)
	return n, err == nil && fmt.Sprint(n) == text && n >= low
}
