package plan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

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

// Load makes a program of its durable form again. It needs no live tools and compiles expressions only when they first
// run, so that thousands of nodes load in milliseconds. The error says what in the definition cannot be read; a
// definition that [Compile] accepted always loads.
func Load(d Definition) (*Program, error) {
	b := newBuilder(d, Limits{})
	if err := b.build(); err != nil {
		return nil, fmt.Errorf("load plan: %w", err)
	}
	if len(b.bad) > 0 {
		return nil, fmt.Errorf("load plan: %s: %s", b.bad[0].at, b.bad[0].Message)
	}
	return b.program, nil
}

// builder wires a definition into a program. What it cannot read it collects in bad and leaves out.
type builder struct {
	program *Program
	lim     Limits
	bad     []badString // at is a pointer into the plan
}

func newBuilder(d Definition, lim Limits) *builder {
	lim = lim.filled()
	return &builder{lim: lim, program: &Program{
		Definition: d,
		Nodes:      make([]Node, len(d.Plan.Nodes)),
		index:      make(map[string]int, len(d.Plan.Nodes)),
		language:   &language{lim: lim},
		checks:     map[string]inputCheck{},
	}}
}

// build resolves every node and connects it to the nodes it needs. It fails on what no program can express: a node
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
	if raw := p.Definition.Plan.Output; len(raw) > 0 {
		p.Output = b.template(json.RawMessage(raw), "/output")
		for _, h := range p.Output.holes() {
			for _, id := range h.reads() {
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
	p := b.program
	from := &p.Definition.Plan.Nodes[i]
	at := pointerToItem("/nodes", i)
	n := &p.Nodes[i]
	*n = Node{
		ID: from.ID, Index: i,
		Rule:    cmp.Or(from.TriggerRule, schemas.AllSuccess),
		OnError: cmp.Or(from.OnError, schemas.OnErrorFail),
	}
	if from.When != "" {
		n.When = b.text(from.When, at+"/when")
	}
	switch {
	case from.Capability != "":
		n.Kind, n.node = KindCapability, from.ID
		n.Realm, n.Capability, _ = strings.Cut(from.Capability, ".")
		pin := p.Definition.Pins[from.Capability]
		b.settings(n, from, pin)
		n.inputs = b.check(from.Capability, pin.InputSchema)
		raw := json.RawMessage(from.Inputs)
		if len(raw) == 0 {
			raw = json.RawMessage("{}")
		}
		n.Inputs = b.template(raw, at+"/inputs")
	case len(from.Set) > 0:
		n.Kind = KindSet
		n.Effect = schemas.EffectRead
		n.Value = b.template(json.RawMessage(from.Set), at+"/set")
	case from.Wait != "":
		n.Kind = KindWait
		n.Effect = schemas.EffectRead
		n.Wait = b.text(from.Wait, at+"/wait")
	default:
		return fmt.Errorf("node %q has no kind", from.ID)
	}
	return nil
}

// settings fills in what the node, the plan's defaults, the policy and the built-in defaults say, in this order.
func (b *builder) settings(n *Node, from *schemas.Node, pin Pin) {
	var defaults schemas.Defaults
	if d := b.program.Definition.Plan.Defaults; d != nil {
		defaults = *d
	}
	switch {
	case from.Timeout > 0:
		n.Timeout, n.TimeoutFrom = from.Timeout, "node"
	case defaults.Timeout > 0:
		n.Timeout, n.TimeoutFrom = defaults.Timeout, "plan defaults"
	case pin.Timeout > 0:
		n.Timeout, n.TimeoutFrom = pin.Timeout, "policy"
	default:
		n.Timeout, n.TimeoutFrom = defaultTimeout, "built-in default"
	}
	builtIn := DefaultRetry()
	n.Retry = *from.Retry.Or(defaults.Retry).Or(pin.Retry).Or(&builtIn)
	n.RetryExplicit = from.Retry != nil || defaults.Retry != nil || pin.Retry != nil
	n.IdempotencyArg = pin.IdempotencyArg
	n.OnUnknown = schemas.OnUnknownSuspend
	if from.OnUnknown != nil {
		n.OnUnknown = cmp.Or(from.OnUnknown.Then, n.OnUnknown)
	}
	n.Effect = cmp.Or(pin.Effect, schemas.EffectOnce)
	if from.Effect.Rank() > n.Effect.Rank() && from.Effect != "" {
		n.Effect = from.Effect
	}
}

func (b *builder) check(capability string, schema json.RawMessage) inputCheck {
	c, ok := b.program.checks[capability]
	if !ok {
		c = newInputCheck(capability, schema)
		b.program.checks[capability] = c
	}
	return c
}

func (b *builder) template(raw json.RawMessage, at string) *Template {
	t, bad := newTemplate(raw, b.program.language, b.lim)
	b.collect(at, bad)
	return t
}

func (b *builder) text(s, at string) *Template {
	t, bad := stringTemplate(s, b.program.language, b.lim)
	b.collect(at, bad)
	return t
}

func (b *builder) collect(at string, bad []badString) {
	for _, s := range bad {
		s.at = at + s.at
		b.bad = append(b.bad, s)
	}
}

// templates lists a node's templates with the pointers they stand at, below the node.
func (n *Node) templates() []placed {
	list := make([]placed, 0, 3)
	for _, t := range []placed{{n.When, "/when"}, {n.Inputs, "/inputs"}, {n.Value, "/set"}, {n.Wait, "/wait"}} {
		if t.template == nil {
			continue
		}
		list = append(list, t)
	}
	return list
}

type placed struct {
	template *Template
	at       string
}

// connect fills Deps and Dependents from depends_on and from what the templates read.
func (b *builder) connect() error {
	p := b.program
	seen := make([]int, len(p.Nodes)) // seen[d] == i+1: d is already a dependency of i
	edges := 0
	for i := range p.Nodes {
		n := &p.Nodes[i]
		need := func(id string) error {
			d, ok := p.index[id]
			switch {
			case !ok:
				return fmt.Errorf("node %q depends on %q, which does not exist", n.ID, id)
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
			if err := need(id); err != nil {
				return err
			}
		}
		for _, t := range n.templates() {
			for k := range t.template.parts {
				h := t.template.parts[k].hole
				if h == nil {
					continue
				}
				if h.plain {
					if id := h.path.nodeID(); id != "" {
						if err := need(id); err != nil {
							return err
						}
					}
					continue
				}
				for _, id := range h.reads() {
					if err := need(id); err != nil {
						return err
					}
				}
			}
		}
		slices.Sort(n.Deps)
	}
	for i := range p.Nodes {
		for _, d := range p.Nodes[i].Deps {
			p.Nodes[d].Dependents = append(p.Nodes[d].Dependents, i)
		}
	}
	return nil
}
