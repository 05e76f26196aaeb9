package schemas

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// NewToolChecker is NewChecker for the schema of a tool, which was often made by a generator for another dialect: `exclusiveMinimum: true`
// and a list as `items` are read as those dialects mean them, and a keyword that cannot be read is left out, see [Checker.LeftOut]. The
// error says why nothing of the schema can be used.
func NewToolChecker(schema json.RawMessage) (*Checker, error) { return newChecker(schema, true) }

// LeftOut are the keywords of the schema that cannot be read and are not checked, each with its value.
func (c *Checker) LeftOut() []string { return slices.Clone(c.unread) }

// maxReadings is how often a schema is compiled, each time without what could not be read before.
const maxReadings = 8

// unusable is why a schema cannot be compiled.
type unusable struct {
	doc   any
	cause error
}

func (u *unusable) Error() string {
	return "the schema cannot be used: " + schemaProblems(u.doc, u.cause)
}

func (u *unusable) Unwrap() error { return u.cause }

// schemasIn calls visit for a schema and every schema below it, with its JSON pointer.
func schemasIn(at string, v any, visit func(at string, s map[string]any)) {
	s, ok := v.(map[string]any)
	if !ok {
		return
	}
	for keyword, value := range s {
		switch value := value.(type) {
		case map[string]any:
			if slices.Contains(schemaSingle, keyword) {
				schemasIn(PointerTo(at, keyword), value, visit)
			}
			if namesSchemas(keyword) {
				for name, sub := range value {
					schemasIn(PointerTo(PointerTo(at, keyword), name), sub, visit)
				}
			}
		case []any:
			if listsSchemas(keyword) {
				for i, sub := range value {
					schemasIn(PointerToItem(PointerTo(at, keyword), i), sub, visit)
				}
			}
		}
	}
	visit(at, s)
}

// namesSchemas reports whether the value of a keyword is a map of schemas.
func namesSchemas(keyword string) bool {
	return slices.Contains(schemaMaps, keyword) || slices.Contains([]string{"$defs", "definitions", "dependencies"}, keyword)
}

// listsSchemas reports whether the value of a keyword is, or was in older drafts, a list of schemas.
func listsSchemas(keyword string) bool {
	return keyword == "items" || slices.Contains(schemaLists, keyword)
}

// readNullable has every schema that is nullable by the word of OpenAPI 3.0 or Swagger 2.0 say so in the words of JSON Schema.
func readNullable(doc any) {
	schemasIn("", doc, func(_ string, s map[string]any) {
		if s["nullable"] != true && s["x-nullable"] != true {
			return
		}
		if one, ok := s["type"].(string); ok {
			s["type"] = []any{one}
		}
		if types, ok := s["type"].([]any); ok && !slices.Contains(types, any("null")) {
			s["type"] = append(types, "null")
		}
		if only, ok := s["const"]; ok {
			delete(s, "const")
			s["enum"] = []any{only}
		}
		if values, ok := s["enum"].([]any); ok && !slices.Contains(values, nil) {
			s["enum"] = append(values, nil)
		}
		rest := map[string]any{}
		for _, keyword := range []string{"$ref", "allOf", "anyOf", "oneOf"} {
			if v, ok := s[keyword]; ok {
				delete(s, keyword)
				rest[keyword] = v
			}
		}
		if len(rest) > 0 {
			s["anyOf"] = []any{rest, map[string]any{"type": "null"}}
		}
	})
}

// leaveOut changes the schema where it could not be read; false: there is nothing to leave out.
func (c *Checker) leaveOut(err error) bool {
	var invalid *jsonschema.SchemaValidationError
	var failed *jsonschema.ValidationError
	if !errors.As(err, &invalid) || !errors.As(invalid.Err, &failed) {
		return c.leaveOutReferences()
	}
	var places []string
	unreadPlaces(failed, &places)
	slices.Sort(places)
	changed := false
	for i, at := range slices.Compact(places) {
		if i+1 < len(places) && strings.HasPrefix(places[i+1], at+"/") {
			continue // of alternatives that failed, the one that got further
		}
		changed = c.leaveOutAt(at) || changed
	}
	return changed
}

