package plan

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// TestContentIsCheckedAsBlocks: what is read of the content blocks is checked like an output with a schema; blocks may have members that later
// versions of MCP add, so an unknown one is a warning.
func TestContentIsCheckedAsBlocks(t *testing.T) {
	for _, tt := range []struct {
		expression, want string
		severity         schemas.Severity
		fixed            string
	}{
		{"nodes.a.content[1].data", "", "", ""},
		{"nodes.a.content[0].resource.blob", "", "", ""},
		{"nodes.a.content.filter(b, b.type == 'image').map(b, b.data)", "", "", ""},
		{"nodes.l.content[0][1].data", "", "", ""},
		{"nodes.a.content[0].txt", `declares no "txt"; did you mean "text"?`, schemas.SeverityWarning, "${nodes.a.content[0].text}"},
		{"nodes.a.content[0].resource.bolb", `did you mean "blob"?`, schemas.SeverityWarning, "${nodes.a.content[0].resource.blob}"},
		{"nodes.a.content.map(b, b.mime)", `did you mean "mimeType"?`, schemas.SeverityWarning, ""},
		{"nodes.a.content.text", "nodes.a.content is a list", schemas.SeverityError, ""},
		{"nodes.l.content[0].data", "nodes.l.content[0] is a list", schemas.SeverityError, ""},
		{"nodes.a.content[0][0]", "nodes.a.content[0] is object", schemas.SeverityError, ""},
		{"nodes.a.content[0].text[0]", "nodes.a.content[0].text is string", schemas.SeverityError, ""},
		{"nodes.a.contents[0].text", `a node has no "contents"; did you mean "content"?`, schemas.SeverityError, "${nodes.a.content[0].text}"},
	} {
		plan := []byte(`{"plan": "v1", "inputs": {"l": ["A"]}, "nodes": [{"id": "a", "capability": "shop.get_order", "inputs": {"id": "A"}},
			{"id": "l", "capability": "shop.get_order", "for_each": "${inputs.l}", "inputs": {"id": "${item}"}},
			{"id": "x", "set": "${` + tt.expression + `}"}]}`)
		_, found := check(plan)
		if tt.want == "" {
			if len(found) > 0 {
				t.Errorf("%s: %+v", tt.expression, found)
			}
			continue
		}
		if len(found) != 1 || found[0].Severity != tt.severity || !strings.Contains(found[0].Message, tt.want) {
			t.Errorf("%s: got %+v, want one %s, %q", tt.expression, found, tt.severity, tt.want)
			continue
		}
		if got, _ := repaired(t, plan); tt.fixed != "" && got != tt.fixed {
			t.Errorf("%s: becomes %s, want %s", tt.expression, got, tt.fixed)
		}
	}
}

// TestContentWhereTheOutputHasOne: where the output has a content of its own, the blocks are told apart from it; where only that fits, there is a
// fix.
func TestContentWhereTheOutputHasOne(t *testing.T) {
	tools := world{"files": {"read": {
		InputSchema:  json.RawMessage(`{"type":"object","properties":{"path":{"type":"string"}},"required":["path"]}`),
		OutputSchema: json.RawMessage(`{"type":"object","properties":{"content":{"type":"string"}},"required":["content"]}`), Effect: schemas.EffectRead, Hash: "h",
	}}}
	const meant = "what files.read gives as content is nodes.f.output.content"
	for node, want := range map[string]struct{ said, fix string }{
		`"set": "${nodes.f.content}"`:                                          {meant, ""},
		`"set": "${nodes.f.content[0].text}"`:                                  {"", ""},
		`"set": "{{ f.content }}"`:                                             {"is not read", `"${nodes.f.output.content}"`},
		`"set": "${steps.f.content}"`:                                          {"nodes", `"${nodes.f.output.content}"`},
		`"set": "${steps.f.content[0].text}"`:                                  {"nodes", `"${nodes.f.content[0].text}"`},
		`"capability": "files.read", "inputs": {"path": "${nodes.f.content}"}`: {meant, `"${nodes.f.output.content}"`},
	} {
		p, found := Parse(t.Context(), []byte(`{"plan": "v1", "nodes": [{"id": "f", "capability": "files.read", "inputs": {"path": "a"}}, {"id": "x", `+node+`}]}`), Limits{})
		_, more := Compile(t.Context(), p, tools, Limits{})
		said, fix := "", ""
		for _, f := range append(found, more...) {
			if said += f.Message; len(f.Fix) == 1 {
				fix = string(f.Fix[0].Value)
			}
		}
		if fix != want.fix || !strings.Contains(said, want.said) || want.said == "" && said != "" {
			t.Errorf("%s: %q with the fix %s, want %q with %s", node, said, fix, want.said, want.fix)
		}
	}
}
