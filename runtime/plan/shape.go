package plan

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// shape is what a JSON Schema declares about one place in a document. It follows properties, items and references within
// the schema; where a schema has alternatives, nothing is known.
type shape struct {
	root *document.Tree
	at   *document.Tree // nil: nothing is known
}

// newShape reads a schema; of an empty or unreadable one nothing is known.
func newShape(schema json.RawMessage) shape {
	t, err := document.Parse(string(schema))
	if err != nil {
		return shape{}
	}
	s := shape{root: &t, at: &t}
	return s.resolved()
}

// resolved follows $ref; a place that leaves alternatives open becomes unknown.
func (s shape) resolved() shape {
	for range 10 {
		if s.at == nil || s.at.Kind != '{' {
			return shape{}
		}
		ref := s.at.Get("$ref")
		if ref == nil {
			for _, open := range []string{"anyOf", "oneOf", "allOf", "if", "$dynamicRef", "not"} {
				if s.at.Get(open) != nil {
					return shape{}
				}
			}
			return s
		}
		inside, ok := "", false
		if ref.Kind == '"' {
			inside, ok = strings.CutPrefix(ref.Text(), "#")
		}
		if !ok || inside != "" && inside[0] != '/' {
			return shape{}
		}
		s.at = s.root.Find(inside)
	}
	return shape{}
}

// types lists the JSON types that are allowed here; none: any.
func (s shape) types() []string {
	if s.at == nil {
		return nil
	}
	t := s.at.Get("type")
	if t == nil {
		return nil
	}
	var all []string
	if t.Kind == '"' {
		all = append(all, t.Text())
	}
	for _, keyword := range []string{"nullable", "x-nullable"} { // of OpenAPI 3.0 and Swagger 2.0, as schemas.Checker reads them
		if nullable := s.at.Get(keyword); nullable != nil && nullable.Kind == 't' {
			all = append(all, "null")
		}
	}
	for i := range t.Items {
		if t.Items[i].Kind == '"' {
			all = append(all, t.Items[i].Text())
		}
	}
	return all
}

// properties lists the declared names; closed reports whether there can be no others.
func (s shape) properties() (names []string, closed bool) {
	if s.at == nil {
		return nil, false
	}
	if p := s.at.Get("properties"); p != nil && p.Kind == '{' {
		names = p.Keys()
	}
	additional := s.at.Get("additionalProperties")
	return names, additional != nil && additional.Kind == 'f' && s.at.Get("patternProperties") == nil
}

// property goes to a declared property; known is false when it is not declared.
func (s shape) property(name string) (next shape, known bool) {
	if s.at == nil {
		return shape{}, false
	}
	p := s.at.Get("properties")
	if p == nil || p.Kind != '{' {
		return shape{}, false
	}
	v := p.Get(name)
	if v == nil {
		return shape{}, false
	}
	return shape{s.root, v}.resolved(), true
}

// item goes to the items of a list.
func (s shape) item() shape {
	if s.at == nil || s.at.Get("prefixItems") != nil {
		return shape{}
	}
	items := s.at.Get("items")
	if items == nil || items.Kind != '{' {
		return shape{}
	}
	return shape{s.root, items}.resolved()
}

// place goes to a JSON pointer of a document.
func (s shape) place(pointer string) shape {
	for part := range schemas.PointerParts(pointer) {
		if slices.Contains(s.types(), "array") {
			s = s.item()
			continue
		}
		s, _ = s.property(part)
	}
	return s
}

// optional reports whether the place is declared as a member that its object need not have.
func (s shape) optional(pointer string) bool {
	parent, name := schemas.SplitPointer(pointer)
	s = s.place(parent)
	if _, declared := s.property(name); !declared || slices.Contains(s.types(), "array") {
		return false
	}
	required := s.at.Get("required")
	return required == nil || !slices.ContainsFunc(required.Items, func(t document.Tree) bool { return t.Kind == '"' && t.Text() == name })
}

// compatible reports whether a value of one of the types may be of one that is wanted. No types are compatible with all.
func compatible(got, want []string) bool {
	if len(got) == 0 || len(want) == 0 {
		return true
	}
	for _, g := range got {
		for _, w := range want {
			if g == w || g == "integer" && w == "number" || g == "number" && w == "integer" {
				return true
			}
		}
	}
	return false
}
