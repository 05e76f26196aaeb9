package schemas

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

func objectOf(n int, form string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, form, i)
	}
	return b.String()
}

// Each check ends within its steps, whatever the schema and the document are made of.
func TestHostileSchemas(t *testing.T) {
	long := `"` + strings.Repeat("x", 1_000_000) + `"`
	for _, tt := range []struct{ name, schema, doc, keyword string }{
		{"large patterns", `{"allOf":[{"pattern":"(x?){500}(x?){400}y"},{"pattern":"(x?){900}z"}]}`, long, ""},
		{"a pattern for a long text", `{"pattern":"(?:x?){200}y"}`, long, "steps"},
		{"many patterns for a long text", `{"allOf":[` + objectOf(400, `{"pattern":"^x*y{%d}"}`) + `]}`, long, "steps"},
		{"large propertyNames", `{"propertyNames":{"pattern":"(x?){500}(x?){400}y"}}`, `{` + long + `:1}`, ""},
		{"propertyNames", `{"propertyNames":{"pattern":"(?:x?){200}y"}}`, `{` + long + `:1}`, "steps"},
		{"patternProperties", `{"patternProperties":{"(?:x?){200}y":{},"(?:x?){200}z":{}}}`, `{` + long + `:1}`, "steps"},
		{"many patternProperties", `{"patternProperties":{` + objectOf(2000, `"^a%d":{}`) + `}}`, `{` + objectOf(5000, `"b%d":1`) + `}`, "steps"},
		{"values that are patterns", `{"$schema":"http://json-schema.org/draft-07/schema#","items":{"format":"regex"}}`,
			`[` + objectOf(9000, `"(a{99}){5%d}"`) + `]`, ""},
		{"lengths of a long text", `{"allOf":[` + objectOf(2000, `{"minLength":%d}`) + `]}`, long, "steps"},
		{"unique items", `{"uniqueItems":true}`, `[` + objectOf(100_000, `"%d"`) + `]`, ""},
		{"unique items at each level", `{"$defs":{"a":{"uniqueItems":true,"items":{"$ref":"#/$defs/a"}}},"$ref":"#/$defs/a"}`,
			strings.Repeat(`[1,`, 900) + `[` + objectOf(50_000, `%d`) + `]` + strings.Repeat(`]`, 900), "steps"},
		{"a large constant", `{"items":{"const":[` + objectOf(7000, `"%d"`) + `]}}`,
			`[` + strings.Repeat(`[`+objectOf(7000, `"%d"`)+`],`, 40) + `1]`, ""},
		{"many names", `{"items":{"properties":{` + objectOf(4000, `"p%d":true`) + `}}}`, `[` + strings.Repeat(`{},`, 100_000) + `{}]`, "steps"},
		{"alternatives that fail", `{"items":{"anyOf":[` + objectOf(1000, `{"const":%d}`) + `]}}`, `[` + strings.Repeat(`"a",`, 2000) + `1]`,
			"steps"},
		{"values that fail", `{"items":{"type":"string"}}`, `[` + strings.Repeat(`1,`, 300_000) + `1]`, "type"},
		{"too many values", `{}`, `[` + strings.Repeat(`1,`, 1_100_000) + `1]`, "json"},
		{"commas in a text", `{}`, `"` + strings.Repeat(",", 1_100_000) + `"`, ""},
		{"dynamic references", `{"$dynamicAnchor":"n","items":{"$dynamicRef":"#n"}}`, strings.Repeat(`[`, 900) + strings.Repeat(`]`, 900), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := NewChecker(json.RawMessage(tt.schema))
			if err != nil {
				t.Fatal(err)
			}
			problems := c.Check(t.Context(), json.RawMessage(tt.doc))
			switch {
			case tt.keyword == "" && len(problems) > 0 && problems[0].Keyword == "steps":
				t.Errorf("got %v", problems[0])
			case tt.keyword != "" && (len(problems) == 0 || problems[0].Keyword != tt.keyword):
				t.Errorf("got %.200v, want the keyword %s", problems, tt.keyword)
			}
			if len(problems) > maxProblems {
				t.Errorf("%d problems", len(problems))
			}
		})
	}
}

