package schemas

import (
	"fmt"
	"slices"
)

// Limits of a schema that is shown to models.
const (
	MaxToolSchema = 16 << 10 // bytes
	maxToolDepth  = 32       // nested schemas
)

// anything names every type, because some clients refuse a schema that is `true` or has no type.
var anything = []any{"object", "array", "string", "number", "boolean", "null"}

// Anything is the type keyword of any JSON value.
func Anything() []any { return anything }

// Keywords by the kind of their value, and those that have no meaning without references.
var (
	schemaMaps   = []string{"properties", "patternProperties", "dependentSchemas"}
	schemaLists  = []string{"anyOf", "oneOf", "allOf", "prefixItems"}
	schemaSingle = []string{"items", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedItems", "unevaluatedProperties",
		"additionalItems", "additionalProperties"}
	references = []string{"$ref", "$dynamicRef", "$recursiveRef"}
	needless   = []string{"$schema", "$id", "$anchor", "$dynamicAnchor", "$comment", "$vocabulary", "$defs", "definitions", "x-mcp-header"}
	typing     = []string{"type", "enum", "const", "anyOf", "oneOf", "allOf"}
)

// Portable converts a JSON Schema to one that every known MCP client accepts as the input schema of a tool: an object whose
// members have types, without references, without a dialect and without boolean schemas. If that would change the meaning
// of the schema, the error names the place and says what to do.
func Portable(schema Object) (map[string]any, error) {
	root := map[string]any{}
	if len(schema) > 0 {
		if err := Decode(schema, &root); err != nil {
			return nil, fmt.Errorf("the schema is not a JSON object: %w", err)
		}
	}
	if t, ok := root["type"]; ok && t != "object" {
		return nil, fmt.Errorf("the type of the schema is %v; inputs are an object", t)
	}
	root["type"] = "object"
	for _, keyword := range []string{"anyOf", "oneOf", "allOf", "not", "if"} {
		if root[keyword] != nil {
			return nil, fmt.Errorf("%s at the root is refused by some clients; use it in the properties", keyword)
		}
	}
	if _, err := portableSchema("", root, 0); err != nil {
		return nil, err
	}
	return root, nil
}

func portableSchema(at string, v any, depth int) (any, error) {
	s, ok := v.(map[string]any)
	switch {
	case v == true:
		return map[string]any{"type": anything}, nil
	case !ok:
		return nil, fmt.Errorf("%s is %.20v; it must be a schema", at, v)
	case depth > maxToolDepth:
		return nil, fmt.Errorf("%s: schemas are nested deeper than %d levels", at, maxToolDepth)
	}
	for _, keyword := range references {
		if _, ok := s[keyword]; ok {
			return nil, fmt.Errorf("%s/%s: many clients cannot resolve references; inline the schema", at, keyword)
		}
	}
	for _, keyword := range needless {
		delete(s, keyword)
	}
	if s["additionalProperties"] == true {
		delete(s, "additionalProperties")
	}
	if !slices.ContainsFunc(typing, func(keyword string) bool { return s[keyword] != nil }) {
		s["type"] = anything
	}
	return s, eachSchema(s, func(path string, sub any) (any, error) { return portableSchema(at+path, sub, depth+1) })
}

// eachSchema replaces every direct sub-schema of s by the result of change.
func eachSchema(s map[string]any, change func(path string, sub any) (any, error)) (err error) {
	for _, keyword := range schemaMaps {
		named, _ := s[keyword].(map[string]any)
		for name, sub := range named {
			if named[name], err = change("/"+keyword+"/"+name, sub); err != nil {
				return err
			}
		}
	}
	for _, keyword := range schemaLists {
		list, _ := s[keyword].([]any)
		for i, sub := range list {
			if list[i], err = change(fmt.Sprintf("/%s/%d", keyword, i), sub); err != nil {
				return err
			}
		}
	}
	for _, keyword := range schemaSingle {
		sub, ok := s[keyword]
		if !ok || keyword == "additionalProperties" && sub == false { // every client accepts it
			continue
		}
		if s[keyword], err = change("/"+keyword, sub); err != nil {
			return err
		}
	}
	return nil
}

// CleanSchema returns a JSON Schema as it is shown to models: without hidden characters, and with every title and description cut
// to limit bytes with mark. Where it differs from the schema, that one still says what is accepted.
func CleanSchema(schema Object, limit int, mark string) Object {
	clean := Object(CleanJSON(schema, len(schema), ""))
	root := map[string]any{}
	if len(clean) <= limit || Decode(clean, &root) != nil {
		return clean
	}
	if _, err := cutTexts(root, limit, mark); err != nil {
		return clean // not reached: cutting does not fail
	}
	out, err := Encode(root)
	if err != nil {
		return clean
	}
	return out
}

func cutTexts(v any, limit int, mark string) (any, error) {
	s, ok := v.(map[string]any)
	if !ok {
		return v, nil
	}
	for _, keyword := range []string{"title", "description"} {
		if text, ok := s[keyword].(string); ok {
			s[keyword] = Cut(text, limit, mark)
		}
	}
	return s, eachSchema(s, func(_ string, sub any) (any, error) { return cutTexts(sub, limit, mark) })
}
