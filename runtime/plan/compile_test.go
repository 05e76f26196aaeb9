package plan

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

const refund = `
plan: v1
name: refund
inputs: {order_id: A-17}
timeout: 10m
defaults: {timeout: 20s}
nodes:
  - {id: order, capability: shop.get_order, inputs: {id: "${inputs.order_id}"}, timeout: 5s}
  - {id: pause, wait: 1m, depends_on: [order]}
  - id: charge
    capability: shop.charge
    when: "${nodes.order.output.total > 0 && nodes['order'].output.paid != true}"
    inputs: {order: "${nodes.order.output.id}", cents: "${nodes.order.output.total}"}
    retry: {max_elapsed: 1m}
    on_unknown: retry
  - {id: note, set: {text: "charged ${nodes.charge.output.?receipt.orValue('nothing')}"}, trigger_rule: all_done, depends_on: [pause]}
  - {id: mail, capability: mail.send, inputs: {text: "${nodes.note.output.text}"}, on_error: continue}
output: {receipt: "${nodes.charge.output}", mailed: "${nodes.mail.status}"}
`

func TestCompileResolvesEverything(t *testing.T) {
	p := mustProgram(t, refund)
	type row struct {
		id          string
		kind        Kind
		deps        string
		rule        schemas.TriggerRule
		effect      schemas.Effect
		timeout     string
		explicit    bool
		attempts    int
		maxElapsed  string
		unknown     string
		constInputs bool
	}
	var got []row
	for _, n := range p.Nodes {
		from := n.TimeoutFrom
		if n.Kind == KindCapability {
			from = n.Timeout.String() + " " + from
		}
		got = append(got, row{n.ID, n.Kind, fmt.Sprint(n.Deps, n.Dependents), n.Rule, n.Effect, from, n.RetryExplicit, n.Retry.MaxAttempts,
			n.Retry.MaxElapsed.String(), n.OnUnknown, n.Inputs != nil && n.Inputs.Constant()})
	}
	want := []row{
		{"order", KindCapability, "[] [1 2]", schemas.AllSuccess, schemas.EffectRead, "5s node", false, 3, "0s", "suspend", false},
		{"pause", KindWait, "[0] [3]", schemas.AllSuccess, schemas.EffectRead, "", false, 0, "0s", "", false},
		{"charge", KindCapability, "[0] [3]", schemas.AllSuccess, schemas.EffectOnce, "20s plan defaults", true, 9, "1m", "retry", false},
		{"note", KindSet, "[1 2] [4]", schemas.AllDone, schemas.EffectRead, "", false, 0, "0s", "", false},
		{"mail", KindCapability, "[3] []", schemas.AllSuccess, schemas.EffectOnce, "20s plan defaults", false, 3, "0s", "suspend", false},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(row{})); d != "" {
		t.Errorf("nodes (-want +got):\n%s", d)
	}
	wantExplain := schemas.Explain{
		Waves:        [][]string{{"order"}, {"pause", "charge"}, {"note"}, {"mail"}},
		Edges:        [][]string{{"order", "pause"}, {"order", "charge"}, {"pause", "note"}, {"charge", "note"}, {"note", "mail"}},
		CriticalPath: []string{"order", "pause", "note", "mail"},
		MaxCalls:     15, Reviews: []string{}, OnceNodes: []string{"charge", "mail"},
	}
	if d := cmp.Diff(wantExplain, p.Explain()); d != "" {
		t.Errorf("explain (-want +got):\n%s", d)
	}
	if i, ok := p.Index("note"); !ok || i != 3 {
		t.Errorf("Index(note) = %d, %v", i, ok)
	}
	parsed, _ := Parse(context.Background(), []byte(refund), Limits{})
	if got := Realms(parsed); !reflect.DeepEqual(got, []string{"mail", "shop"}) {
		t.Errorf("realms %v", got)
	}
}

