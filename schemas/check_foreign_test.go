package schemas

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// Schemas of generators for other dialects check what they mean, and what cannot be read is left out and named.
func TestSchemasOfOtherDialects(t *testing.T) {
	const ttl = `"type":"integer","minimum":0`
	for name, tt := range map[string]struct {
		schema, leftOut string
		takes, refuses  []string
	}{
		"nullable":                    {`{"properties":{"a":{"type":"string","nullable":true}}}`, "", []string{`{"a":null}`, `{"a":"x"}`, `{}`}, []string{`{"a":1}`}},
		"x-nullable":                  {`{"properties":{"a":{"type":["string"],"x-nullable":true}}}`, "", []string{`{"a":null}`}, []string{`{"a":1}`}},
		"nullable that says so twice": {`{"properties":{"a":{"type":["string","null"],"nullable":true}}}`, "", []string{`{"a":null}`}, []string{`{"a":1}`}},
		"not nullable":                {`{"properties":{"a":{"type":"string","nullable":false},"b":{"type":"string","nullable":"true"}}}`, "", nil, []string{`{"a":null}`, `{"b":null}`}},
		"nullable enum":               {`{"properties":{"a":{"type":"string","enum":["x"],"nullable":true}}}`, "", []string{`{"a":null}`, `{"a":"x"}`}, []string{`{"a":"y"}`}},
		"nullable const":              {`{"properties":{"a":{"const":"x","nullable":true}}}`, "", []string{`{"a":null}`, `{"a":"x"}`}, []string{`{"a":"y"}`}},
		"nullable reference":          {`{"$defs":{"s":{"type":"string"}},"properties":{"a":{"$ref":"#/$defs/s","nullable":true}}}`, "", []string{`{"a":null}`, `{"a":"x"}`}, []string{`{"a":1}`}},
		"nullable within allOf": {`{"definitions":{"s":{"type":"object","required":["b"]}},"properties":{"a":{"type":"object","nullable":true,"allOf":[{"$ref":"#/definitions/s"}]}}}`, "",
			[]string{`{"a":null}`, `{"a":{"b":1}}`}, []string{`{"a":{}}`}},
		"nullable alternatives":      {`{"properties":{"a":{"oneOf":[{"type":"string"},{"type":"null"}],"nullable":true}}}`, "", []string{`{"a":null}`}, []string{`{"a":1}`}},
		"nullable items":             {`{"properties":{"a":{"type":"array","items":{"type":"string","nullable":true}}}}`, "", []string{`{"a":[null,"x"]}`}, []string{`{"a":null}`, `{"a":[1]}`}},
		"a property named nullable":  {`{"properties":{"nullable":{"type":"boolean"}},"required":["nullable"]}`, "", []string{`{"nullable":true}`}, []string{`{"nullable":null}`, `{}`}},
		"a value that looks like it": {`{"properties":{"a":{"enum":[{"type":"string","nullable":true}]}}}`, "", []string{`{"a":{"type":"string","nullable":true}}`}, []string{`{"a":null}`}},

		"exclusiveMinimum of draft 4": {`{"properties":{"ttl":{` + ttl + `,"exclusiveMinimum":true}},"required":["ttl"]}`, "", []string{`{"ttl":1}`}, []string{`{"ttl":0}`, `{"ttl":"1"}`, `{}`}},
		"exclusiveMaximum of draft 4": {`{"properties":{"n":{"type":"number","maximum":1,"exclusiveMaximum":true}}}`, "", []string{`{"n":0.9}`}, []string{`{"n":1}`}},
		"a bound that is not exclusive": {`{"properties":{"ttl":{` + ttl + `,"exclusiveMinimum":false}}}`, "", []string{`{"ttl":0}`},
			[]string{`{"ttl":-1}`}},
		"draft 4 by its name":     {`{"$schema":"http://json-schema.org/draft-04/schema#","properties":{"ttl":{` + ttl + `,"exclusiveMinimum":true}}}`, "", []string{`{"ttl":1}`}, []string{`{"ttl":0}`}},
		"draft 4 without a bound": {`{"$schema":"http://json-schema.org/draft-04/schema#","properties":{"a":{"type":"integer","exclusiveMinimum":true}}}`, "", []string{`{"a":1}`}, []string{`{"a":"x"}`}},
		"items as a list":         {`{"properties":{"p":{"type":"array","items":[{"type":"string"},{"type":"integer"}],"additionalItems":false}}}`, "", []string{`{"p":["x",1]}`}, []string{`{"p":[1]}`, `{"p":["x",1,2]}`}},
		"items as a list, of which one is wrong": {`{"properties":{"p":{"items":[{"type":"strin"},{"type":"integer"}]}}}`, `properties.p.prefixItems[0].type: "strin"`,
			[]string{`{"p":[5,1]}`}, []string{`{"p":["x","y"]}`}},

		"required of draft 3":        {`{"properties":{"a":{"type":"string","required":true},"b":{"type":"integer"}},"required":["b"]}`, "properties.a.required: true", []string{`{"b":1}`}, []string{`{}`, `{"b":"x"}`, `{"b":1,"a":2}`}},
		"a type of another language": {`{"properties":{"a":{"type":"any"},"b":{"type":"integer"},"c":{"type":["string","file"]}}}`, `properties.a.type: "any", properties.c.type: ["string","file"]`, []string{`{"a":[]}`}, []string{`{"b":"x"}`}},
		"a schema that is a text":    {`{"properties":{"a":"string","b":{"type":"integer"}},"additionalProperties":false}`, `properties.a: "string"`, []string{`{"a":[]}`}, []string{`{"b":"x"}`, `{"c":1}`}},
		"properties that are a list": {`{"type":"object","properties":[{"name":"a"}],"required":["b"]}`, `properties: [{"name":"a"}]`, []string{`{"b":1}`}, []string{`{}`, `[]`}},
		"a bound that is a text":     {`{"properties":{"a":{"type":"string","minLength":"3","maxLength":4}}}`, `properties.a.minLength: "3"`, []string{`{"a":"x"}`}, []string{`{"a":"xxxxx"}`}},
		"alternatives, one of which is none": {`{"properties":{"a":{"anyOf":[{"type":"string"},5]},"b":{"type":"integer"}}}`, `properties.a.anyOf: [{"type":"string"},5]`,
			[]string{`{"a":1}`}, []string{`{"b":"x"}`}},
		"deep within": {`{"properties":{"a":{"type":"array","items":{"type":"object","properties":{"b":{"allOf":[{"type":"integer","minimum":"x"}]}}}}}}`, `properties.a.items.properties.b.allOf[0].minimum: "x"`,
			[]string{`{"a":[{"b":1}]}`}, []string{`{"a":[{"b":"x"}]}`}},
		"a remote reference":       {`{"properties":{"a":{"$ref":"https://example.com/a.json"},"b":{"type":"integer"}}}`, `properties.a.$ref: "https://example.com/a.json"`, []string{`{"a":1}`}, []string{`{"b":"x"}`}},
		"a reference to nothing":   {`{"$defs":{"i":{"type":"integer"}},"properties":{"a":{"$ref":"#/$defs/no"},"b":{"$ref":"#/$defs/i"}}}`, `properties.a.$ref: "#/$defs/no"`, []string{`{"a":1}`}, []string{`{"b":"x"}`}},
		"a dialect of its own":     {`{"$schema":"https://spec.openapis.org/oas/3.1/dialect/base","properties":{"b":{"type":"integer"}}}`, `$schema: "https://spec.openapis.org/oas/3.1/dialect/base"`, nil, []string{`{"b":"x"}`}},
		"several at several steps": {`{"$schema":"https://example.com/x","properties":{"a":{"type":"any","$ref":"b.json"},"b":{"type":"integer","exclusiveMinimum":true,"minimum":1}}}`, `$schema: "https://example.com/x", properties.a.$ref: "b.json", properties.a.type: "any"`, []string{`{"a":1,"b":2}`}, []string{`{"b":1}`}},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := NewToolChecker(json.RawMessage(tt.schema))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(c.LeftOut(), ", "); got != tt.leftOut {
				t.Errorf("left out %q, want %q", got, tt.leftOut)
			}
			for _, doc := range tt.takes {
				if problems := c.Check(t.Context(), json.RawMessage(doc)); len(problems) > 0 {
					t.Errorf("%s is refused: %v", doc, problems)
				}
			}
			for _, doc := range tt.refuses {
				if problems := c.Check(t.Context(), json.RawMessage(doc)); len(problems) == 0 {
					t.Errorf("%s is taken", doc)
				}
			}
		})
	}
}