// unreadPlaces collects where a schema is not as its dialect says.
func unreadPlaces(e *jsonschema.ValidationError, places *[]string) {
	at := Pointer(e.InstanceLocation)
	switch k := e.ErrorKind.(type) {
	case *kind.Dependency:
		at = PointerTo(at, k.Prop)
	case *kind.DependentRequired:
		at = PointerTo(at, k.Prop)
	}
	if len(e.Causes) == 0 {
		*places = append(*places, at)
	}
	for _, cause := range e.Causes {
		unreadPlaces(cause, places)
	}
}

// leaveOutAt rewrites or leaves out the keyword that a place in the schema belongs to.
func (c *Checker) leaveOutAt(place string) bool {
	parts := slices.Collect(PointerParts(place))
	s, _ := c.doc.(map[string]any)
	for around := ""; s != nil && len(parts) > 0; {
		keyword, value := parts[0], s[parts[0]]
		at := PointerTo(around, keyword)
		var below any
		switch list, isList := value.([]any); {
		case len(parts) == 1:
		case namesSchemas(keyword):
			named, _ := value.(map[string]any)
			if below = named[parts[1]]; len(parts) == 2 && named != nil {
				c.note(PointerTo(at, parts[1]), below)
				named[parts[1]] = map[string]any{} // the name stays declared
				return true
			}
			around, parts = PointerTo(at, parts[1]), parts[1:]
		case isList && listsSchemas(keyword):
			if i, err := strconv.Atoi(parts[1]); err == nil && i >= 0 && i < len(list) && len(parts) > 2 {
				below = list[i]
			}
			around, parts = PointerTo(at, parts[1]), parts[1:]
		case slices.Contains(schemaSingle, keyword):
			around, below = at, value
		}
		if inner, ok := below.(map[string]any); ok {
			s, parts = inner, parts[1:]
			continue
		}
		if !readOlder(s, keyword) {
			c.note(at, value)
			delete(s, keyword)
		}
		return true
	}
	return false
}

// readOlder rewrites a keyword that means something else in older drafts; false: it is none of them.
func readOlder(s map[string]any, keyword string) bool {
	bound := map[string]string{"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}[keyword]
	switch value := s[keyword].(type) {
	case bool:
		if bound == "" {
			return false
		}
		delete(s, keyword)
		if number, ok := s[bound]; ok && value {
			s[keyword] = number
			delete(s, bound)
		}
		return true
	case []any:
		if keyword != "items" || s["prefixItems"] != nil {
			return false
		}
		delete(s, keyword)
		if rest, ok := s["additionalItems"]; ok {
			s["items"] = rest
			delete(s, "additionalItems")
		}
		s["prefixItems"] = value
		return true
	}
	return false
}

// leaveOutReferences leaves out what leads out of the schema or to nothing, and a dialect that is not known.
func (c *Checker) leaveOutReferences() (changed bool) {
	leave := func(at string, s map[string]any, keyword string) {
		if value, ok := s[keyword].(string); ok {
			c.note(PointerTo(at, keyword), value)
			delete(s, keyword)
			changed = true
		}
	}
	schemasIn("", c.doc, func(at string, s map[string]any) {
		for _, keyword := range references {
			if to, ok := s[keyword].(string); ok && !c.leads(to) {
				leave(at, s, keyword)
			}
		}
		for _, keyword := range []string{"$schema", "$id", "$anchor", "$dynamicAnchor"} {
			leave(at, s, keyword)
		}
	})
	return changed
}

// leads reports whether a reference leads to a value within the schema.
func (c *Checker) leads(reference string) bool {
	pointer, ok := strings.CutPrefix(reference, "#")
	if !ok {
		return false
	}
	v := c.doc
	for part := range PointerParts(pointer) {
		object, _ := v.(map[string]any)
		if v, ok = object[part]; !ok {
			return false
		}
	}
	return pointer == "" || pointer[0] == '/'
}

// note records what was left out.
func (c *Checker) note(at string, value any) {
	c.unread = append(c.unread, Dotted(at)+": "+show(value))
	slices.Sort(c.unread)
}
