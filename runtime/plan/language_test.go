package plan

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runplane/runplane/schemas"
)

// whole uses every kind and every field of the language.
const whole = `
plan: v1
name: whole
inputs: {order_id: A-17, contacts: [{email: a@x, name: A}, {email: b@x}], limit: 100}
timeout: 10m
defaults: {retry: {max_attempts: 2}}
nodes:
  - {id: order, capability: shop.get_order, inputs: {id: "${inputs.order_id}"}, queue_timeout: 1m, priority: 1}
  - id: ok
    review: "Refund ${inputs.order_id} of ${nodes.order.output.total}?"
  - {id: second, review: {question: "Sure?", expires: 2d}, depends_on: [ok]}
  - {id: paid, wait_for: order_paid}
  - {id: shipped, wait_for: {event: order_shipped, timeout: 3d}, depends_on: [paid], on_error: continue}
  - id: refund
    capability: shop.charge
    when: "${nodes.ok.output.decision == 'approve'}"
    inputs: {order: "${nodes.order.output.id}", cents: "${nodes.order.output.total}"}
    safety_level: review
    timeout: 5s
    total_timeout: 1m
    heartbeat_timeout: 2s
    fallback: ["mail.send", {capability: shop.charge, inputs: {order: x, cents: 1}}, {value: {id: "none-${inputs.order_id}"}}]
    on_error: compensate
    on_unknown:
      then: fail
      verify: {capability: shop.find, inputs: {order: "${inputs.order_id}"}, happened: "${size(output.items) > 0}", output: {id: "${output.items[0].id}"}}
    compensate: {capability: shop.void, inputs: {id: "${nodes.refund.output.id} ${nodes.order.output.id}"}, timeout: 4s, retry: {max_attempts: 7}}
  - id: mail
    capability: mail.send
    for_each: "${inputs.contacts}"
    max_parallel: 4
    max_items: 500
    min_success: 0
    trigger_rule: none_failed
    inputs: {to: "${item.email}", n: "${index + 1}", text: "Refund ${nodes.refund.output.id}"}
    on_unknown: retry
    compensate: {capability: shop.reserve, inputs: {id: "${nodes.mail.output.id} ${index}"}}
  - {id: sizes, set: "${size(item) + index}", for_each: [[1], "${inputs.contacts}", "abc"]}
  - id: each
    workflow:
      definition:
        inputs: {name: nobody, times: 2}
        timeout: 1m
        nodes:
          hello: {set: "Hello ${inputs.name} ${inputs.mail}"}
          send: {capability: mail.send, inputs: {text: "${nodes.hello.output}"}, on_error: suspend}
          deeper: {workflow: {definition: {nodes: [{id: ask, review: "Deeper?"}], output: "${nodes.ask.output.decision}"}}, depends_on: [send]}
        output: {sent: "${nodes.send.output}", decision: "${nodes.deeper.output}"}
    for_each: "${inputs.contacts}"
    inputs: {name: "${item.name}", mail: "${item.email}"}
output: {first: "${nodes.mail.output[0].id}", decisions: "${nodes.each.output.map(item, item.decision)}", sizes: "${nodes.sizes.output}"}
`

func TestWholeLanguage(t *testing.T) {
	parsed, found := Parse(context.Background(), []byte(whole), Limits{})
	if n := len(found); n != 1 || found[0].Code != codeAlias || found[0].Path != "/nodes/8/workflow/definition/nodes" {
		t.Errorf("bare forms and all, got %+v, want a warning for the map of nodes alone", found)
	}
	p, more := Compile(context.Background(), parsed, sampleWorld(), Limits{})
	if p == nil || len(more) > 0 {
		t.Fatalf("findings %+v", more)
	}
	stored, err := json.Marshal(p.Definition)
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
	if d := cmp.Diff(describe(p, ""), describe(loaded, "")); d != "" {
		t.Errorf("loaded program differs (-compiled +loaded):\n%s", d)
	}
	want := strings.TrimSpace(`
order capability [] p1 read 1m built-in default x2 shop.get_order queue 1m
ok review [0] p3 read question expires 0s
second review [1] p3 read question expires 48h
paid wait_for [] p3 read order_paid expires 0s
shipped wait_for [3] p3 read order_shipped expires 72h on_error continue
refund capability [0 1] p3 once 5s node x2 shop.charge total 1m heartbeat 2s review on_error compensate
  fallback mail.send once 5s node x2 own inputs false
  fallback shop.charge once 5s node x2 own inputs true
  fallback value
  compensate shop.void idempotent 4s compensate x7 key
  verify shop.find read 1m built-in default x2 then fail output true
mail capability [5] p3 once 1m built-in default x2 mail.send for_each 4 500 0
  compensate shop.reserve idempotent 1m built-in default x2 
sizes set [] p3 read for_each 0 10000 -1
each workflow [] p3 read for_each 0 10000 -1
  hello set [] p3 read
  send capability [0] p3 once 1m built-in default x3 mail.send on_error suspend
  deeper workflow [1] p3 read
    ask review [] p3 read question expires 0s`)
	if d := cmp.Diff(want, strings.TrimSpace(describe(p, ""))); d != "" {
		t.Errorf("program (-want +got):\n%s", d)
	}
	wantExplain := schemas.Explain{
		Waves:        [][]string{{"order", "paid", "sizes", "each"}, {"ok", "shipped"}, {"second", "refund"}, {"mail"}},
		Edges:        [][]string{{"order", "ok"}, {"ok", "second"}, {"paid", "shipped"}, {"order", "refund"}, {"ok", "refund"}, {"refund", "mail"}},
		CriticalPath: []string{"order", "ok", "refund", "mail"},
		// order 2; refund 2 tries, 2 verifications of each, 2 fallbacks of 2, 7 to undo it; mail 500 × (2 + 2); each 10,000 × 3
		MaxCalls:  2 + 2 + 4 + 4 + 7 + 500*4 + 10_000*3,
		Reviews:   []string{"ok", "second", "refund", "each/deeper/ask"},
		OnceNodes: []string{"refund", "mail", "each/send"},
		// each has 10,000 items of an execution that has one of its own; sizes has 3, mail 500
		MaxExecutions: 10_000 * 2, MaxItems: 10_000 + 3 + 500, WorkflowBytes: 10_000 * 2 * 1437,
	}
	if d := cmp.Diff(wantExplain, p.Explain()); d != "" {
		t.Errorf("explain (-want +got):\n%s", d)
	}
	if got := Realms(parsed); !cmp.Equal(got, []string{"mail", "shop"}) {
		t.Errorf("realms %v", got)
	}
	if len(p.Definition.Pins) != 6 {
		t.Errorf("pins %v, want those of every place", p.Definition.Pins)
	}
}

