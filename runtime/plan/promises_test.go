package plan

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// refundWorld has the tools of testdata/plans/whole.yaml, with schemas as strict as such tools may have.
func refundWorld() world {
	object := func(properties string) json.RawMessage {
		return json.RawMessage(`{"type":"object","additionalProperties":false,"properties":{` + properties + `}}`)
	}
	order := `"id":{"type":"string"},"total_cents":{"type":"integer"},"contacts":{"type":"array","items":{"type":"object","properties":{"email":{"type":"string"}}}}`
	score := Tool{InputSchema: object(`"order":{"type":"object"}`), OutputSchema: object(`"score":{"type":"number"}`), Effect: schemas.EffectRead}
	return world{
		"shop":  {"get_order": {InputSchema: object(`"id":{"type":"string"}`), OutputSchema: object(order), Effect: schemas.EffectRead}},
		"fraud": {"score": score, "basic": score},
		"pay": {
			"refund":      {InputSchema: object(`"order":{"type":"string"},"cents":{"type":"integer"}`), OutputSchema: object(`"id":{"type":"string"}`), Effect: schemas.EffectOnce},
			"find_refund": {InputSchema: object(`"order":{"type":"string"}`), OutputSchema: object(`"items":{"type":"array"}`), Effect: schemas.EffectRead},
			"void_refund": {InputSchema: object(`"id":{"type":"string"}`), Effect: schemas.EffectIdempotent},
		},
		"mail": {"send": {InputSchema: object(`"to":{"type":"string"},"text":{"type":"string"}`), Effect: schemas.EffectOnce}},
	}
}

// accepted reports whether a plan would be executed, and the code of the first error that it has.
func accepted(source string) (ok bool, code string, found []schemas.Finding) {
	p, found := check([]byte(source))
	if errs := errorsIn(found); len(errs) > 0 {
		return false, errs[0].Code, found
	}
	return p != nil, "", found
}

func TestWholePlanCompilesAsItStands(t *testing.T) {
	source, err := os.ReadFile("../../testdata/plans/whole.yaml")
	if err != nil {
		t.Fatal(err)
	}
	parsed, found := Parse(context.Background(), source, Limits{})
	if parsed == nil || len(found) > 0 {
		t.Fatalf("%+v", found)
	}
	p, found := Compile(context.Background(), parsed, refundWorld(), Limits{})
	if p == nil || len(found) > 0 {
		t.Fatalf("%+v", found)
	}
	var got []string
	for _, n := range p.Nodes {
		got = append(got, fmt.Sprintf("%s%v %s x%d", n.ID, n.Deps, n.Timeout, n.Retry.MaxAttempts))
	}
	if s := strings.Join(got, ", "); s != "order[] 30s x3, risk[0] 5s x3, refund[0 1] 30s x3, mail[0 2] 30s x3" {
		t.Errorf("got %s", s)
	}
}

func TestEveryAliasIsNormalisedWithAWarning(t *testing.T) {
	for alias, canonical := range map[string]string{
		`"if":"${true}"`: `"when":"${true}"`, `"needs":["o"]`: `"depends_on":["o"]`, `"retries":2`: `"retry":{"max_attempts":3}`, `"foreach":[1]`: `"for_each":[1]`,
		`"input":{"x":1}`: `"inputs":{"x":1}`, `"args":{"x":1}`: `"inputs":{"x":1}`, `"arguments":{"x":1}`: `"inputs":{"x":1}`, `"with":{"x":1}`: `"inputs":{"x":1}`, `"params":{"x":1}`: `"inputs":{"x":1}`,
		`"tool":"mail.recall"`: `"capability":"mail.recall"`,
	} {
		node := func(field string) *schemas.Plan {
			call := `"capability":"mail.send",`
			if strings.Contains(field, "mail.recall") {
				call = ""
			}
			p, found := Parse(context.Background(), []byte(`{"plan":"v1","nodes":[{"id":"o","set":1},{"id":"a",`+call+field+`}]}`), Limits{})
			if field == canonical && len(found) > 0 || field == alias && (len(found) != 1 || found[0].Severity != schemas.SeverityWarning || found[0].Code != codeAlias) {
				t.Errorf("%s: %+v", field, found)
			}
			if p == nil {
				t.Fatalf("%s: %+v", field, found)
			}
			return p
		}
		got, _ := json.Marshal(node(alias))
		want, _ := json.Marshal(node(canonical))
		if string(got) != string(want) {
			t.Errorf("%s is taken as %s, want %s", alias, got, want)
		}
	}
}

