package tools

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// dialect is how a model's API describes the arguments of functions, as its documentation has it. A client converts the input
// schemas of tools to it; what the dialect has no word for is an error here, although some clients leave it out in silence.
type dialect struct {
	keywords []string
	name     *regexp.Regexp
	// optional describes an argument that need not be given; object an object with these members, all of them or some required.
	optional func(s map[string]any)
	object   func(s map[string]any, required []string)
	typed    func(name string) string
}

var dialects = map[string]dialect{
	// OpenAI's strict function calling: every object is closed, every member is required, what is optional may be null.
	"OpenAI strict": {
		keywords: []string{"type", "description", "properties", "required", "items", "enum", "pattern", "minimum", "maximum"},
		name:     regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`),
		optional: func(s map[string]any) {
			s["type"] = []any{s["type"], "null"}
			if values, ok := s["enum"].([]any); ok {
				s["enum"] = append(slices.Clone(values), nil)
			}
		},
		object: func(s map[string]any, _ []string) {
			s["additionalProperties"] = false
			s["required"] = slices.Sorted(maps.Keys(s["properties"].(map[string]any)))
		},
		typed: func(name string) string { return name },
	},
	// Gemini's function declarations: a part of OpenAPI 3.0, in which an object must name its members and only strings have an enum.
	"Gemini": {
		keywords: []string{"type", "description", "properties", "required", "items", "enum", "pattern", "minimum", "maximum"},
		name:     regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_.-]{0,63}$`),
		optional: func(s map[string]any) { s["nullable"] = true },
		object: func(s map[string]any, required []string) {
			if len(required) > 0 {
				s["required"] = required
			}
		},
		typed: strings.ToUpper,
	},
}

// convert rewrites a schema into the dialect. An object whose members are not named becomes its JSON text: neither has open objects.
func (d *dialect) convert(path string, from map[string]any, root bool) (map[string]any, error) {
	to := map[string]any{}
	for _, keyword := range slices.Sorted(maps.Keys(from)) {
		if !slices.Contains(d.keywords, keyword) {
			return nil, fmt.Errorf("%s: there is no %s", path, keyword)
		}
		to[keyword] = from[keyword]
	}
	kind, ok := from["type"].(string)
	if !ok {
		return nil, fmt.Errorf("%s: the type is %v, not one name", path, from["type"])
	}
	to["type"] = d.typed(kind)
	if values, ok := from["enum"].([]any); ok {
		for _, v := range values {
			if text, ok := v.(string); !ok || kind != "string" || text == "" {
				return nil, fmt.Errorf("%s: enum of %v", path, v)
			}
		}
	}
	properties, _ := from["properties"].(map[string]any)
	if (properties != nil || from["required"] != nil) && kind != "object" || (from["items"] != nil) != (kind == "array") {
		return nil, fmt.Errorf("%s: members or items of %s", path, kind)
	}
	switch {
	case kind == "array":
		of, ok := from["items"].(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s: items are %v", path, from["items"])
		}
		converted, err := d.convert(path+"/items", of, false)
		to["items"] = converted
		return to, err
	case kind == "object" && len(properties) == 0 && !root:
		if from["required"] != nil {
			return nil, fmt.Errorf("%s: required members without a description", path)
		}
		return map[string]any{"type": d.typed("string"), "description": fmt.Sprint(from["description"], " (as JSON)")}, nil
	case kind != "object":
		return to, nil
	}
	var required []string
	list, _ := from["required"].([]any)
	for _, name := range list {
		required = append(required, name.(string))
	}
	members := map[string]any{}
	for name, p := range properties {
		schema, ok := p.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s/%s: %v is no schema", path, name, p)
		}
		converted, err := d.convert(path+"/"+name, schema, false)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(required, name) {
			d.optional(converted)
		}
		members[name] = converted
	}
	for _, name := range required {
		if members[name] == nil {
			return nil, fmt.Errorf("%s: %s is required and not described", path, name)
		}
	}
	to["properties"] = members
	d.object(to, required)
	return to, nil
}

func input(t *testing.T, m Method) (schema map[string]any) {
	t.Helper()
	if err := json.Unmarshal(m.Input, &schema); err != nil {
		t.Fatal(err)
	}
	return schema
}

