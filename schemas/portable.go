package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// Bounds of a schema that is put before models.
const (
	MaxToolSchema = 16 << 10 // bytes
	maxToolDepth  = 32       // schemas within schemas
)

// anything names every type, because some clients refuse a schema that is `true` or names none.
var anything = []any{"object", "array", "string", "number", "boolean", "null"}

// Anything is the type of what may be any JSON value.
func Anything() []any { return anything }

// Keywords by what stands behind them, and those that nobody needs once references are gone.
var (
	schemaMaps   = []string{"properties", "patternProperties", "dependentSchemas"}
	schemaLists  = []string{"anyOf", "oneOf", "allOf", "prefixItems"}
	schemaSingle = []string{"items", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedItems", "unevaluatedProperties", "additionalItems", "additionalProperties"}
	references   = []string{"$ref", "$dynamicRef", "$recursiveRef"}
	needless     = []string{"$schema", "$id", "$anchor", "$dynamicAnchor", "$comment", "$vocabulary", "$defs", "definitions", "x-mcp-header"}
	typing       = []string{"type", "enum", "const", "anyOf", "oneOf", "allOf"}
)

// Portable makes of a JSON Schema one that every known MCP client reads as the input schema of a tool: an object whose
// members have types, without references, dialect, and booleans where a schema stands. Where that would change what the
// schema says, the error says at which place and what to do.
func Portable(schema Object) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(schema))
	d.UseNumber()
	var root map[string]any
	if len(schema) == 0 {
		root = map[string]any{}
	} else if err := d.Decode(&root); err != nil {
		return nil, fmt.Errorf("the schema is no JSON object: %w", err)
	}
	if t, there := root["type"]; there && t != "object" {
		return nil, fmt.Errorf("the schema's own type is %v; inputs are an object", t)
	}
	root["type"] = "object"
	for _, keyword := range []string{"anyOf", "oneOf", "allOf", "not", "if"} {
		if root[keyword] != nil {
			return nil, fmt.Errorf("%s stands at the root, which some clients refuse; say it of the members", keyword)
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
		return nil, fmt.Errorf("%s is %.20v where a schema has to stand", at, v)
	case depth > maxToolDepth:
		return nil, fmt.Errorf("%s: more than %d schemas stand within one another", at, maxToolDepth)
	}
	for _, keyword := range references {
		if _, there := s[keyword]; there {
			return nil, fmt.Errorf("%s/%s: many clients cannot read a reference; write out what it means", at, keyword)
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

// eachSchema replaces every schema right within s by what change makes of it.
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
		sub, there := s[keyword]
		if !there || keyword == "additionalProperties" && sub == false { // which every client reads
			continue
		}
		if s[keyword], err = change("/"+keyword, sub); err != nil {
			return err
		}
	}
	return nil
}