func TestNodeIDs(t *testing.T) {
	for id, good := range map[string]bool{
		"a": true, "a_1": true, "a" + strings.Repeat("b", 62): true, "a" + strings.Repeat("b", 63): false,
		"": false, "A": false, "1a": false, "_a": false, "a-b": false, "a.b": false, "ä": false, "a b": false, "a\n": false,
	} {
		if ok, _, found := accepted(`{"plan":"v1","nodes":[{"id":` + document.Quote(id) + `,"set":1}]}`); ok != good {
			t.Errorf("%q: %+v", id, found)
		}
	}
}

func TestEveryNodeHasExactlyOneKind(t *testing.T) {
	kinds := []string{`"capability":"mail.send"`, `"set":1`, `"wait":"1m"`, `"wait_for":"paid"`, `"review":"Sure?"`, `"workflow":{"definition":{"nodes":[{"id":"x","set":1}]}}`}
	node := func(fields string) (bool, string, []schemas.Finding) {
		return accepted(`{"plan":"v1","nodes":[{"id":"z","set":1},{"id":"a","depends_on":["z"]` + fields + `},{"id":"b","set":1,"depends_on":["a"]}]}`)
	}
	if ok, code, found := node(""); ok || code != codeMissingKind {
		t.Errorf("no kind: %+v", found)
	}
	for i, one := range kinds {
		if ok, _, found := node("," + one); !ok || len(found) > 0 {
			t.Errorf("%s: %+v", one, found)
		}
		for _, other := range kinds[i+1:] {
			if ok, code, found := node("," + one + "," + other); ok || code != codeSeveralKinds {
				t.Errorf("%s and %s: %+v", one, other, found)
			}
		}
	}
}

func TestCapabilityIsSplitAtTheFirstDot(t *testing.T) {
	w := world{"files": {"dir.list.all": {Effect: schemas.EffectRead}}}
	for _, written := range []string{`"files.dir.list.all"`, `{"realm":"files","name":"dir.list.all"}`} {
		parsed, _ := Parse(context.Background(), []byte(`{"plan":"v1","nodes":[{"id":"a","capability":`+written+`}]}`), Limits{})
		p, found := Compile(context.Background(), parsed, w, Limits{})
		if p == nil || p.Nodes[0].Realm != "files" || p.Nodes[0].Capability != "dir.list.all" {
			t.Errorf("%s: %+v", written, found)
		}
	}
}

func TestCycleIsReportedAsItsPath(t *testing.T) {
	_, found := check([]byte(`{"plan":"v1","nodes":[{"id":"out","set":"${nodes.c.output}"},{"id":"a","set":"${nodes.c.output}"},{"id":"b","set":1,"depends_on":["a"]},{"id":"c","set":"${nodes.b.output}"}]}`))
	if len(found) != 1 || found[0].Code != codeCycle || !strings.Contains(found[0].Message, "a → b → c → a") {
		t.Errorf("got %+v", found)
	}
}

// A cycle that one depends_on closes is cut there, and says so; one of references, or of several depends_on, has several places.
func TestWhereACycleMayBeCut(t *testing.T) {
	const anywhere = "take out one of the references or depends_on between them"
	for nodes, want := range map[string]string{
		`{"id":"a","set":1,"depends_on":["b"]},{"id":"b","set":"${nodes.a.output}"}`:                                               `take "b" out of the depends_on of "a"`,
		`{"id":"a","set":1,"depends_on":["c"]},{"id":"b","set":"${nodes.a.output}"},{"id":"c","when":"${nodes.b.output}","set":1}`: `take "c" out of the depends_on of "a"`,
		`{"id":"a","set":1,"depends_on":["b"]},{"id":"b","set":"${nodes.a.output}","depends_on":["a"]}`:                            `take "b" out of the depends_on of "a"`,
		`{"id":"a","set":1,"depends_on":["b"]},{"id":"b","set":1,"depends_on":["a"]}`:                                              anywhere,
		`{"id":"a","set":"${nodes.b.output}"},{"id":"b","set":"${nodes.a.output}"}`:                                                anywhere,
		`{"id":"a","set":"${nodes.b.output}","depends_on":["b"]},{"id":"b","set":"${nodes.a.output}"}`:                             anywhere,
	} {
		_, found := check([]byte(`{"plan":"v1","nodes":[` + nodes + `]}`))
		if len(found) != 1 || found[0].Code != codeCycle || !strings.Contains(found[0].Message, want) || len(found[0].Fix) > 0 {
			t.Errorf("%s: %+v, want %s", nodes, found, want)
		}
	}
}

