package schemas

import (
	"encoding/json"
	"slices"
	"strings"
)

// ArgumentsOf is an input schema in short: the names of the arguments, the required ones with a star and first, with their types, as in
// (id*: string, limit: int). It is empty if the schema names none.
func ArgumentsOf(input Object) string {
	var s struct {
		Properties map[string]json.RawMessage `json:"properties"`
		Required   []string                   `json:"required"`
	}
	if json.Unmarshal(input, &s) != nil || len(s.Properties) == 0 {
		return ""
	}
	var required, optional []string
	for name, schema := range s.Properties {
		if slices.Contains(s.Required, name) {
			required = append(required, name+"*: "+typeWord(schema, 0))
		} else {
			optional = append(optional, name+": "+typeWord(schema, 0))
		}
	}
	slices.Sort(required)
	slices.Sort(optional)
	return "(" + OneLine(strings.Join(slices.Concat(required, optional), ", ")) + ")"
}

// shortTypes are types whose name is long.
var shortTypes = map[string]string{"integer": "int", "boolean": "bool"}

// typeWord names what a schema allows: its values, or its type.
func typeWord(schema json.RawMessage, depth int) string {
	var s struct {
		Type  any               `json:"type"`
		Enum  []json.RawMessage `json:"enum"`
		Items json.RawMessage   `json:"items"`
	}
	if json.Unmarshal(schema, &s) != nil {
		return "any"
	}
	if n := len(s.Enum); n > 0 && n <= 8 {
		words := make([]string, n)
		for i, v := range s.Enum {
			words[i] = Cut(strings.Trim(string(v), `"`), 40, Ellipsis)
		}
		return strings.Join(words, "|")
	}
	var words []string
	switch t := s.Type.(type) {
	case string:
		words = []string{t}
	case []any:
		for _, one := range t {
			if word, ok := one.(string); ok && word != "null" {
				words = append(words, word)
			}
		}
	}
	for i, word := range words {
		switch short := shortTypes[word]; {
		case short != "":
			words[i] = short
		case word == "array" && len(s.Items) > 0 && depth < 3:
			words[i] = typeWord(s.Items, depth+1) + "[]"
		}
	}
	if len(words) == 0 {
		return "any"
	}
	return strings.Join(words, "|")
}