// What is too large of a schema is left out and named; the rest is checked.
func TestLargePatternsAreLeftOut(t *testing.T) {
	for _, tt := range []struct {
		schema string
		large  int
	}{
		{`{"properties":{"a":{"type":"string","pattern":"(x?){900}y"},"b":{"type":"string","pattern":"^b$"}}}`, 1},
		{`{"properties":{"b":{"type":"string","pattern":"^b$"}},"patternProperties":{"^z(a{900})*":{"type":"integer"}}}`, 1},
		{`{"properties":{"b":{"type":"string","pattern":"^b$"}},"propertyNames":{"pattern":"((ab?){50}){9}"}}`, 1},
		{`{"properties":{"b":{"type":"string","pattern":"^b$"}},"anyOf":[` + objectOf(7000, `{"pattern":"a{1000}|%d"}`) + `,{}]}`, 7000},
		{`{"properties":{"b":{"type":"string","pattern":"^b$"}},"anyOf":[` + objectOf(100, `{"pattern":"a{400}%d"}`) + `,{}]}`, 51},
		{`{"properties":{"b":{"type":"string","pattern":"^b$"},"c":{"pattern":"^(?=x)"}}}`, 0},
	} {
		c, err := NewChecker(json.RawMessage(tt.schema))
		if err != nil {
			t.Fatal(err)
		}
		if got, counted := len(c.Unchecked()), LargePatterns(json.RawMessage(tt.schema)); got < tt.large || got > tt.large+1 ||
			counted < tt.large || counted > tt.large+1 {
			t.Errorf("%.80s: %d patterns are left out, %d counted, want %d", tt.schema, got, counted, tt.large)
		}
		if p := c.Check(t.Context(), json.RawMessage(`{"b":"c"}`)); !slices.ContainsFunc(p,
			func(p Problem) bool { return p.Keyword == "pattern" }) {
			t.Errorf("%.80s: b is not checked: %v", tt.schema, p)
		}
	}
}

func TestLongChainsOfReferencesAreRefused(t *testing.T) {
	var b strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&b, `"a%d":{"$ref":"#/$defs/a%d"},`, i, i+1)
	}
	_, err := NewChecker(json.RawMessage(`{"$defs":{` + b.String() + `"a3000":{}},"items":{"$ref":"#/$defs/a0"}}`))
	if err == nil || !strings.Contains(err.Error(), "limit 200") {
		t.Errorf("got %v", err)
	}
}

// Checks of one Checker run at the same time, each with its own steps and its own context.
func TestChecksRunAtTheSameTime(t *testing.T) {
	c, err := NewChecker(json.RawMessage(`{"items":{"pattern":"^[a-z]+$"}}`))
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	doc := json.RawMessage(`[` + strings.Repeat(`"abc",`, 20_000) + `"abc"]`)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			ctx, want := t.Context(), ""
			if i%2 == 1 {
				ctx, want = ended, KeywordInterrupted
			}
			p := c.Check(ctx, doc)
			if want == "" && len(p) > 0 || want != "" && (len(p) != 1 || p[0].Keyword != want) {
				t.Errorf("%d: got %v, want %q", i, p, want)
			}
		})
	}
	wg.Wait()
	taken, err := c.take()
	if err != nil {
		t.Fatal(err)
	}
	taken.ctx = t.Context() // it is not given back: the next check does not wait for it
	if p := c.Check(t.Context(), json.RawMessage(`["ABC"]`)); len(p) != 1 {
		t.Errorf("got %v", p)
	}
}

// FuzzCheck: any schema is refused or checks any document within its steps.
func FuzzCheck(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"pattern":"^(a?){9}$"}},"uniqueItems":true}`, `{"a":"aaa"}`)
	f.Add(`{"$defs":{"a":{"allOf":[{"$ref":"#/$defs/b"},{"$ref":"#/$defs/b"}]},"b":{"not":{"$ref":"#/$defs/c"}},"c":{}},"$ref":"#/$defs/a"}`,
		`[[1,1e400],"\ud800"]`)
	f.Add(`{"$dynamicAnchor":"n","items":{"$dynamicRef":"#n"},"unevaluatedItems":false}`, `[[],[[]]]`)
	f.Add(`{"$schema":"http://json-schema.org/draft-07/schema#","format":"regex","dependencies":{"a":{"minimum":1e300}}}`, `"(a{1000}){1000}"`)
	f.Add(`{"$schema":"http://json-schema.org/draft-04/schema#","id":"x","exclusiveMinimum":true,"minimum":0}`, `-0e0`)
	f.Add(`{"patternProperties":{"\xff":{"enum":[1,1.0,"1"]}},"propertyNames":{"maxLength":3},"contains":{},"minContains":2}`, "{\"\xff\":1}")
	f.Fuzz(func(t *testing.T, schema, doc string) {
		c, err := NewChecker(json.RawMessage(schema))
		if err != nil {
			return
		}
		for _, p := range c.Check(t.Context(), json.RawMessage(doc)) {
			if p.Message == "" {
				t.Errorf("a problem without a message: %+v", p)
			}
		}
		if steps := c.idle[0].steps; steps > 3*maxCheckSteps {
			t.Errorf("%d steps", steps)
		}
	})
}
