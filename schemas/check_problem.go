package schemas

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// Problem is one error in a document, described for its author.
type Problem struct {
	Field      string   // JSON pointer to the invalid or missing value; "" is the whole document
	Keyword    string   // the JSON Schema keyword that it violates, such as required or type
	Message    string   // for example: `limit` must be an integer, got string "ten"
	Candidates []string // nearest names or allowed values, if the problem is a wrong name or value
	Expected   []string // the types that the schema allows, if the type is wrong
	cause      error    // of a check that was interrupted
}

// Name is the last part of the field: the name of the missing or unknown argument.
func (p Problem) Name() string {
	_, name := SplitPointer(p.Field)
	return name
}

// Bounds of an answer: as many problems are looked at, and the first of them are shown.
const (
	maxCollected = 1000
	maxProblems  = 50
)

// english prints the errors that have no sentence of their own here.
var english = message.NewPrinter(language.English)

// translator flattens the validator's tree of errors into problems.
type translator struct {
	ctx     context.Context //nolint:containedctx // of the check
	checker *Checker
	doc     any
	open    []string
	show    func(field string) (string, bool) // nil: values are shown as they are
	out     []Problem
}

func (t *translator) translate(e *jsonschema.ValidationError) []Problem {
	t.walk(e)
	slices.SortStableFunc(t.out, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.Message, b.Message))
	})
	t.out = slices.CompactFunc(t.out, func(a, b Problem) bool { return a.Field == b.Field && a.Message == b.Message })
	if len(t.out) > maxProblems {
		t.out = t.out[:maxProblems]
	}
	return t.out
}

// grouping reports whether an error only contains others.
func grouping(k jsonschema.ErrorKind) bool {
	switch k.(type) {
	case *kind.Schema, *kind.Group, *kind.Reference, *kind.AllOf:
		return true
	}
	return false
}

func (t *translator) walk(e *jsonschema.ValidationError) {
	if len(t.out) >= maxCollected || t.uncertain(e) {
		return
	}
	if grouping(e.ErrorKind) {
		for _, cause := range e.Causes {
			t.walk(cause)
		}
		return
	}
	where, field := pointerName(e.InstanceLocation), Pointer(e.InstanceLocation)
	add := func(keyword, format string, args ...any) *Problem {
		t.out = append(t.out, Problem{Field: field, Keyword: keyword, Message: Format(format, args...)})
		return &t.out[len(t.out)-1]
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			add("required", "missing required `%s`", childName(e.InstanceLocation, name)).Field = PointerTo(field, name)
		}
	case *kind.AdditionalProperties:
		slices.Sort(k.Properties)
		for _, name := range k.Properties {
			t.unknown(e.InstanceLocation, name, t.checker.propertyNames(e.SchemaURL))
		}
	case *kind.FalseSchema:
		if strings.HasSuffix(e.SchemaURL, "Properties") && len(e.InstanceLocation) > 0 {
			last := len(e.InstanceLocation) - 1
			parent := e.SchemaURL[:strings.LastIndexByte(e.SchemaURL, '/')]
			t.unknown(e.InstanceLocation[:last], e.InstanceLocation[last], t.checker.propertyNames(parent))
			return
		}
		add("false", "%s is not allowed", where)
	case *kind.Type:
		add("type", "%s must be %s, got %s", where, typeWords(k.Want), t.got(e)).Expected = k.Want
	case *kind.Enum:
		add("enum", "%s must be one of %s, got %s", where, valueList(k.Want), t.got(e)).Candidates = t.nearestValues(e, k.Want)
	case *kind.Const:
		add("const", "%s must be %s, got %s", where, show(k.Want), t.got(e))
	case *kind.AnyOf:
		t.alternatives(e, "anyOf")
	case *kind.OneOf:
		if len(k.Subschemas) > 0 {
			add("oneOf", "%s matches more than one of the exclusive forms", where)
			return
		}
		t.alternatives(e, "oneOf")
	case *kind.Not:
		add("not", "%s has a form that is not allowed", where)
	case *kind.DependentRequired:
		add("dependentRequired", "%s needs `%s` as well when `%s` is given", where, strings.Join(k.Missing, "`, `"), k.Prop)
	case *kind.Dependency:
		add("dependencies", "%s needs `%s` as well when `%s` is given", where, strings.Join(k.Missing, "`, `"), k.Prop)
	case *kind.MinLength:
		add("minLength", "%s must have at least %d characters, got %d", where, k.Want, k.Got)
	case *kind.MaxLength:
		add("maxLength", "%s must have at most %d characters, got %d", where, k.Want, k.Got)
	case *kind.Pattern:
		add("pattern", "%s must match the pattern %s, got %s", where, k.Want, t.got(e))
	case *kind.Format:
		add("format", "%s must be a valid %s, got %s", where, k.Want, t.got(e))
	case *kind.MinItems:
		add("minItems", "%s must have at least %d items, got %d", where, k.Want, k.Got)
	case *kind.MaxItems:
		add("maxItems", "%s must have at most %d items, got %d", where, k.Want, k.Got)
	case *kind.Minimum:
		add("minimum", "%s must be at least %s, got %s", where, k.Want.RatString(), t.got(e))
	case *kind.Maximum:
		add("maximum", "%s must be at most %s, got %s", where, k.Want.RatString(), t.got(e))
	case *kind.ExclusiveMinimum:
		add("exclusiveMinimum", "%s must be more than %s, got %s", where, k.Want.RatString(), t.got(e))
	case *kind.ExclusiveMaximum:
		add("exclusiveMaximum", "%s must be less than %s, got %s", where, k.Want.RatString(), t.got(e))
	case *kind.PropertyNames:
		add("propertyNames", "%s may not have an argument named `%s`", where, k.Property)
	default:
		add(strings.Join(e.ErrorKind.KeywordPath(), "/"), "%s: %s", where, e.ErrorKind.LocalizedString(english))
	}
}

