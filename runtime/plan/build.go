package plan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// The settings of a node that neither plan nor policy sets.
const (
	defaultTimeout = schemas.Duration(60 * time.Second)
	defaultJitter  = 0.2
)

// DefaultRetry is the retry of a node that neither plan nor policy sets.
func DefaultRetry() schemas.Retry {
	jitter := defaultJitter
	return schemas.Retry{
		MaxAttempts:        3,
		InitialInterval:    schemas.Duration(500 * time.Millisecond),
		BackoffCoefficient: 2,
		MaxInterval:        schemas.Duration(30 * time.Second),
		Jitter:             &jitter,
	}
}

// Load makes a program from its durable form. It needs no live tools and compiles expressions only when they first run,
// so that thousands of nodes load in milliseconds. The error names what in the definition cannot be read; a definition
// that [Compile] accepted always loads.
func Load(d Definition) (*Program, error) {
	b := newBuilder(d, Limits{})
	if err := b.build(); err != nil {
		return nil, fmt.Errorf("load plan: %w", err)
	}
	if len(b.bad) > 0 {
		return nil, fmt.Errorf("load plan: %s: %s", b.bad[0].Pointer, b.bad[0].Message)
	}
	return b.program, nil
}

// builder wires a definition into a program. What it cannot read it collects in bad and leaves out.
type builder struct {
	program  *Program
	lim      Limits
	language expr.Evaluator   // of the node that is built
	bad      []expr.BadString // at is a pointer into the plan
	// sub returns the program of a workflow node that is compiled already; nil: build it.
	sub func(node int) *Program
}

func newBuilder(d Definition, lim Limits) *builder {
	lim = lim.filled()
	p := &Program{
		Definition: d,
		Nodes:      make([]Node, len(d.Plan.Nodes)),
		index:      make(map[string]int, len(d.Plan.Nodes)),
		language:   expr.NewEvaluator(lim.Limits),
		checks:     map[string]inputCheck{},
	}
	p.size, p.stored = sync.OnceValue(p.measure), sync.OnceValue(p.measureStored)
	return &builder{lim: lim, program: p}
}

// build resolves every node and connects it to the nodes it needs. It fails on what a program cannot express: a node
// without a kind, an id twice, a dependency that does not exist, too many of them, a cycle.
func (b *builder) build() error {
	p := b.program
	for i := range p.Definition.Plan.Nodes {
		id := p.Definition.Plan.Nodes[i].ID
		if _, twice := p.index[id]; twice {
			return fmt.Errorf("two nodes have the id %q", id)
		}
		p.index[id] = i
	}
	for i := range p.Nodes {
		if err := b.node(i); err != nil {
			return err
		}
	}
	b.language = p.language
	if raw := p.Definition.Plan.Output; len(raw) > 0 {
		p.Output = b.template(json.RawMessage(raw), "/output")
		for h := range p.Output.Placeholders() {
			for id := range h.Nodes() {
				if _, ok := p.index[id]; !ok {
					return fmt.Errorf("the output reads node %q, which does not exist", id)
				}
			}
		}
	}
	if err := b.connect(); err != nil {
		return err
	}
	if cycles := findCycles(p.Nodes, 1); len(cycles) > 0 {
		return fmt.Errorf("cycle: %s", cyclePath(p.Nodes, cycles[0]))
	}
	return nil
}

// node resolves the settings and templates of one node; connections come later.
func (b *builder) node(i int) error {
	from := &b.program.Definition.Plan.Nodes[i]
	at := schemas.PointerToItem("/nodes", i)
	n := &b.program.Nodes[i]
	*n = Node{
		ID: from.ID, Index: i,
		Rule:         cmp.Or(from.TriggerRule, schemas.AllSuccess),
		CancelOthers: from.CancelOthers,
		OnError:      cmp.Or(from.OnError, schemas.OnErrorFail),
		Priority:     cmp.Or(from.Priority, schemas.PriorityDefault),
		MinSuccess:   -1,
		TotalTimeout: from.TotalTimeout,
		QueueTimeout: from.QueueTimeout,
	}
	n.node = from.ID
	b.language = b.program.language
	if list := from.ForEach; list != nil && (list.As != "" || list.IndexAs != "") {
		b.language = b.language.Named(list.As, list.IndexAs)
	}
	n.language = b.language
	if from.When != "" {
		n.When = b.text(from.When, at+"/when")
	}
	b.list(n, from, at)
	b.repeat(n, from, at)
	n.Effect = schemas.EffectRead
	switch {
	case from.Capability != "":
		n.Kind = KindCapability
		b.calls(n, from, at)
	case len(from.Set) > 0:
		n.Kind = KindSet
		n.Value = b.template(json.RawMessage(from.Set), at+"/set")
	case from.Wait != "":
		n.Kind = KindWait
		n.Wait = b.text(from.Wait, at+"/wait")
	case from.WaitFor != nil:
		n.Kind = KindWaitFor
		n.Event, n.Expires = from.WaitFor.Event, from.WaitFor.Timeout
		if w := from.WaitFor; w.State != nil {
			n.Awaited = &Awaited{Type: w.State.Type, Key: b.text(w.State.Key, at+"/wait_for/state/key")}
			if w.Until != "" {
				n.Awaited.Until = b.text(w.Until, at+"/wait_for/until")
			}
		}
	case from.Review != nil:
		n.Kind = KindReview
		r := from.Review
		n.Question, n.Expires = b.text(r.Question, at+questionAt(from)), r.Expires
		if n.Choices, n.Form = r.Choices, r.Schema; len(r.Schema) > 0 {
			n.form = newInputCheck("review", json.RawMessage(r.Schema))
		}
	case from.Workflow != nil && from.Workflow.Definition != nil:
		n.Kind = KindWorkflow
		n.Inputs = b.inputs(from.Inputs, at+"/inputs")
		return b.within(n, from, at)
	default:
		return fmt.Errorf("node %q has no kind", from.ID)
	}
	return nil
}

