package schemas

import (
	"encoding/json"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"
)

// Listed is implemented by a type whose schema in a list of tools is shorter than the one that arguments are checked against.
type Listed interface {
	ListedSchema() *jsonschema.Schema
}

// ListedInput is [InputSchema] as a model reads it in a list of tools. Every client reads it, and what stands between a client and
// a model converts it to the dialect of the model's API, so it holds less: one type for each property, no schema for members that
// are not named, and no limits: a description names those that matter. What it leaves out is checked all the same.
func ListedInput(v any) json.RawMessage {
	s := reflected(v, false, func(t reflect.Type) *jsonschema.Schema {
		if l, ok := reflect.Zero(t).Interface().(Listed); ok && t.Kind() != reflect.Pointer {
			return l.ListedSchema()
		}
		return nil
	})
	list(s)
	return encode(s)
}

func list(s *jsonschema.Schema) {
	s.AdditionalProperties = nil
	s.MinLength, s.MaxLength, s.Examples = nil, nil, nil
	s.Minimum, s.Maximum, s.ExclusiveMinimum = "", "", ""
	if s.Extras["type"] != nil { // any value, of which most are objects
		s.Type, s.Extras = "object", nil
	}
	if s.Items != nil {
		list(s.Items)
	}
	if s.Properties != nil {
		for p := s.Properties.Oldest(); p != nil; p = p.Next() {
			open := p.Value.Type == "object" && p.Value.Properties.Len() == 0 && !strings.Contains(p.Value.Description, "text")
			if list(p.Value); open {
				p.Value.Description = strings.TrimPrefix(p.Value.Description+orText, "; ")
			}
		}
	}
}

// orText ends the description of an object whose members are not named. The dialects of models' APIs have none, so it is given as text there,
// see [Checker.CheckGiven].
const orText = "; JSON text too"

// ListedOutput is [OutputSchema] as it stands in a list of tools: the members of the result with their types. No model chooses a
// tool by more, and the whole schema would be repeated for every tool that returns an execution.
func ListedOutput(v any) json.RawMessage {
	s := Reflect(v, true)
	for p := s.Properties.Oldest(); p != nil; p = p.Next() {
		member := &jsonschema.Schema{Type: p.Value.Type, Extras: p.Value.Extras, Enum: p.Value.Enum}
		if items := p.Value.Items; items != nil {
			member.Items = &jsonschema.Schema{Type: items.Type, Extras: items.Extras}
		}
		p.Value = member
	}
	return encode(s)
}
