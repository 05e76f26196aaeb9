package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/runplane/runplane/schemas"
)

// decoder puts nodes into Go values. Where encoding/json would stop at the first mismatch without saying where, it
// collects every problem with its position. The `jsonschema` tag that describes a field to editors bounds it here.
type decoder struct {
	expand   *expander // nil leaves ${…} as it is
	client   bool      // the file belongs to an MCP client, which has keys of its own
	at       map[string]position
	problems []problem
	warnings []string
	notes    []string
}

// problem is one mistake in the file. It never holds a value that was expanded, or any of a realm.
type problem struct {
	at         position
	path       string
	message    string
	candidates []string
}

func (d *decoder) fail(at position, path, format string, args ...any) {
	d.problems = append(d.problems, problem{at: at, path: path, message: fmt.Sprintf(format, args...)})
}

// decode fills v from n. path is dotted; f holds the field's tags, which also count for the elements of a list.
func (d *decoder) decode(n *node, v reflect.Value, path string, f bounds) {
	d.at[path] = n.at
	if n.kind == kindNull {
		return
	}
	switch target := v.Addr().Interface().(type) {
	case *schemas.Duration:
		d.duration(n, target, path)
		return
	case *schemas.Realm:
		if d.is(n, kindObject, path) {
			d.realm(n, v, path)
		}
		return
	case *schemas.Value:
		d.value(n, target, path)
		return
	case *schemas.Code:
		if d.text(n, (*string)(target), path); *target != "" && !target.Valid() {
			d.unknownWord(n, path, codeNames())
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.decode(n, v.Elem(), path, f)
	case reflect.Struct:
		if d.is(n, kindObject, path) {
			d.fields(n, v, path)
		}
	case reflect.Map:
		if !d.is(n, kindObject, path) {
			return
		}
		v.Set(reflect.MakeMap(v.Type()))
		for _, entry := range n.fields {
			item := reflect.New(v.Type().Elem()).Elem()
			d.decode(entry.value, item, join(path, entry.name), bounds{})
			d.at[join(path, entry.name)] = entry.at
			v.SetMapIndex(reflect.ValueOf(entry.name), item)
		}
	case reflect.Slice:
		if !d.is(n, kindList, path) {
			return
		}
		list := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
		for i, item := range n.items {
			d.decode(item, list.Index(i), fmt.Sprintf("%s[%d]", path, i), f)
		}
		v.Set(list)
	case reflect.String:
		var text string
		if d.text(n, &text, path); text != "" && f.words != nil && !slices.Contains(f.words, text) {
			d.unknownWord(n, path, f.words)
			return
		}
		v.SetString(text)
	case reflect.Bool, reflect.Int, reflect.Float64:
		d.scalar(n, v, path, f)
	default:
		panic("config: no decoding for " + v.Type().String())
	}
}

// is reports a value of another kind.
func (d *decoder) is(n *node, kind nodeKind, path string) bool {
	if n.kind != kind {
		d.fail(n.at, path, "want %s, got %s", kind, n.kind)
	}
	return n.kind == kind
}

// text reads a string and expands it. In a realm, where files of clients hold strings alone, YAML's plain numbers and
// booleans count as they were written.
func (d *decoder) text(n *node, out *string, path string) {
	plain := inRealm(path) && (n.kind == kindNumber || n.kind == kindBool)
	if !plain && !d.is(n, kindString, path) {
		return
	}
	if text, ok := d.expanded(n, path); ok {
		*out = text
	}
}

func (d *decoder) expanded(n *node, path string) (string, bool) {
	if d.expand == nil {
		return n.text, true
	}
	replace := d.expand.setting
	if inRealm(path) {
		replace = d.expand.realm
	}
	text, problems := replace(n.text)
	for _, err := range problems {
		d.fail(n.at, path, "%s", err)
	}
	return text, len(problems) == 0
}

func (d *decoder) duration(n *node, out *schemas.Duration, path string) {
	if n.kind == kindNumber {
		d.fail(n.at, path, "a duration needs a unit: write %q", n.text+"s")
		return
	}
	var text string
	if d.text(n, &text, path); text == "" {
		return
	}
	v, err := schemas.ParseDuration(text)
	if err != nil && text != n.text {
		d.fail(n.at, path, "%s is no duration such as \"30s\"", n.text)
		return
	}
	if err != nil {
		d.fail(n.at, path, "%s", err)
		return
	}
	*out = v
}

// scalar reads a boolean or a number; a string gives one when it was expanded.
func (d *decoder) scalar(n *node, v reflect.Value, path string, f bounds) {
	want := map[reflect.Kind]nodeKind{reflect.Bool: kindBool, reflect.Int: kindNumber, reflect.Float64: kindNumber}[v.Kind()]
	text, shown := n.text, n.text
	if n.kind == kindString && strings.Contains(n.text, "${") {
		var ok bool
		if text, ok = d.expanded(n, path); !ok {
			return
		}
	} else if !d.is(n, want, path) {
		return
	}
	if err := setText(v, text, f); err != nil {
		d.fail(n.at, path, "%s: %s", shown, err)
	}
}

// setText reads a boolean, a whole number or a number within bounds; the error does not hold the text.
func setText(v reflect.Value, text string, f bounds) error {
	var number float64
	switch v.Kind() {
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("want true or false")
		}
		v.SetBool(b)
		return nil
	case reflect.Int:
		i, err := strconv.ParseInt(text, 0, 0)
		if err != nil {
			return fmt.Errorf("want a whole number")
		}
		v.SetInt(i)
		number = float64(i)
	default:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("want a number")
		}
		v.SetFloat(x)
		number = x
	}
	if f.min != nil && number < *f.min {
		return fmt.Errorf("the least is %v", *f.min)
	}
	if f.max != nil && number > *f.max {
		return fmt.Errorf("the most is %v", *f.max)
	}
	return nil
}