// list resolves for_each.
func (b *builder) list(n *Node, from *schemas.Node, at string) {
	if from.ForEach == nil {
		return
	}
	n.ForEach = b.template(json.RawMessage(from.ForEach.Items), at+itemsAt(from))
	n.MaxParallel = from.MaxParallel
	n.MaxItems = cmp.Or(from.MaxItems, b.program.Definition.MaxItems, b.lim.MaxItems)
	if from.MinSuccess != nil {
		n.MinSuccess = *from.MinSuccess
	}
}

// calls resolves everything that a capability node may call.
func (b *builder) calls(n *Node, from *schemas.Node, at string) {
	own := callSettings{timeout: from.Timeout, retry: from.Retry, from: "node"}
	n.Target = b.target(n, from.Capability, own)
	b.arguments(&n.Target, from.Inputs, at+"/inputs")
	n.HeartbeatTimeout = from.HeartbeatTimeout
	if from.Effect != "" && from.Effect.Rank() > n.Effect.Rank() {
		n.Effect = from.Effect
	}
	n.Review = from.SafetyLevel == schemas.SafetyReview
	n.asksPerson = b.program.Definition.Pins[from.Capability].AsksPerson
	for k := range from.Fallback {
		n.Fallbacks = append(n.Fallbacks, b.fallback(n, &from.Fallback[k], own, schemas.PointerToItem(at+"/fallback", k)))
	}
	if len(from.Fallback) == 0 {
		for _, f := range b.program.Definition.Pins[from.Capability].Fallback {
			n.Fallbacks = append(n.Fallbacks, b.fallback(n, &schemas.Fallback{Capability: f.Capability, Value: f.Value}, own, at+"/fallback"))
		}
	}
	if c := from.Compensate; c != nil {
		t := b.target(n, c.Capability, callSettings{timeout: c.Timeout, retry: c.Retry, from: "compensate"})
		b.arguments(&t, c.Inputs, at+"/compensate/inputs")
		n.Compensate = &t
	}
	n.OnUnknown = schemas.OnUnknownSuspend
	if u := from.OnUnknown; u != nil {
		n.OnUnknown = cmp.Or(u.Then, n.OnUnknown)
		if v := u.Verify; v != nil {
			place := at + "/on_unknown/verify"
			n.Verify = &Verify{Target: b.target(n, v.Capability, callSettings{}), Happened: b.text(v.Happened, place+"/happened")}
			b.arguments(&n.Verify.Target, v.Inputs, place+"/inputs")
			if len(v.Output) > 0 {
				n.Verify.Output = b.template(json.RawMessage(v.Output), place+"/output")
			}
		}
	}
}

// fallback resolves one entry; settings that it does not give are the node's.
func (b *builder) fallback(n *Node, from *schemas.Fallback, own callSettings, at string) Fallback {
	if from.Capability == "" {
		return Fallback{Value: b.template(json.RawMessage(cmp.Or(string(from.Value), "null")), at+"/value")}
	}
	t := b.target(n, from.Capability, own)
	t.HeartbeatTimeout = n.HeartbeatTimeout
	t.Inputs, t.secrets = n.Inputs, n.secrets
	if len(from.Inputs) > 0 {
		b.arguments(&t, from.Inputs, at+"/inputs")
	}
	return Fallback{Target: &t}
}

// within resolves the plan within a workflow node.
func (b *builder) within(n *Node, from *schemas.Node, at string) error {
	if kept := from.Workflow.Resolved; kept != nil {
		n.Version = kept.Name
		n.declared = newInputCheck("workflow "+kept.Name, json.RawMessage(kept.InputSchema))
	}
	if b.sub != nil {
		n.Sub = b.sub(n.Index)
		return nil
	}
	p := b.program
	inner := newBuilder(Definition{Plan: *from.Workflow.Definition, Pins: p.Definition.Pins, MaxItems: p.Definition.MaxItems}, b.lim)
	inner.program.language, inner.program.checks = p.language, p.checks
	if err := inner.build(); err != nil {
		return fmt.Errorf("node %q: %w", from.ID, err)
	}
	b.collect(at+"/workflow/definition", inner.bad)
	n.Sub = inner.program
	return nil
}