func (t *translator) unknown(location []string, name string, known []string) {
	p := Problem{
		Field:      PointerTo(Pointer(location), name),
		Keyword:    "additionalProperties",
		Message:    fmt.Sprintf("unknown argument `%s`", childName(location, name)),
		Candidates: Nearest(name, known, 3),
	}
	switch {
	case len(p.Candidates) > 0:
		p.Message += fmt.Sprintf("; did you mean `%s`?", p.Candidates[0])
	case len(known) == 0:
		p.Message += "; no arguments are allowed here"
	default:
		p.Message += "; known are " + codeList(known, 12)
	}
	t.out = append(t.out, p)
}

// alternatives summarizes an anyOf or oneOf of which no branch matches: if all branches but one fail by the value's type,
// the problems are those of that branch; a choice of types is one sentence; otherwise the first problem of each branch is listed.
func (t *translator) alternatives(e *jsonschema.ValidationError, keyword string) {
	var types []string
	var matching [][]Problem // of the branches whose type matches
	for _, cause := range e.Causes {
		branch := translator{checker: t.checker, doc: t.doc, open: t.open, show: t.show}
		problems := branch.translate(cause)
		if len(problems) == 0 {
			return // whether it matches depends on an open value
		}
		if own := atField(problems, Pointer(e.InstanceLocation), "type"); own != nil {
			types = append(types, own.Expected...)
			continue
		}
		matching = append(matching, problems)
	}
	p := Problem{Field: Pointer(e.InstanceLocation), Keyword: keyword}
	where := pointerName(e.InstanceLocation)
	switch {
	case len(matching) == 0 && len(types) > 0:
		slices.Sort(types)
		p.Keyword, p.Expected = "type", slices.Compact(types)
		p.Message = fmt.Sprintf("%s must be %s, got %s", where, typeWords(p.Expected), t.got(e))
	case len(matching) == 1:
		t.out = append(t.out, matching[0]...)
		return
	default:
		var forms []string
		for i, problems := range matching {
			if i == 3 {
				forms = append(forms, fmt.Sprintf("and %d more", len(matching)-3))
				break
			}
			forms = append(forms, fmt.Sprintf("(%d) %s", i+1, problems[0].Message))
		}
		p.Message = fmt.Sprintf("%s matches none of the %d allowed forms: %s", where, len(e.Causes), strings.Join(forms, "; "))
	}
	t.out = append(t.out, p)
}

func atField(problems []Problem, field, keyword string) *Problem {
	for i := range problems {
		if problems[i].Field == field && problems[i].Keyword == keyword {
			return &problems[i]
		}
	}
	return nil
}

// dependsOnValue reports whether the result of a keyword at a container may change with an open value inside it.
func dependsOnValue(k jsonschema.ErrorKind) bool {
	switch k.(type) {
	case *kind.AnyOf, *kind.OneOf, *kind.Not, *kind.Enum, *kind.Const, *kind.UniqueItems, *kind.Contains,
		*kind.MinContains, *kind.MaxContains:
		return true
	}
	return false
}

// uncertain reports whether an error may disappear once the open values are known.
func (t *translator) uncertain(e *jsonschema.ValidationError) bool {
	if len(t.open) == 0 {
		return false
	}
	for _, part := range []string{"/then", "/else", "/dependentSchemas/", "/unevaluated", "/dependencies/"} {
		if strings.Contains(e.SchemaURL, part) {
			return true
		}
	}
	here := Pointer(e.InstanceLocation)
	for _, open := range t.open {
		if here == open || strings.HasPrefix(here, open+"/") {
			return !grouping(e.ErrorKind)
		}
		if (here == "" || strings.HasPrefix(open, here+"/")) && dependsOnValue(e.ErrorKind) {
			return true
		}
	}
	return false
}

func (t *translator) nearestValues(e *jsonschema.ValidationError, want []any) []string {
	got, ok := t.value(e.InstanceLocation).(string)
	if !ok {
		return nil
	}
	var names []string
	for _, v := range want {
		if s, ok := v.(string); ok {
			names = append(names, s)
		}
	}
	return Nearest(got, names, 3)
}

// value finds the value at a location of the document.
func (t *translator) value(location []string) any {
	v := t.doc
	for _, step := range location {
		switch container := v.(type) {
		case map[string]any:
			v = container[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(container) {
				return nil
			}
			v = container[i]
		default:
			return nil
		}
	}
	return v
}

// got describes the value at the error: its type and the value itself, shortened.
func (t *translator) got(e *jsonschema.ValidationError) string {
	if t.show != nil {
		if text, ok := t.show(Pointer(e.InstanceLocation)); ok {
			return text
		}
	}
	v := t.value(e.InstanceLocation)
	switch v := v.(type) {
	case nil:
		return "null"
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case bool:
		return "boolean " + show(v)
	case json.Number:
		if strings.ContainsAny(string(v), ".eE") {
			return "number " + show(v)
		}
		return "integer " + show(v)
	default:
		return "string " + show(v)
	}
}
