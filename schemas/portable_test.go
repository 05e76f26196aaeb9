package schemas

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestPortable(t *testing.T) {
	everything := `["object","array","string","number","boolean","null"]`
	for _, tt := range []struct{ name, schema, want, err string }{
		{"nothing", ``, `{"type":"object"}`, ""},
		{"plain", `{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}`,
			`{"additionalProperties":false,"properties":{"a":{"type":"string"}},"required":["a"],"type":"object"}`, ""},
		{"no type at the root", `{"properties":{"a":{"enum":[1,2]}}}`, `{"properties":{"a":{"enum":[1,2]}},"type":"object"}`, ""},
		{"true and no type", `{"properties":{"a":true,"b":{"description":"b"}}}`,
			`{"properties":{"a":{"type":` + everything + `},"b":{"description":"b","type":` + everything + `}},"type":"object"}`, ""},
		{"dialect and leftovers", `{"$schema":"https://json-schema.org/draft/2020-12/schema","$defs":{"x":true},"additionalProperties":true,"properties":{"a":{"type":"string","x-mcp-header":"A"}}}`,
			`{"properties":{"a":{"type":"string"}},"type":"object"}`, ""},
		{"large numbers", `{"properties":{"a":{"const":12345678901234567890}}}`, `{"properties":{"a":{"const":12345678901234567890}},"type":"object"}`, ""},
		{"items", `{"properties":{"a":{"type":"array","items":{"anyOf":[{"type":"string"},true]}}}}`,
			`{"properties":{"a":{"items":{"anyOf":[{"type":"string"},{"type":` + everything + `}]},"type":"array"}},"type":"object"}`, ""},
		{"a list", `{"type":"array"}`, "", "the type of the schema is"},
		{"several types", `{"type":["object","null"]}`, "", "the type of the schema is"},
		{"anyOf at the root", `{"anyOf":[{"type":"object"}]}`, "", "anyOf at the root is refused"},
		{"reference", `{"properties":{"a":{"type":"array","items":{"$ref":"#/$defs/a"}}}}`, "", "/properties/a/items/$ref"},
		{"false", `{"properties":{"a":{"type":"object","properties":{"b":false}}}}`, "", "/properties/a/properties/b is false"},
		{"tuple of an old draft", `{"properties":{"a":{"type":"array","items":[{"type":"string"}]}}}`, "", "/properties/a/items is"},
		{"deep", `{"properties":{"a":` + strings.Repeat(`{"type":"array","items":`, 40) + `{"type":"string"}` + strings.Repeat("}", 40) + `}}`, "", "deeper than 32"},
	} {
		got, err := Portable(Object(tt.schema))
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: got %v, want an error that says %q", tt.name, err, tt.err)
			}
			continue
		}
		if b, _ := json.Marshal(got); err != nil || string(b) != tt.want {
			t.Errorf("%s: got %s, %v, want %s", tt.name, b, err, tt.want)
		}
	}
}

func TestCleanSchema(t *testing.T) {
	long := strings.Repeat("d", 400)
	for _, tt := range []struct{ name, schema, want string }{
		{"short", `{"a": 1}`, `{"a": 1}`},
		{"hidden", `{"type":"object","properties":{"a\u200b":{"description":"x\u202ey\u001b[1mz","enum":["\u200bv"],"minimum":12345678901234567890}}}`,
			`{"properties":{"a":{"description":"xyz","enum":["v"],"minimum":12345678901234567890}},"type":"object"}`},
		{"long texts at every place",
			`{"description":"` + long + `","properties":{"description":{"items":{"title":"` + long + `"},"default":"` + long + `"}}}`,
			`{"description":"ddddddd…","properties":{"description":{"default":"` + long + `","items":{"title":"ddddddd…"}}}}`},
	} {
		if got := CleanSchema(Object(tt.schema), 10, "…"); string(got) != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}