// callSettings are the settings that a plan gives one call.
type callSettings struct {
	timeout schemas.Duration
	retry   *schemas.Retry
	from    string // where the timeout is set
}

// target resolves the settings of one call from the call itself, the plan's defaults, the policy and the built-in
// defaults, in this order.
func (b *builder) target(n *Node, capability string, own callSettings) Target {
	var defaults schemas.Defaults
	if d := b.program.Definition.Plan.Defaults; d != nil {
		defaults = *d
	}
	pin := b.program.Definition.Pins[capability]
	t := Target{node: n.ID, Hash: pin.Hash, IdempotencyArg: pin.IdempotencyArg, Effect: cmp.Or(pin.Effect, schemas.EffectOnce)}
	t.Realm, t.Capability, _ = strings.Cut(capability, ".")
	switch {
	case own.timeout > 0:
		t.Timeout, t.TimeoutFrom = own.timeout, own.from
	case defaults.Timeout > 0:
		t.Timeout, t.TimeoutFrom = defaults.Timeout, "plan defaults"
	case pin.Timeout != nil:
		t.Timeout, t.TimeoutFrom = *pin.Timeout, cmp.Or(pin.TimeoutFrom, "policy")
	default:
		t.Timeout, t.TimeoutFrom = defaultTimeout, "built-in default"
	}
	builtIn := DefaultRetry()
	t.Retry = *own.retry.Or(defaults.Retry).Or(pin.Retry).Or(&builtIn)
	t.RetryExplicit = own.retry != nil || defaults.Retry != nil || pin.Retry != nil
	t.MaxRefusals = schemas.DefaultMaxRefusals
	if pin.MaxRefusals != nil {
		t.MaxRefusals = *pin.MaxRefusals
	}
	t.inputs = b.check(capability, schemas.Optional(pin.InputSchema, pin.IdempotencyArg))
	return t
}

func (b *builder) check(capability string, schema json.RawMessage) inputCheck {
	c, ok := b.program.checks[capability]
	if !ok {
		c = newInputCheck(capability, schema)
		b.program.checks[capability] = c
	}
	return c
}

// arguments reads the arguments of a call.
func (b *builder) arguments(t *Target, o schemas.Object, at string) {
	t.Inputs = b.inputs(o, at)
	t.secrets = t.Inputs.Secrets()
}

// inputs reads arguments; absent ones are none.
func (b *builder) inputs(o schemas.Object, at string) *expr.Template {
	if len(o) == 0 {
		o = schemas.Object("{}")
	}
	return b.template(json.RawMessage(o), at)
}

func (b *builder) template(raw json.RawMessage, at string) *expr.Template {
	t, bad := expr.NewTemplate(raw, b.language, b.lim.Limits)
	b.collect(at, bad)
	return t
}

func (b *builder) text(s, at string) *expr.Template {
	t, bad := expr.NewText(s, b.language, b.lim.Limits)
	b.collect(at, bad)
	return t
}

func (b *builder) collect(at string, bad []expr.BadString) {
	for _, s := range bad {
		s.Pointer = at + s.Pointer
		b.bad = append(b.bad, s)
	}
}

// connect fills Deps and Dependents from depends_on and from what the templates read.
func (b *builder) connect() error {
	p := b.program
	seen := make([]int, len(p.Nodes)) // seen[d] == i+1: d is already a dependency of i
	edges := 0
	for i := range p.Nodes {
		n := &p.Nodes[i]
		need := func(id string, may reach) error {
			d, ok := p.index[id]
			switch {
			case !ok:
				return fmt.Errorf("node %q depends on %q, which does not exist", n.ID, id)
			case d == i && may&(readsSelf|readsErrors) != 0:
				return nil
			case d == i:
				return fmt.Errorf("node %q depends on itself", n.ID)
			case seen[d] == i+1:
				return nil
			}
			seen[d] = i + 1
			n.Deps = append(n.Deps, d)
			if edges++; edges > b.lim.MaxReferences {
				return fmt.Errorf("more than %d dependencies", b.lim.MaxReferences)
			}
			return nil
		}
		for _, id := range p.Definition.Plan.Nodes[i].DependsOn {
			if err := need(id, 0); err != nil {
				return err
			}
		}
		for _, t := range n.templates(&p.Definition.Plan.Nodes[i]) {
			for h := range t.template.Placeholders() {
				for id := range h.Nodes() {
					if err := need(id, t.may); err != nil {
						return err
					}
				}
			}
		}
		slices.Sort(n.Deps)
	}
	for h := range p.Output.Placeholders() {
		for id := range h.Nodes() {
			if i, ok := p.index[id]; ok {
				p.Nodes[i].InOutput = true
			}
		}
	}
	for i := range p.Nodes {
		for _, d := range p.Nodes[i].Deps {
			p.Nodes[d].Dependents = append(p.Nodes[d].Dependents, i)
		}
	}
	return nil
}