// fields fills a struct; a key that it does not have is an error with the nearest name, or left to the rules for realms
// and for files of clients.
func (d *decoder) fields(n *node, v reflect.Value, path string) {
	known := fieldsOf(v.Type())
	for _, entry := range n.fields {
		at := join(path, entry.name)
		if f, ok := known[entry.name]; ok {
			d.decode(entry.value, v.FieldByIndex(f.index), at, f.bounds)
			continue
		}
		if d.foreign(entry, v, at, slices.Sorted(maps.Keys(known))) {
			continue
		}
		names := schemas.Nearest(entry.name, slices.Sorted(maps.Keys(known)), 1)
		message := fmt.Sprintf("unknown key %q", entry.name)
		if len(names) > 0 {
			message += fmt.Sprintf(": did you mean %q?", names[0])
		} else {
			message += ": known are " + strings.Join(slices.Sorted(maps.Keys(known)), ", ")
		}
		d.problems = append(d.problems, problem{entry.at, path, message, names})
	}
}

func (d *decoder) unknownWord(n *node, path string, words []string) {
	message := "want one of " + strings.Join(words, ", ")
	names := schemas.Nearest(n.text, words, 1)
	if !inRealm(path) && !strings.Contains(n.text, "${") {
		message = fmt.Sprintf("%q is unknown: %s", n.text, message)
	}
	d.problems = append(d.problems, problem{n.at, path, message, names})
}

// bounds are what a field's tag allows.
type bounds struct {
	words    []string
	min, max *float64
}

type structField struct {
	index []int
	bounds
}

// fieldsOf lists the fields of a struct by their JSON names, those of embedded structs among them.
func fieldsOf(t reflect.Type) map[string]structField {
	out := map[string]structField{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || name == "-" || name == "" {
			continue
		}
		var b bounds
		for _, part := range strings.Split(f.Tag.Get("jsonschema"), ",") {
			key, value, _ := strings.Cut(part, "=")
			number, err := json.Number(value).Float64()
			switch {
			case key == "enum":
				b.words = append(b.words, value)
			case key == "minimum" && err == nil:
				b.min = &number
			case key == "maximum" && err == nil:
				b.max = &number
			}
		}
		out[name] = structField{f.Index, b}
	}
	return out
}

func codeNames() []string {
	var names []string
	for _, c := range schemas.Codes() {
		names = append(names, string(c))
	}
	slices.Sort(names)
	return names
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func inRealm(path string) bool { return strings.HasPrefix(path, "mcpServers.") }

// err joins the problems in the order of the file; nil when there are none.
func (d *decoder) err(file string) error {
	if len(d.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(d.problems, func(a, b problem) int {
		return cmp.Or(cmp.Compare(a.at.line, b.at.line), cmp.Compare(a.at.col, b.at.col))
	})
	var lines, candidates []string
	for _, p := range d.problems {
		where := ""
		if p.path != "" {
			where = p.path + ": "
		}
		lines = append(lines, fmt.Sprintf("%s:%s: %s%s", file, p.at, where, p.message))
		candidates = append(candidates, p.candidates...)
	}
	e := schemas.Errorf(schemas.CodeInvalidArgument, "%s", strings.Join(lines, "\n")).
		WithField(d.problems[0].path).WithHint("correct the file; `runplane schema config` prints its schema")
	e.Candidates = candidates
	return e
}