// TestLimitsOfAPlan: the last that is taken and the first that is not.
func TestLimitsOfAPlan(t *testing.T) {
	nodes := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,{"id":"n%d","set":1}`, i)
		}
		return `{"plan":"v1","nodes":[` + b.String()[1:] + `]}`
	}
	bytes := func(n int) string {
		s := `{"plan":"v1","nodes":[{"id":"a","set":1}],"description":""}`
		return strings.Replace(s, `""`, `"`+strings.Repeat("x", n-len(s))+`"`, 1)
	}
	items := func(n int) string {
		return fmt.Sprintf(`{"plan":"v1","inputs":{"l":[1]},"nodes":[{"id":"a","set":1,"for_each":"${inputs.l}","max_items":%d}]}`, n)
	}
	for name, tt := range map[string]struct {
		source func(n int) string
		limit  int
		code   string
	}{
		"nodes": {nodes, 1000, codeTooManyNodes}, "bytes": {bytes, 256 << 10, codeTooLarge}, "items": {items, 10_000, codeOutOfRange},
	} {
		if ok, _, found := accepted(tt.source(tt.limit)); !ok {
			t.Errorf("%d %s: %+v", tt.limit, name, found)
		}
		if ok, code, found := accepted(tt.source(tt.limit + 1)); ok || code != tt.code || len(found) != 1 {
			t.Errorf("%d %s: %+v", tt.limit+1, name, found)
		}
	}
}

func TestPlanCarriesNoCommandNoAddressAndNoSecret(t *testing.T) {
	for _, field := range []string{"command", "args_list", "cmd", "shell", "url", "endpoint", "headers", "env", "secrets", "token", "mcpServers", "server"} {
		for _, source := range []string{
			`{"plan":"v1","` + field + `":{"x":"y"},"nodes":[{"id":"a","set":1}]}`,
			`{"plan":"v1","nodes":[{"id":"a","capability":"mail.send","` + field + `":{"x":"y"}}]}`,
		} {
			if ok, code, found := accepted(source); ok || code != codeUnknownField {
				t.Errorf("%s: %+v", source, found)
			}
		}
	}
	for _, capability := range []string{"https://evil.example/mcp", "/bin/sh -c id", "npx -y pkg", "file:///etc/passwd"} {
		if ok, _, found := accepted(`{"plan":"v1","nodes":[{"id":"a","capability":` + document.Quote(capability) + `}]}`); ok {
			t.Errorf("%s: %+v", capability, found)
		}
	}
}

// A plan reads nothing of other executions, of the environment or of files.
func TestReferencesStayWithinTheExecution(t *testing.T) {
	for expression, code := range map[string]string{
		"nodes.other.output": codeUnknownNode, "nodes['other'].output": codeUnknownNode, "nodes.other.output + 1": codeUnknownNode,
		"nodes[inputs.x].output": expr.CodeDynamicReference, "nodes": expr.CodeDynamicReference,
		"executions.ex1.output": expr.CodeUnknownRoot, "env.HOME": expr.CodeUnknownRoot, "secrets.token": expr.CodeUnknownRoot, "file('/etc/passwd')": expr.CodeUnknownFunction, "read('x')": expr.CodeUnknownFunction,
		"config.store": expr.CodeUnknownRoot, "execution.principal": codeUnknownMember, "execution.env": codeUnknownMember,
	} {
		for _, source := range []string{
			`{"plan":"v1","inputs":{"x":"a"},"nodes":[{"id":"a","set":1},{"id":"b","set":` + document.Quote("${"+expression+"}") + `}]}`,
			`{"plan":"v1","inputs":{"x":"a"},"nodes":[{"id":"a","set":1}],"output":` + document.Quote("${"+expression+"}") + `}`,
		} {
			if ok, got, found := accepted(source); ok || got != code {
				t.Errorf("%s: %+v, want %s", expression, found, code)
			}
		}
	}
}

func TestFindingOnTheWire(t *testing.T) {
	_, found := check([]byte(`{"plan":"v1","nodes":[{"id":"a","capability":"mail.sned"}]}`))
	got, err := json.Marshal(found)
	want := `[{"severity":"error","code":"unknown_capability","path":"/nodes/0/capability","message":`
	if err != nil || !strings.HasPrefix(string(got), want) || !strings.HasSuffix(string(got), `"fix":[{"op":"replace","path":"/nodes/0/capability","value":"mail.send"}]}]`) {
		t.Errorf("got %s", got)
	}
}
