package plan

import (
	"slices"
	"strings"
	"testing"
)

func TestExplainListsCallsThatAPolicyHasReviewed(t *testing.T) {
	p := mustProgram(t, `{"plan":"v1","nodes":[{"id":"a","capability":"shop.pay"},{"id":"b","capability":"shop.wire"},{"id":"c","workflow":{"definition":{"plan":"v1","nodes":[{"id":"d","capability":"shop.pay"}]}}}]}`)
	if got := p.Explain().Reviews; !slices.Equal(got, []string{"a", "c/d"}) {
		t.Errorf("reviews %v", got)
	}
}

func TestReviewsWithChoicesAndForms(t *testing.T) {
	const form = `{"type":"object","properties":{"cents":{"type":"integer"}},"required":["cents"],"additionalProperties":false}`
	for _, tt := range []struct{ review, reads, code, says, fixed string }{
		{`{"question":"?","choices":["all","some"],"schema":` + form + `}`, "nodes.ask.output.choice == 'some' && nodes.ask.output.data.cents > 5", "", "", ""},
		{`{"question":"?"}`, "nodes.ask.output.choice == 'x'", codeUnknownOutput, `"choice"`, ""},
		{`{"question":"?","choices":["all"]}`, "nodes.ask.output.data.cents > 5", codeUnknownOutput, `"data"`, ""},
		{`{"question":"?","choices":["all","some"]}`, "nodes.ask.output.choice == 'none'", codeWrongOperand, "one of all, some", ""},
		{`{"question":"?","schema":` + form + `}`, "nodes.ask.output.data.cent > 5", codeUnknownOutput, `"cents"`, ""},
		{`{"question":"?","schema":{"$ref":"#/$defs/a","$defs":{"a":` + form + `}}}`, "nodes.ask.output.data.cent > 5", codeUnknownOutput, `"cents"`, ""},
		{`{"question":"?","schema":` + form + `}`, "nodes.ask.output.data.cents > 'x'", codeWrongOperand, "integer", ""},
		{`{"question":"?","choices":[]}`, "true", codeOutOfRange, "choices is empty", ""},
		{`{"question":"?","choices":["a","b","a"]}`, "true", codeOutOfRange, "twice", ""},
		{`{"question":"?","choices":["a"," "]}`, "true", codeOutOfRange, "a choice is empty", ""},
		{`{"question":"?","choices":["` + strings.Repeat("x", 257) + `"]}`, "true", codeOutOfRange, "257 bytes (at most 256)", ""},
		{`{"question":"?","choices":["${inputs.x}"]}`, "true", codeNotEvaluated, "without expressions", ""},
		{`{"question":"?","choices":"a, b"}`, "true", codeWrongType, "list of texts", ""},
		{`{"question":"?","choices":{"a":"A"}}`, "true", codeWrongType, "list of texts", ""},
		{`{"question":"?","choices":[1]}`, "true", codeWrongType, "a choice must be a text", ""},
		{`{"question":"?","schema":{"type":"objekt"}}`, "true", codeUnusableSchema, "JSON Schema", ""},
		{`{"question":"?","schema":true}`, "true", codeWrongType, "an object", ""},
		{`{"question":"?","auto_approve_after":"1h"}`, "true", codeUnknownField, "a person decides", ""},
		{`"?","options":["a"]`, "nodes.ask.output.choice == 'a'", codeMisplacedField, "write review: {question, options}", `"choices":["a"]`},
		{`{"question":"?","expires":"1h"},"choices":["a"]`, "nodes.ask.output.choice == 'a'", codeMisplacedField, "write review", `"choices":["a"]`},
		{`"?","schema":` + form, "nodes.ask.output.data.cents > 1", codeMisplacedField, "write review", `"schema":`},
	} {
		source := `{"plan":"v1","inputs":{"x":1},"nodes":[{"id":"ask","review":` + tt.review + `},{"id":"b","depends_on":["ask"],"set":"${` + tt.reads + `}"}]}`
		_, found := check([]byte(source))
		switch {
		case tt.code == "":
			if len(found) > 0 {
				t.Errorf("%s: %+v", source, found)
			}
		case len(found) == 0 || found[0].Code != tt.code || !strings.Contains(found[0].Message, tt.says):
			t.Errorf("%s: %+v, want %s, %q", source, found, tt.code, tt.says)
		case tt.fixed != "":
			fixed := []byte(source)
			for range 3 {
				fixed = applyFixes(t, fixed, found)
				_, found = check(fixed)
			}
			if program, left := check(fixed); program == nil || len(left) > 0 || !strings.Contains(string(fixed), tt.fixed) {
				t.Errorf("%s: after all fixes %s: %+v", source, fixed, left)
			}
		}
	}
}
