package schemas

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestCheckSaysWhatIsWrong(t *testing.T) {
	const search = `{"type":"object","properties":{"query":{"type":"string","minLength":1},"limit":{"type":"integer","minimum":1,"maximum":100},
		"order":{"enum":["newest","oldest"]},"filter":{"type":"object","properties":{"tags":{"type":"array","items":{"type":"string"},"maxItems":2}},"required":["tags"],"additionalProperties":false}},
		"required":["query"],"additionalProperties":false}`
	tests := []struct {
		name, schema, doc string
		want              []string // field: message
	}{
		{"valid", search, `{"query":"x","limit":3}`, nil},
		{"missing", search, `{}`, []string{"/query: missing required `query`"}},
		{"absent document", search, ``, []string{"/query: missing required `query`"}},
		{"type", search, `{"query":"x","limit":"ten"}`, []string{"/limit: `limit` must be an integer, got string \"ten\""}},
		{"unknown near", search, `{"query":"x","limti":3}`, []string{"/limti: unknown argument `limti`; did you mean `limit`?"}},
		{"unknown far", search, `{"query":"x","zzz":3}`, []string{"/zzz: unknown argument `zzz`; known are `filter`, `limit`, `order`, `query`"}},
		{"enum", search, `{"query":"x","order":"newst"}`, []string{"/order: `order` must be one of \"newest\", \"oldest\", got string \"newst\""}},
		{"range", search, `{"query":"x","limit":0}`, []string{"/limit: `limit` must be at least 1, got integer 0"}},
		{"nested", search, `{"query":"","filter":{"tags":["a",5],"tgs":1}}`, []string{
			"/filter/tags/1: `filter.tags[1]` must be a string, got integer 5",
			"/filter/tgs: unknown argument `filter.tgs`; did you mean `tags`?",
			"/query: `query` must have at least 1 characters, got 0",
		}},
		{"all at once", search, `{"limit":1.5,"filter":{}}`, []string{
			"/filter/tags: missing required `filter.tags`",
			"/limit: `limit` must be an integer, got number 1.5",
			"/query: missing required `query`",
		}},
		{"not an object", search, `[1]`, []string{": the document must be an object, got a list"}},
		{"not JSON", search, `{"query":`, []string{": the document is not valid JSON: unexpected EOF"}},
		{"choice of types", `{"properties":{"x":{"anyOf":[{"type":"string"},{"type":"null"}]}}}`, `{"x":5}`, []string{"/x: `x` must be null or a string, got integer 5"}},
		{"branch that was meant", `{"properties":{"x":{"anyOf":[{"type":"string"},{"type":"object","required":["id"]}]}}}`, `{"x":{}}`, []string{"/x/id: missing required `x.id`"}},
		{"several branches", `{"anyOf":[{"required":["a"]},{"required":["b"]}]}`, `{}`, []string{": the document matches none of the 2 allowed forms: (1) missing required `a`; (2) missing required `b`"}},
		{"two of oneOf", `{"oneOf":[{"required":["a"]},{"required":["b"]}]}`, `{"a":1,"b":2}`, []string{": the document matches more than one of the exclusive forms"}},
		{"local ref", `{"$defs":{"id":{"type":"integer"}},"properties":{"id":{"$ref":"#/$defs/id"}}}`, `{"id":"7"}`, []string{"/id: `id` must be an integer, got string \"7\""}},
		{"unevaluated", `{"properties":{"query":{}},"unevaluatedProperties":false}`, `{"qurey":1}`, []string{"/qurey: unknown argument `qurey`; did you mean `query`?"}},
		{"large integers are exact", `{"properties":{"n":{"maximum":9007199254740993}}}`, `{"n":9007199254740994}`, []string{"/n: `n` must be at most 9007199254740993, got integer 9007199254740994"}},
		{"pattern beyond RE2 is left to the tool", `{"properties":{"x":{"type":"string","pattern":"^(?!a).*$"}}}`, `{"x":"abc"}`, nil},
		{"no schema", ``, `{"anything":[1]}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := NewChecker(json.RawMessage(tt.schema))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range c.Check(context.Background(), json.RawMessage(tt.doc)) {
				got = append(got, p.Field+": "+p.Message)
			}
			if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(tt.want, "\n  "))
			}
		})
	}
}

func TestCheckPartialReportsOnlyWhatIsCertain(t *testing.T) {
	const schema = `{"type":"object","properties":{"id":{"type":"integer"},"n":{"type":"integer"},"list":{"type":"array","items":{"type":"string"},"uniqueItems":true},
		"mode":{"anyOf":[{"type":"string"},{"type":"object","required":["k"]}]}},"required":["id","n"],"additionalProperties":false,
		"if":{"properties":{"n":{"const":1}}},"then":{"required":["list"]}}`
	tests := []struct {
		name, doc string
		open      []string
		want      []string
	}{
		{"the open value itself", `{"id":null,"n":2}`, []string{"/id"}, nil},
		{"missing beside it", `{"id":null}`, []string{"/id"}, []string{"/n"}},
		{"unknown beside it", `{"id":null,"n":2,"m":1}`, []string{"/id"}, []string{"/m"}},
		{"unknown and open", `{"id":1,"n":2,"m":null}`, []string{"/m"}, []string{"/m"}},
		{"type beside it", `{"id":null,"n":"x"}`, []string{"/id"}, []string{"/n"}},
		{"item beside an open item", `{"id":1,"n":2,"list":[null,7,null]}`, []string{"/list/0", "/list/2"}, []string{"/list/1"}},
		{"choice around it", `{"id":1,"n":2,"mode":{"x":null}}`, []string{"/mode/x"}, nil},
		{"condition on it", `{"id":1,"n":null}`, []string{"/n"}, nil},
	}
	c, err := NewChecker(json.RawMessage(schema))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, p := range c.CheckPartial(context.Background(), json.RawMessage(tt.doc), tt.open) {
				got = append(got, p.Field)
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("problems at %v, want at %v", got, tt.want)
			}
		})
	}
}

func TestNewCheckerRefusesWhatItCannotHold(t *testing.T) {
	tests := []struct{ name, schema, want string }{
		{"remote ref", `{"$ref":"https://example.com/schema.json"}`, "remote schemas are never fetched"},
		{"file ref", `{"$ref":"file:///etc/passwd"}`, "remote schemas are never fetched"},
		{"unknown draft", `{"$schema":"https://example.com/draft"}`, "remote schemas are never fetched"},
		{"no schema", `{"type":5}`, "cannot be used"},
		{"no such type", `{"properties":{"who":{"type":"strin"}}}`, "`properties.who.type` must be one of"},
		{"a bound below zero", `{"properties":{"who":{"minLength":-1}}}`, "`properties.who.minLength` must be at least 0"},
		{"required is no list", `{"required":"who"}`, "`required` must be a list"},
		{"a reference to nothing", `{"$ref":"#/$defs/who"}`, `json-pointer in "#/$defs/who" not found`},
		{"not JSON", `{`, "not valid JSON"},
		{"huge exponent", `{"maximum":1e999999999}`, "out of range"},
		{"too deep", strings.Repeat(`{"not":`, 2000) + `{}` + strings.Repeat(`}`, 2000), "nested deeper"},
		{"too large", `{"description":"` + strings.Repeat("x", maxSchemaBytes) + `"}`, "bytes (limit 262144)"},
		{"too many parts", `{"enum":[` + strings.Repeat(`{},`, maxSchemaValues) + `1]}`, "parts (limit 8000)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := NewChecker(json.RawMessage(tt.schema)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// Checks of schemas and documents that are made to be expensive are ended.
func TestCheckIsBounded(t *testing.T) {
	var doubling strings.Builder
	doubling.WriteString(`{"$defs":{`)
	for i := range 60 {
		fmt.Fprintf(&doubling, `"a%d":{"allOf":[{"$ref":"#/$defs/a%d"},{"$ref":"#/$defs/a%d"}]},`, i, i+1, i+1)
	}
	doubling.WriteString(`"a60":{"type":"object"}},"$ref":"#/$defs/a0"}`)
	tests := []struct{ name, schema, doc, want string }{
		{"doubling allOf", doubling.String(), `{}`, "too complex"},
		{"doubling with each level", `{"$defs":{"a":{"properties":{"x":{"allOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/a"}]}}}},"$ref":"#/$defs/a"}`,
			strings.Repeat(`{"x":`, 200) + `1` + strings.Repeat(`}`, 200), "too complex"},
		{"huge exponent", `{"properties":{"n":{"type":"integer"}}}`, `{"n":1e999999999}`, "out of range"},
		{"deep document", `{"type":"object"}`, strings.Repeat(`[`, 5000) + strings.Repeat(`]`, 5000), "nested deeper"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := NewChecker(json.RawMessage(tt.schema))
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan []Problem, 1)
			go func() { done <- c.Check(context.Background(), json.RawMessage(tt.doc)) }()
			select {
			case problems := <-done:
				if len(problems) != 1 || !strings.Contains(problems[0].Message, tt.want) {
					t.Errorf("got %v, want one problem with %q", problems, tt.want)
				}
			case <-time.After(5 * time.Minute): // the steps bound it, to some 100 ms; without them it takes years
				t.Fatal("the check does not end")
			}
			const heaviest = 8 // sub-schema of these
			if steps := c.idle[0].steps; steps > maxCheckSteps+heaviest {
				t.Errorf("%d steps, at most %d are allowed", steps, maxCheckSteps)
			}
		})
	}
}

func BenchmarkCheck(b *testing.B) {
	schema := json.RawMessage(`{"type":"object","properties":{"id":{"type":"string"},"n":{"type":"integer"}},"required":["id"],"additionalProperties":false}`)
	b.Run("NewChecker", func(b *testing.B) {
		for b.Loop() {
			if _, err := NewChecker(schema); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Check", func(b *testing.B) {
		c, _ := NewChecker(schema)
		doc := json.RawMessage(`{"id":"A-17","n":5}`)
		for b.Loop() {
			if p := c.Check(context.Background(), doc); p != nil {
				b.Fatal(p)
			}
		}
	})
}

// Messages of a document with secrets have something else in their place.
func TestCheckShowingHidesValues(t *testing.T) {
	c, err := NewChecker(json.RawMessage(`{"type":"object","properties":{"port":{"type":"integer"},"mode":{"enum":["fast","slow"]},
		"any":{"anyOf":[{"type":"boolean"},{"type":"integer","minimum":9}]},"shown":{"type":"integer"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	doc := json.RawMessage(`{"port":"hunter2","mode":"hunter2","any":"hunter2","shown":"ten"}`)
	var got []string
	for _, p := range c.CheckShowing(context.Background(), doc, func(field string) (string, bool) { return "a secret", field != "/shown" }) {
		got = append(got, p.Message)
	}
	want := []string{
		"`any` must be a boolean or an integer, got a secret", "`mode` must be one of \"fast\", \"slow\", got a secret",
		"`port` must be an integer, got a secret", "`shown` must be an integer, got string \"ten\"",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
}