func TestTimeoutAndRetryPrecedence(t *testing.T) {
	tests := []struct{ name, defaults, node, want string }{
		{"built-in", "", "capability: mail.send", "1m built-in default, 3 tries, explicit false"},
		{"policy", "", "capability: shop.charge, inputs: {order: x, cents: 1}", "7s policy, 9 tries, explicit true"},
		{"plan defaults", "defaults: {timeout: 2s, retry: {max_attempts: 4}}", "capability: shop.charge, inputs: {order: x, cents: 1}", "2s plan defaults, 4 tries, explicit true"},
		{"node", "defaults: {timeout: 2s, retry: {max_attempts: 4}}", "capability: mail.send, timeout: 1s, retry: {max_attempts: 1}", "1s node, 1 tries, explicit true"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := mustProgram(t, "plan: v1\n"+tt.defaults+"\nnodes: [{id: a, "+tt.node+"}]").Nodes[0]
			got := fmt.Sprintf("%s %s, %d tries, explicit %v", n.Timeout, n.TimeoutFrom, n.Retry.MaxAttempts, n.RetryExplicit)
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if n.Retry.BackoffCoefficient != 2 || n.Retry.Jitter == nil || n.Retry.InitialInterval == 0 || n.Retry.MaxInterval == 0 {
				t.Errorf("retry is not complete: %+v", n.Retry)
			}
		})
	}
}

func TestEffectMayBeTightened(t *testing.T) {
	for tool, want := range map[string]map[string]schemas.Effect{
		"shop.get_order": {"": schemas.EffectRead, "read": schemas.EffectRead, "idempotent": schemas.EffectIdempotent, "once": schemas.EffectOnce},
		"shop.reserve":   {"": schemas.EffectIdempotent, "once": schemas.EffectOnce},
	} {
		for written, effect := range want {
			source := `{"plan":"v1","nodes":[{"id":"a","capability":"` + tool + `","inputs":{"id":"x"},"effect":"` + written + `"}]}`
			if got := mustProgram(t, strings.ReplaceAll(source, `,"effect":""`, "")).Nodes[0].Effect; got != effect {
				t.Errorf("%s with %q: got %s, want %s", tool, written, got, effect)
			}
		}
	}
}

// TestLoadIsTheSameProgram stores a definition as JSON and compares what comes back with what was compiled.
func TestLoadIsTheSameProgram(t *testing.T) {
	compiled := mustProgram(t, refund)
	stored, err := json.Marshal(compiled.Definition)
	if err != nil {
		t.Fatal(err)
	}
	var d Definition
	if err := json.Unmarshal(stored, &d); err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(d)
	if err != nil {
		t.Fatal(err)
	}
	s := fixed{inputs: expr.NewValue(json.RawMessage(`{"order_id":"A-17"}`)), nodes: map[string]expr.NodeValue{
		"order":  {Status: schemas.NodeSucceeded, Output: expr.NewValue(json.RawMessage(`{"id":"A-17","total":5,"paid":false}`))},
		"charge": {Status: schemas.NodeSucceeded, Output: expr.NewValue(json.RawMessage(`{"receipt":"r1"}`))},
		"note":   {Status: schemas.NodeSucceeded, Output: expr.NewValue(json.RawMessage(`{"text":"hi"}`))},
		"mail":   {Status: schemas.NodeFailed},
	}}
	show := func(p *Program) string {
		var b strings.Builder
		fmt.Fprintln(&b, p.Explain())
		for i := range p.Nodes {
			n := p.Nodes[i]
			fmt.Fprintln(&b, n.ID, n.Kind, n.Realm, n.Capability, n.Deps, n.Dependents, n.Rule, n.Effect, n.IdempotencyArg, n.Timeout, n.TimeoutFrom,
				n.Retry.MaxAttempts, n.RetryExplicit, n.OnError, n.OnUnknown)
			for _, place := range n.templates(&p.Definition.Plan.Nodes[i]) {
				out, err := place.template.Render(t.Context(), s, expr.Limits{})
				fmt.Fprintln(&b, place.at, string(out), err)
			}
			_, problem := n.Arguments(json.RawMessage(`{"x":1}`))
			fmt.Fprintln(&b, problem)
		}
		out, err := p.Output.Render(t.Context(), s, expr.Limits{})
		fmt.Fprintln(&b, string(out), err)
		return b.String()
	}
	if d := cmp.Diff(show(compiled), show(loaded)); d != "" {
		t.Errorf("loaded program differs (-compiled +loaded):\n%s", d)
	}
	if want := `{"receipt":{"receipt":"r1"},"mailed":"failed"}`; !strings.Contains(show(loaded), want) {
		t.Errorf("output is not %s in\n%s", want, show(loaded))
	}
}