// Whoever writes a schema here is told what is wrong with it; only schemas of tools are read as far as possible.
func TestSchemasOfOneOwnAreNotReadInPart(t *testing.T) {
	for _, schema := range []string{`{"properties":{"a":{"exclusiveMinimum":true}}}`, `{"properties":{"a":{"required":true}}}`, `{"items":[{}]}`, `{"$ref":"#/x"}`} {
		if _, err := NewChecker(json.RawMessage(schema)); err == nil {
			t.Errorf("%s is taken", schema)
		}
	}
	for _, schema := range []string{`"object"`, `[]`, `7`, `{`} {
		if _, err := NewToolChecker(json.RawMessage(schema)); err == nil {
			t.Errorf("%s is taken", schema)
		}
	}
}

// Whatever stands at a keyword, the schema of a tool is read, and a property beside it is still checked.
func TestEveryKeywordMayBeUnreadable(t *testing.T) {
	keywords := []string{"type", "properties", "patternProperties", "required", "items", "prefixItems", "additionalProperties", "anyOf", "oneOf", "allOf", "not", "if", "enum", "minimum",
		"exclusiveMinimum", "maxLength", "minItems", "uniqueItems", "pattern", "format", "$ref", "$id", "$anchor", "$dynamicRef", "$defs", "definitions", "dependentRequired", "dependentSchemas", "propertyNames", "contains", "title", "nullable"}
	for _, dialect := range []string{"", "http://json-schema.org/draft-04/schema#", "http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2020-12/schema"} {
		for _, keyword := range keywords {
			for _, value := range []string{`5`, `true`, `"x"`, `[5]`, `[["a"]]`, `{"a":5}`, `{"a":{"type":"x"}}`, `null`, `[]`, `["a","a"]`} {
				schema := fmt.Sprintf(`{"$schema":%q,"type":"object","properties":{"a":{%q:%s},"b":{"type":"integer"}}}`, dialect, keyword, value)
				if dialect == "" {
					schema = strings.Replace(schema, `"$schema":"",`, "", 1)
				}
				c, err := NewToolChecker(json.RawMessage(schema))
				if err != nil {
					t.Errorf("%s: %v", schema, err)
					continue
				}
				if problems := c.Check(t.Context(), json.RawMessage(`{"b":"x"}`)); len(problems) != 1 || problems[0].Field != "/b" {
					t.Errorf("%s: a wrong b has the problems %v", schema, problems)
				}
			}
		}
	}
}
