package main

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// wanted is the schema of one place; nil: anything is allowed.
type wanted struct{ schema *document.Tree }

func (w wanted) get(keyword string) *document.Tree {
	if w.schema == nil {
		return nil
	}
	return w.schema.Get(keyword)
}

// names lists the members that an object has, sorted; none: it is a map, or anything.
func (w wanted) names() []string {
	if properties := w.get("properties"); properties != nil {
		return slices.DeleteFunc(properties.Keys(), func(name string) bool { return name == "$schema" })
	}
	return nil
}

// member is what is wanted of a member; ok is false when the object has none of the name.
func (w wanted) member(name string) (wanted, bool) {
	properties := w.get("properties")
	if properties == nil {
		return wanted{w.get("additionalProperties")}, true
	}
	v := properties.Get(name)
	return wanted{v}, v != nil
}

func (w wanted) items() wanted { return wanted{w.get("items")} }

// allows reports whether a value of the JSON type is allowed.
func (w wanted) allows(jsonType string) bool {
	t := w.get("type")
	if t == nil || t.Kind == '"' && t.Text() == jsonType {
		return true
	}
	return slices.ContainsFunc(t.Items, func(one document.Tree) bool { return one.Text() == jsonType })
}

// fill replaces null in a list or a map by the empty value, unless null is allowed.
func (w wanted) fill(t *document.Tree) {
	switch {
	case t.Kind != 'n' || w.allows("null"):
	case w.allows("string"):
		*t = t.As('"', `""`)
	case w.allows("object"):
		*t = t.As('{', "{}")
	}
}

// scalar reads text, such as that of a variable, where a boolean or a number is wanted and no string; kind 0: it is none.
func (w wanted) scalar(text string) (kind byte, raw string) {
	switch {
	case w.allows("string"):
	case w.allows("boolean"):
		if b, err := strconv.ParseBool(text); err == nil {
			raw = strconv.FormatBool(b)
			return raw[0], raw
		}
	case w.allows("integer"):
		if n, err := strconv.ParseInt(text, 0, 0); err == nil {
			return '0', strconv.FormatInt(n, 10)
		}
	case w.allows("number"):
		if x, err := strconv.ParseFloat(text, 64); err == nil && !math.IsInf(x, 0) && !math.IsNaN(x) {
			return '0', strconv.FormatFloat(x, 'g', -1, 64)
		}
	}
	return 0, ""
}

// isDuration knows the schema of [schemas.Duration] by its example.
func (w wanted) isDuration() bool {
	examples := w.get("examples")
	return examples != nil && string(examples.AppendTo(nil)) == durationExamples
}

var durationExamples = func() string {
	raw, err := json.Marshal(schemas.Duration(0).JSONSchema().Examples)
	if err != nil {
		panic(err)
	}
	return string(raw)
}()