// describe prints every setting of a program that differs from its zero.
func describe(p *Program, indent string) string {
	var b strings.Builder
	target := func(t *Target) string {
		return fmt.Sprintf("%s %s %s %s x%d", t.Name(), t.Effect, t.Timeout, t.TimeoutFrom, t.Retry.MaxAttempts)
	}
	for i := range p.Nodes {
		n := &p.Nodes[i]
		fmt.Fprintf(&b, "%s%s %s %v p%d %s", indent, n.ID, n.Kind, n.Deps, n.Priority, n.Effect)
		if n.Kind == KindCapability {
			fmt.Fprintf(&b, " %s %s x%d %s", n.Timeout, n.TimeoutFrom, n.Retry.MaxAttempts, n.Name())
		}
		if n.Event != "" {
			fmt.Fprintf(&b, " %s expires %s", n.Event, n.Expires)
		}
		if n.Question != nil {
			fmt.Fprintf(&b, " question expires %s", n.Expires)
		}
		if n.ForEach != nil {
			fmt.Fprintf(&b, " for_each %d %d %d", n.MaxParallel, n.MaxItems, n.MinSuccess)
		}
		if n.TotalTimeout > 0 {
			fmt.Fprintf(&b, " total %s", n.TotalTimeout)
		}
		if n.QueueTimeout > 0 {
			fmt.Fprintf(&b, " queue %s", n.QueueTimeout)
		}
		if n.HeartbeatTimeout > 0 {
			fmt.Fprintf(&b, " heartbeat %s", n.HeartbeatTimeout)
		}
		if n.Review {
			b.WriteString(" review")
		}
		if n.OnError != schemas.OnErrorFail {
			fmt.Fprintf(&b, " on_error %s", n.OnError)
		}
		b.WriteByte('\n')
		for _, f := range n.Fallbacks {
			if f.Target == nil {
				fmt.Fprintf(&b, "%s  fallback value\n", indent)
				continue
			}
			fmt.Fprintf(&b, "%s  fallback %s own inputs %v\n", indent, target(f.Target), f.Target.Inputs != n.Inputs)
		}
		if n.Compensate != nil {
			fmt.Fprintf(&b, "%s  compensate %s %s\n", indent, target(n.Compensate), n.Compensate.IdempotencyArg)
		}
		if v := n.Verify; v != nil {
			fmt.Fprintf(&b, "%s  verify %s then %s output %v\n", indent, target(&v.Target), n.OnUnknown, v.Output != nil)
		}
		if n.Sub != nil {
			b.WriteString(describe(n.Sub, indent+"  "))
		}
	}
	return b.String()
}