func TestEveryToolHasADescriptionInOtherDialects(t *testing.T) {
	for name, d := range dialects {
		for _, m := range All() {
			if !d.name.MatchString(m.Name) {
				t.Errorf("%s: the name %q", name, m.Name)
			}
			if _, err := d.convert(m.Name, input(t, m), true); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// The converters themselves find what cannot be converted.
func TestConvertersRefuse(t *testing.T) {
	for _, schema := range []string{
		`{"type":"object","properties":{"a":{"type":["object","string"]}}}`, `{"type":"object","properties":{"a":true}}`, `{"type":"object","properties":{"a":{}}}`,
		`{"type":"object","properties":{"a":{"$ref":"#/x","type":"string"}}}`, `{"type":"object","properties":{"a":{"type":"array"}}}`,
		`{"type":"object","properties":{"a":{"anyOf":[{"type":"string"}]}}}`, `{"type":"object","properties":{"a":{"type":"integer","enum":[1]}}}`,
		`{"type":"object","properties":{"a":{"type":"object","additionalProperties":{"type":"string"}}}}`, `{"type":"object","required":["a"]}`,
		`{"type":"object","properties":{"a":{"type":"string","minLength":1}}}`, `{"type":"object","properties":{"a":{"type":"number","exclusiveMinimum":0}}}`,
		`{"type":"object","properties":{"a":{"type":"string","properties":{}}}}`, `{"type":"object","properties":{"a":{"type":"object","required":["b"]}}}`,
	} {
		for name, d := range dialects {
			if got, err := d.convert("", decoded(t, schema), true); err == nil {
				t.Errorf("%s: %s became %v", name, schema, got)
			}
		}
	}
}

func decoded(t *testing.T, text string) (v map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// written is what a model writes that is held to the strict dialect: every member is there, null where it has nothing to say.
func written(schema map[string]any) any {
	switch kind := schema["type"].(type) {
	case []any:
		return nil
	case string:
		switch kind {
		case "object":
			members := map[string]any{}
			for name, p := range schema["properties"].(map[string]any) {
				members[name] = written(p.(map[string]any))
			}
			return members
		case "string":
			if about, _ := schema["description"].(string); strings.HasSuffix(about, " (as JSON)") {
				return `{"n":12345678901234567890,"a":null}`
			}
			return "x"
		}
	}
	return 1
}

// What a model writes in the strict dialect is taken: text for an open object as that object, null as not given.
func TestArgumentsOfStrictDialectsAreUnderstood(t *testing.T) {
	d, texts := dialects["OpenAI strict"], 0
	for _, m := range All() {
		schema, err := d.convert(m.Name, input(t, m), true)
		if err != nil {
			t.Fatal(err)
		}
		// Every argument that may be text is given once.
		for _, name := range append([]string{""}, slices.Sorted(maps.Keys(schema["properties"].(map[string]any)))...) {
			arguments := written(schema).(map[string]any)
			if name != "" {
				p := schema["properties"].(map[string]any)[name].(map[string]any)
				if kinds, ok := p["type"].([]any); !ok || kinds[0] != "string" || !strings.HasSuffix(fmt.Sprint(p["description"]), " (as JSON)") {
					continue
				}
				if arguments[name] = `{"n":12345678901234567890,"a":null}`; name == "retry_config" {
					arguments[name] = `{"max_attempts":3,"jitter":null}`
				}
				texts++
			}
			given, err := json.Marshal(arguments)
			if err != nil {
				t.Fatal(err)
			}
			c, err := m.accepts()
			if err != nil {
				t.Fatal(err)
			}
			var into map[string]any
			understood, err := decode(t.Context(), c, given, &into)
			if err != nil {
				t.Errorf("%s(%s): %v", m.Name, given, err)
				continue
			}
			for at, v := range into {
				if v == nil && at != "data" { // null is data too
					t.Errorf("%s(%s): %s is null", m.Name, given, at)
				}
				if text, is := v.(string); is && text != "x" && at != "execution_plan" && at != "definition" && at != "state_data" && at != "data" {
					t.Errorf("%s(%s): %s is still text in %s", m.Name, given, at, understood)
				}
			}
		}
	}
	if texts < 5 {
		t.Errorf("%d arguments were given as text", texts)
	}
}

func TestArgumentsAreReadAgainOnlyWhereTheyCanMeanOneThing(t *testing.T) {
	c, err := schemas.NewChecker(json.RawMessage(`{"type":"object","properties":{"o":{"type":"object"},"s":{"type":"string","maxLength":5},"l":{"type":"array"},
		"any":{"type":["object","string"]},"n":{"type":"integer"},"p":{"type":"object","properties":{"q":{"type":"object"}},"additionalProperties":false}},
		"required":["n"],"additionalProperties":false}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ given, want string }{ // empty: refused
		{`{"n":1,"o":{"b":1.50,"a":null}}`, `{"n":1,"o":{"b":1.50,"a":null}}`},
		{`{"n":1,"o":" {\"b\":1.50,\"a\":null} "}`, `{"n":1,"o":{"a":null,"b":1.50}}`},
		{`{"n":1,"l":"[1]","s":null}`, `{"l":[1],"n":1}`},
		{`{"n":1,"any":"{}"}`, `{"n":1,"any":"{}"}`},
		{`{"n":1,"p":"{\"q\":\"{}\"}"}`, `{"n":1,"p":{"q":{}}}`},
		{`{"n":1,"o":"[1]"}`, ``}, {`{"n":1,"o":"{1}"}`, ``}, {`{"n":1,"o":"{\"a\":1,\"a\":2}"}`, ``}, {`{"n":"1"}`, ``}, {`{"n":null}`, ``},
		{`{"n":1,"s":"{\"a\":1}"}`, ``}, {`{"n":1,"x":null}`, ``}, {`{"n":1,"o":""}`, ``}, {`{"n":1,"o":"a: 1"}`, ``},
	} {
		got, err := decode(t.Context(), c, json.RawMessage(tt.given), new(map[string]any))
		if (err == nil) != (tt.want != "") || err == nil && string(got) != tt.want {
			t.Errorf("%s became %s, %v, want %s", tt.given, got, err, tt.want)
		}
	}
}
