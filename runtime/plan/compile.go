package plan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/runplane/runplane/schemas"
)

// Compile proves a plan against the live tools and makes a program of it. The program is nil when any finding is an
// error. Paths of findings point into the plan in canonical form, which is what [Parse] returns; each fix assumes that
// the fixes of the findings before it were applied. p is not changed.
func Compile(p *schemas.Plan, cat Catalog, lim Limits) (*Program, []schemas.Finding) {
	lim = lim.filled()
	c := &compiler{lim: lim, cat: cat, plan: *p, out: findings{max: lim.MaxFindings}, texts: map[string]string{}}
	program := c.compile()
	return program, c.out.result()
}

// Realms lists the realms that the plan's capabilities name, sorted, each once.
func Realms(p *schemas.Plan) []string {
	var names []string
	for i := range p.Nodes {
		if realm, _, ok := strings.Cut(p.Nodes[i].Capability, "."); ok && realm != "" {
			names = append(names, realm)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// compiler holds one compilation. The stages run in order and each leaves the plan readable for the next.
type compiler struct {
	lim    Limits
	cat    Catalog
	plan   schemas.Plan // with ids repaired, so that one bad id is one finding
	out    findings
	ids    map[string]int
	prog   *Program
	pins   map[string]Pin
	tools  map[string]*liveTool
	inputs *tree             // the plan's; nil when they cannot be read
	texts  map[string]string // by pointer: a string as the fixes so far leave it
}

func (c *compiler) compile() *Program {
	if !c.sizes() {
		return nil
	}
	c.planSettings()
	if t, err := parseTree(cmp.Or(string(c.plan.Inputs), "{}")); err == nil {
		c.inputs = &t
	}
	c.identifiers()
	complete := true
	for i := range c.plan.Nodes {
		complete = c.nodeSettings(i) && complete
	}
	c.dependencies()
	c.pinTools()
	if !complete || !c.wire() {
		return nil
	}
	c.expressions()
	c.cycles()
	c.arguments()
	if c.out.errors > 0 {
		return nil
	}
	return c.prog
}

// sizes refuses at once what would be expensive to look at closer.
func (c *compiler) sizes() bool {
	switch n := len(c.plan.Nodes); {
	case n == 0:
		c.out.errorf(codeEmptyPlan, "/nodes", "the plan has no nodes; write at least one, such as {\"id\": \"a\", \"capability\": \"realm.name\"}")
		return false
	case n > c.lim.MaxNodes:
		c.out.errorf(codeTooManyNodes, "/nodes", "the plan has %d nodes; at most %d are allowed", n, c.lim.MaxNodes)
		return false
	}
	edges := 0
	for i := range c.plan.Nodes {
		if edges += len(c.plan.Nodes[i].DependsOn); edges > c.lim.MaxReferences {
			c.out.errorf(codeTooManyRefs, pointerToItem("/nodes", i)+"/depends_on", "the plan has more than %d dependencies", c.lim.MaxReferences)
			return false
		}
	}
	return true
}

// dependencies checks depends_on and drops what does not exist.
func (c *compiler) dependencies() {
	var names []string
	for i := range c.plan.Nodes {
		n := &c.plan.Nodes[i]
		var kept []string
		for _, id := range n.DependsOn {
			at := pointerToItem(pointerToItem("/nodes", i)+"/depends_on", len(kept))
			switch _, known := c.ids[id]; {
			case id == n.ID:
				c.out.errorf(codeSelfDependency, at, "node %q depends on itself", id).Fix = []schemas.PatchOp{opRemove(at)}
			case !known:
				if names == nil {
					names = c.nodeNames()
				}
				suggestion, near := nearest(id, names)
				f := c.out.errorf(codeUnknownNode, at, "node %q depends on %q, which does not exist%s", n.ID, id, suggestion)
				if len(near) > 0 {
					f.Fix = []schemas.PatchOp{opReplaceText(at, near[0])}
					kept = append(kept, near[0])
				} else {
					f.Fix = []schemas.PatchOp{opRemove(at)}
				}
			default:
				kept = append(kept, id)
			}
			if c.out.full() {
				return
			}
		}
		if len(kept) != len(n.DependsOn) || !slices.Equal(kept, n.DependsOn) {
			n.DependsOn = kept
		}
	}
}

func (c *compiler) nodeNames() []string {
	names := make([]string, 0, len(c.ids))
	for id := range c.ids {
		names = append(names, id)
	}
	slices.Sort(names)
	return names
}

// wire builds the program and reports the strings that cannot be read. Nodes that it cannot connect are reported by the
// stages that know why, so false only says that the rest cannot be judged.
func (c *compiler) wire() bool {
	b := newBuilder(Definition{Plan: c.plan, Pins: c.pins}, c.lim)
	p := b.program
	for i := range c.plan.Nodes {
		p.index[c.plan.Nodes[i].ID] = i
	}
	for i := range p.Nodes {
		if b.node(i) != nil {
			return false
		}
	}
	if raw := c.plan.Output; len(raw) > 0 {
		p.Output = b.template(json.RawMessage(raw), "/output")
	}
	for _, s := range b.bad {
		f := c.out.errorf(s.Code, s.at, "%s", place(s.source, s.At, s.Message))
		if s.Code == codeExpressionSyntax && strings.Count(s.source, "${") == 1 && !strings.Contains(s.source, "}") {
			f.Fix = []schemas.PatchOp{c.fixText(s.at, s.source, func(text string) string { return text + "}" })}
		}
	}
	c.prog = p
	return true
}

// place says where in a string something is wrong.
func place(source string, at int, message string) string {
	if at > len(source) {
		at = len(source)
	}
	return fmt.Sprintf("%s (character %d of %q)", message, len([]rune(source[:at]))+1, shorten(source))
}

// fixText makes a fix that edits the string at a pointer as the fixes before it left it.
func (c *compiler) fixText(at, source string, edit func(string) string) schemas.PatchOp {
	text, ok := c.texts[at]
	if !ok {
		text = source
	}
	text = edit(text)
	c.texts[at] = text
	return opReplaceText(at, text)
}

// cycles connects the nodes and reports what goes in circles.
func (c *compiler) cycles() {
	b := &builder{program: c.prog, lim: c.lim}
	if err := b.connect(); err != nil {
		if c.out.errors == 0 {
			c.out.errorf(codeTooManyRefs, "/nodes", "the plan cannot be ordered: %v", err)
		}
		return
	}
	for _, cycle := range findCycles(c.prog.Nodes, 5) {
		first := cycle[len(cycle)-1]
		c.out.errorf(codeCycle, pointerToItem("/nodes", first), "these nodes wait for each other: %s; remove one of the references or depends_on between them", cyclePath(c.prog.Nodes, cycle))
	}
}