func TestArgumentsOfEveryTarget(t *testing.T) {
	n := &mustProgram(t, `
plan: v1
nodes:
  - id: pay
    capability: mail.send
    fallback: [{capability: shop.charge, inputs: {order: x, cents: 5}}]
    compensate: {capability: shop.void, inputs: {id: x}}
    on_unknown: {verify: {capability: shop.find, inputs: {order: x}, happened: "${output.found}"}}
`).Nodes[0]
	bad := json.RawMessage(`{"x":1}`)
	if _, err := n.Arguments(bad); err != nil {
		t.Errorf("mail.send takes anything, got %v", err)
	}
	for name, target := range map[string]*Target{"shop.charge": n.Fallbacks[0].Target, "shop.void": n.Compensate, "shop.find": &n.Verify.Target} {
		_, err := target.Arguments(bad)
		if err == nil || !strings.HasPrefix(err.Message, name+` cannot be called by node "pay"`) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// Nodes and levels of plans within plans count too.
func TestLimitsCountNestedPlans(t *testing.T) {
	many := schemas.Plan{Version: "v1"}
	for i := range 600 {
		many.Nodes = append(many.Nodes, schemas.Node{ID: fmt.Sprintf("n%d", i), Set: schemas.Value("1")})
	}
	holder := func(id string, d schemas.Plan) schemas.Node {
		return schemas.Node{ID: id, Workflow: &schemas.Workflow{Definition: &d}}
	}
	twice := &schemas.Plan{Version: "v1", Nodes: []schemas.Node{holder("a", many), holder("b", many)}}
	if _, found := Compile(context.Background(), twice, sampleWorld(), Limits{}); len(found) != 1 || found[0].Code != codeTooManyNodes {
		t.Errorf("1,202 nodes: got %+v", found)
	}
	source, err := json.Marshal(twice)
	if err != nil {
		t.Fatal(err)
	}
	if _, found := check(source); len(found) != 1 || found[0].Code != codeTooManyNodes {
		t.Errorf("1,202 nodes as text: got %+v", found)
	}
	for _, nodes := range []string{`7`, `"a"`, `[{"id":"w","workflow":{"definition":{"plan":"v1","nodes":"a"}}}]`} {
		if _, found := check([]byte(`{"plan":"v1","nodes":` + nodes + `}`)); len(found) != 1 || found[0].Code != codeWrongType {
			t.Errorf("nodes that are not a list are one finding: got %+v", found)
		}
	}
	deep := schemas.Plan{Version: "v1", Nodes: []schemas.Node{{ID: "a", Set: schemas.Value("1")}}}
	for range 5 {
		deep = schemas.Plan{Version: "v1", Nodes: []schemas.Node{holder("w", deep)}}
	}
	if _, found := Compile(context.Background(), &deep, sampleWorld(), Limits{}); len(found) != 1 || found[0].Code != codeTooDeep {
		t.Errorf("5 levels: got %+v", found)
	}
	if p, found := Compile(context.Background(), deep.Nodes[0].Workflow.Definition, sampleWorld(), Limits{}); p == nil {
		t.Errorf("4 levels: got %+v", found)
	}
}

func TestMaxItemsOfTheOperatorIsStored(t *testing.T) {
	parsed, _ := Parse(context.Background(), []byte(`{"plan":"v1","inputs":{"l":[1]},"nodes":[{"id":"a","set":1,"for_each":"${inputs.l}"},{"id":"b","set":1,"for_each":"${inputs.l}","max_items":7},
		{"id":"c","workflow":{"definition":{"inputs":{"l":[]},"nodes":[{"id":"a","set":1,"for_each":"${inputs.l}"}]}}}]}`), Limits{})
	p, found := Compile(context.Background(), parsed, sampleWorld(), Limits{MaxItems: 50})
	if p == nil {
		t.Fatal(found)
	}
	loaded, err := Load(p.Definition)
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]*Program{"compiled": p, "loaded": loaded} {
		if a, b, c := p.Nodes[0].MaxItems, p.Nodes[1].MaxItems, p.Nodes[2].Sub.Nodes[0].MaxItems; a != 50 || b != 7 || c != 50 {
			t.Errorf("%s: got %d, %d, %d, want 50, 7, 50", name, a, b, c)
		}
	}
}

func TestExplainDoesNotOverflow(t *testing.T) {
	inner := `{"id":"a","capability":"mail.send","for_each":"${inputs.l}","retry":{"max_attempts":100},"on_unknown":{"verify":{"capability":"shop.find","inputs":{"order":"x"},"happened":"${true}"}}}`
	for range 4 {
		inner = `{"id":"w","for_each":"${inputs.l}","inputs":{"l":"${inputs.l}"},"workflow":{"definition":{"inputs":{"l":[]},"nodes":[` + inner + `]}}}`
	}
	p := mustProgram(t, `{"plan":"v1","inputs":{"l":[]},"nodes":[`+inner+`]}`)
	if got := p.Explain().MaxCalls; got <= 0 {
		t.Errorf("got %d calls", got)
	}
}

func TestCompensationDependsOnWhatItReads(t *testing.T) {
	p := mustProgram(t, `{"plan":"v1","nodes":[{"id":"a","set":"x"},{"id":"b","capability":"mail.send","compensate":{"capability":"shop.void","inputs":{"id":"${nodes.a.output} ${nodes.b.output.id}"}}}]}`)
	if got := fmt.Sprint(p.Nodes[1].Deps); got != "[0]" {
		t.Errorf("got %s, want [0]", got)
	}
}
