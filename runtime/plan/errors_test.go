package plan

import (
	"strings"
	"testing"
)

func TestErrorsOfNodesInTheProof(t *testing.T) {
	for _, tt := range []struct{ plan, code, says string }{
		{`[{id: a, capability: shop.reserve, inputs: {id: x}}, {id: b, set: "${nodes.a.errors[0].message}"}]`, "", ""},
		{`[{id: a, capability: shop.reserve, inputs: {id: x}, fallback: [{value: "${nodes.a.errors[0].code}"}]}]`, "", ""},
		{`[{id: a, capability: shop.reserve, inputs: {id: x}, fallback: [{capability: shop.reserve, inputs: {id: "${nodes.a.errors[0].code}"}}]}]`, "", ""},
		{`[{id: a, capability: shop.reserve, inputs: {id: "${nodes.a.errors[0].code}"}}]`, codeSelfDependency, "own result"},
		{`[{id: a, capability: shop.reserve, inputs: {id: x}, fallback: [{value: "${nodes.a.output}"}]}]`, codeSelfDependency, "own result"},
		{`[{id: a, capability: shop.reserve, inputs: {id: x}, fallback: [{value: "${nodes.a.error.message}"}]}]`, codeSelfDependency, "nodes.a.errors"},
		{`[{id: a, capability: shop.reserve, inputs: {id: x}}, {id: b, set: "${nodes.a.errors.message}"}]`, codeUnknownOutput, "is a list"},
		{`[{id: a, capability: shop.reserve, inputs: {id: x}}, {id: b, set: "${nodes.a.errors[0].mesage}"}]`, codeUnknownOutput, `did you mean "message"`},
		{`[{id: a, capability: shop.reserve, inputs: {id: x}}, {id: b, set: "${nodes.a.errors.map(e, e.item)}"}]`, codeUnknownOutput, `no "item"`},
		{`[{id: a, capability: shop.reserve, inputs: {id: x}}, {id: b, capability: shop.reserve, inputs: {id: "${nodes.a.errors}"}}]`, codeWrongArgument, "is array"},
	} {
		p, found := check([]byte("plan: v1\nnodes: " + tt.plan))
		if tt.code == "" {
			if p == nil || len(found) > 0 {
				t.Errorf("%s: %+v", tt.plan, found)
			}
			continue
		}
		if len(found) != 1 || found[0].Code != tt.code || !strings.Contains(found[0].Message, tt.says) {
			t.Errorf("%s: got %+v, want %s %q", tt.plan, found, tt.code, tt.says)
		}
	}
}