func TestLoadRefusesWhatCannotRun(t *testing.T) {
	tests := []struct{ name, nodes, want string }{
		{"twice", `[{"id":"a","set":1},{"id":"a","set":1}]`, "two nodes"},
		{"no kind", `[{"id":"a"}]`, "no kind"},
		{"nowhere", `[{"id":"a","set":1,"depends_on":["b"]}]`, "does not exist"},
		{"nowhere in a template", `[{"id":"a","set":"${nodes.b.output}"}]`, "does not exist"},
		{"itself", `[{"id":"a","set":"${nodes.a.output + 1}"}]`, "depends on itself"},
		{"cycle", `[{"id":"a","set":"${nodes.b.output}"},{"id":"b","set":"${nodes.a.output}"}]`, "a → b → a"},
		{"broken string", `[{"id":"a","set":"${1"}]`, "no matching }"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var d Definition
			if err := json.Unmarshal([]byte(`{"plan":{"plan":"v1","nodes":`+tt.nodes+`}}`), &d); err != nil {
				t.Fatal(err)
			}
			if _, err := Load(d); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestArgumentsTellAllProblemsAtOnce(t *testing.T) {
	n := &mustProgram(t, `{"plan":"v1","nodes":[{"id":"a","capability":"shop.charge","inputs":{"order":"x","cents":5}}]}`).Nodes[0]
	if _, err := n.Arguments(json.RawMessage(`{"order":"x","cents":5}`)); err != nil {
		t.Errorf("good inputs: %v", err)
	}
	_, err := n.Arguments(json.RawMessage(`{"cents":"5","oder":1}`))
	if err == nil || err.Code != schemas.CodeInvalidArgument || err.Outcome != schemas.NotRun {
		t.Fatalf("got %v, want invalid_argument that did not run", err)
	}
	for _, want := range []string{"missing required `order`", "unknown argument `oder`; did you mean `order`?", "`cents` must be an integer, got string \"5\"", `node "a"`} {
		if !strings.Contains(err.Message, want) {
			t.Errorf("%q lacks %q", err.Message, want)
		}
	}
	for _, free := range []string{"mail.send", "shop.odd"} {
		n := &mustProgram(t, `{"plan":"v1","nodes":[{"id":"a","capability":"`+free+`","inputs":{"any":1}}]}`).Nodes[0]
		if _, err := n.Arguments(json.RawMessage(`{"any":[1]}`)); err != nil {
			t.Errorf("%s has no usable schema, got %v", free, err)
		}
	}
}

func TestCompileDoesNotChangeThePlan(t *testing.T) {
	p, _ := Parse(context.Background(), []byte(`{"plan":"v1","nodes":[{"id":"a-b","set":1,"depends_on":["x"]},{"id":"c","set":"${nodes.a-b.output}","depends_on":["a-b"]}]}`), Limits{})
	before, _ := json.Marshal(p)
	Compile(context.Background(), p, sampleWorld(), Limits{})
	if after, _ := json.Marshal(p); string(after) != string(before) {
		t.Errorf("before %s\nafter  %s", before, after)
	}
}

func TestGuardedReadsAreNotReported(t *testing.T) {
	for _, expression := range []string{
		"${has(nodes.a.output.extra) ? nodes.a.output.extra : 0}", "${nodes.a.output.?extra.orValue(0)}", "${has(inputs.maybe) && inputs.maybe == 1}",
	} {
		_, found := check([]byte(`{"plan":"v1","nodes":[{"id":"a","capability":"shop.get_order","inputs":{"id":"x"}},{"id":"b","set":` + document.Quote(expression) + `}]}`))
		if len(found) > 0 {
			t.Errorf("%s: %+v", expression, found)
		}
	}
}

func TestHostilePlansAreRefusedQuickly(t *testing.T) {
	loose := Limits{MaxBytes: 1 << 30}
	chain := func(n int, last string) *schemas.Plan {
		p := &schemas.Plan{Version: "v1"}
		for i := range n {
			node := schemas.Node{ID: fmt.Sprintf("n%d", i), Set: schemas.Value("1")}
			if i > 0 {
				node.DependsOn = []string{fmt.Sprintf("n%d", i-1)}
			} else if last != "" {
				node.DependsOn = []string{last}
			}
			p.Nodes = append(p.Nodes, node)
		}
		return p
	}
	dense := chain(1000, "")
	for i := range dense.Nodes {
		dense.Nodes[i].DependsOn = nil
		for k := range dense.Nodes {
			dense.Nodes[i].DependsOn = append(dense.Nodes[i].DependsOn, fmt.Sprintf("n%d", k))
		}
	}
	wide := chain(100_000, "")
	many, _ := json.Marshal(wide)
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'z'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", c-1), 9), ","))
	}
	tests := []struct {
		name string
		run  func() []schemas.Finding
		code string
	}{
		{"cycle of 1,000", func() []schemas.Finding {
			_, f := Compile(context.Background(), chain(1000, "n999"), sampleWorld(), Limits{})
			return f
		}, codeCycle},
		{"1,000,000 edges", func() []schemas.Finding {
			_, f := Compile(context.Background(), dense, sampleWorld(), Limits{})
			return f
		}, codeTooManyRefs},
		{"100,000 nodes", func() []schemas.Finding {
			_, f := Compile(context.Background(), wide, sampleWorld(), Limits{})
			return f
		}, codeTooManyNodes},
		{"100,000 nodes as text", func() []schemas.Finding { _, f := Parse(context.Background(), many, Limits{}); return f }, codeTooLarge},
		{"10,000 levels", func() []schemas.Finding {
			_, f := Parse(context.Background(), []byte(`{"nodes":`+strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)+`}`), Limits{})
			return f
		}, codeTooDeep},
		{"100,000 levels", func() []schemas.Finding {
			_, f := Parse(context.Background(), []byte(`{"nodes":`+strings.Repeat("[", 100_000)), loose)
			return f
		}, codeTooDeep},
		{"100,000 levels of YAML", func() []schemas.Finding {
			_, f := Parse(context.Background(), []byte("nodes: "+strings.Repeat("[", 100_000)), loose)
			return f
		}, codeTooDeep},
		{"100,000 dashes", func() []schemas.Finding {
			_, f := Parse(context.Background(), []byte(strings.Repeat("- ", 100_000)), loose)
			return f
		}, codeTooDeep},
		{"alias bomb", func() []schemas.Finding { _, f := Parse(context.Background(), []byte(bomb), Limits{}); return f }, codeTooLarge},
		{"1,000 lists of 200 KiB", func() []schemas.Finding {
			p := chain(1000, "")
			p.Inputs = schemas.Object(`{"l":[` + strings.TrimSuffix(strings.Repeat(`{"a":[1,2,3]},`, 14_000), ",") + `]}`)
			for i := range p.Nodes {
				p.Nodes[i].ForEach, p.Nodes[i].Set = &schemas.ForEach{Items: schemas.Value(`"${inputs.l}"`)}, schemas.Value(`"${item.b}"`)
			}
			p.Nodes[999].Set = schemas.Value(`"${nodes.x}"`)
			_, f := Compile(context.Background(), p, sampleWorld(), Limits{})
			return f
		}, codeUnknownNode},
		{"a list of 10,000 objects with other keys each", func() []schemas.Finding {
			var b strings.Builder
			for i := range 10_000 {
				fmt.Fprintf(&b, `{"a%d":1,"b%d":2},`, i, i)
			}
			p := chain(1, "")
			p.Nodes[0].ForEach, p.Nodes[0].Set = &schemas.ForEach{Items: schemas.Value("[" + strings.TrimSuffix(b.String(), ",") + "]")}, schemas.Value(`"${item.x} ${nodes.x}"`)
			_, f := Compile(context.Background(), p, sampleWorld(), Limits{})
			return f
		}, codeUnknownNode},
		{"10,000 inputs of a definition", func() []schemas.Finding {
			var own, given strings.Builder
			for i := range 10_000 {
				fmt.Fprintf(&own, `"input_%d":1,`, i)
				fmt.Fprintf(&given, `"inputt_%d":1,`, i)
			}
			d := chain(1, "")
			d.Inputs = schemas.Object("{" + strings.TrimSuffix(own.String(), ",") + "}")
			d.Nodes[0].Set = schemas.Value(`"${nodes.x}"`)
			p := &schemas.Plan{Nodes: []schemas.Node{{ID: "w", Workflow: &schemas.Workflow{Definition: d}, Inputs: schemas.Object("{" + strings.TrimSuffix(given.String(), ",") + "}")}}}
			_, f := Compile(context.Background(), p, sampleWorld(), Limits{})
			return f
		}, codeUnknownNode},
		{"1,000 bad ids", func() []schemas.Finding {
			p := chain(1000, "")
			for i := range p.Nodes {
				p.Nodes[i].ID += "-x"
			}
			_, f := Compile(context.Background(), p, sampleWorld(), Limits{})
			return f
		}, codeInvalidID},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			found := tt.run()
			took := time.Since(start)
			if len(found) == 0 || found[0].Code != tt.code {
				t.Fatalf("got %.300s, want %s", fmt.Sprint(found), tt.code)
			}
			t.Logf("refused in %v", took)
			if took > 2*time.Second { // 50 ms on an idle machine; this only catches what explodes
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestWaitUntil(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{"10m": now.Add(10 * time.Minute), "2030-01-02T00:00:00Z": now.AddDate(0, 0, 1), "PT30S": now.Add(30 * time.Second)} {
		if got, byDay, err := WaitUntil(text, now); err != nil || !got.Equal(want) || byDay != strings.HasPrefix(text, "20") {
			t.Errorf("%s: got %v, %v, want %v", text, got, err, want)
		}
	}
	if got, _, err := WaitUntil("2001-01-01T00:00:00Z", now); err != nil || got.After(now) {
		t.Errorf("a time that has passed: %v, %v", got, err)
	}
	for _, text := range []string{
		"", "5", "tomorrow", "400d", "-1m", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z", "2031-01-03T00:00:00Z",
		"P99999999999999999999D", "PT1e400S", "99999999999999999999d", "PT999999999999999999999999S",
	} {
		if got, _, err := WaitUntil(text, now); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

// A verification without output is no finding where nothing is read that its answer lacks.
func TestVerificationWhoseAnswerWillDo(t *testing.T) {
	for _, tt := range []struct{ verify, output string }{
		{`"capability":"shop.find","inputs":{"order":"x"},"happened":"${output.found}"`, `${nodes.p.output.found}`},
		{`"capability":"shop.find","inputs":{"order":"x"},"happened":"${output.found}"`, `${nodes.p.output}`},
		{`"capability":"shop.find","inputs":{"order":"x"},"happened":"${output.found}"`, `${nodes.p.output.?id.orValue(\"-\")}`},
		{`"capability":"shop.find","inputs":{"order":"x"},"happened":"${output.found}"`, `${nodes.p.output.items[0].id}`},
		{`"capability":"shop.find","inputs":{"order":"x"},"happened":"${output.found}","output":{"id":1}`, `${nodes.p.output.id}`},
		{`"capability":"shop.find","inputs":{"order":"x"},"happened":"${output.found}"`, `${nodes.p.status}`},
	} {
		_, found := check([]byte(`{"plan":"v1","nodes":[{"id":"p","capability":"shop.charge","inputs":{"order":"x","cents":5},"on_unknown":{"verify":{` + tt.verify + `}}}],"output":"` + tt.output + `"}`))
		if len(found) > 0 {
			t.Errorf("%s: %+v", tt.output, found)
		}
	}
}
