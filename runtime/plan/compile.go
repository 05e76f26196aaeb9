package plan

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// Compile checks a plan against the live tools and makes a program of it. The program is nil when any finding is an
// error. Paths of findings point into the plan in canonical form, which is what [Parse] returns; each fix assumes that
// the fixes of the findings before it were applied. p is not changed.
func Compile(ctx context.Context, p *schemas.Plan, cat Catalog, lim Limits) (*Program, []schemas.Finding) {
	lim = lim.filled()
	w := &work{
		ctx: ctx, lim: lim, cat: cat, out: findings{max: lim.MaxFindings}, texts: map[string]string{},
		pins: map[string]Pin{}, tools: map[string]*liveTool{}, unavailable: map[string]bool{},
		undoes: compensates(p, lim.MaxNesting),
	}
	c := &compiler{work: w, plan: *p}
	c.plan.Source = nil // the program does not keep the text
	program := c.compile()
	found := w.out.result()
	for i := range found {
		if p.Unmended {
			found[i].Fix = nil
		}
	}
	Locate(p, found)
	return program, found
}

// Locate fills in the line and the column of findings that have none, where the plan was parsed from a text of several
// lines.
func Locate(p *schemas.Plan, found []schemas.Finding) {
	if p.Source == nil {
		return
	}
	for i := range found {
		if f := &found[i]; f.Line == 0 {
			f.Line, f.Column = p.Source.Place(f.Path)
		}
	}
}

// work is what a plan shares with the plans within it.
type work struct {
	ctx         context.Context //nolint:containedctx // lives as long as the call to Compile
	lim         Limits
	cat         Catalog
	out         findings
	texts       map[string]string // by pointer: a string as the fixes so far leave it
	pins        map[string]Pin
	tools       map[string]*liveTool
	realms      []string        // of the catalog, once asked
	unavailable map[string]bool // by realm, once asked
	undoes      bool            // a node of one of the plans has a compensation
	evaluator   expr.Evaluator  // of all programs
	checks      map[string]inputCheck
}

// compiler holds the compilation of one plan. The stages run in order and each leaves the plan readable for the next.
type compiler struct {
	*work
	base   string    // JSON pointer to the plan; empty for the outermost
	outer  *compiler // nil for the outermost
	holder int       // the node of outer that holds the plan
	depth  int
	plan   schemas.Plan // with ids repaired, so that one bad id is one finding
	ids    map[string]int
	folded map[string][]string // the ids, by what fold makes of them
	ats    []string            // pointers to the nodes, once asked
	prog   *Program
	subs   map[int]*Program // by workflow node
	inputs *document.Tree   // the plan's; nil when they cannot be read
	known  shapes           // by id: a node's output
	items  shapes           // by list: an item of for_each
	passed bool             // a fix adds inputs to the node around the plan
	warned map[int]bool     // nodes with a finding about what their verification's answer lacks

	trees map[*byte]*document.Tree // see tree

	deciding map[string]bool // ids of nodes whose output decides something, once asked
	choosing map[string]bool // ids of nodes whose choice is read, once asked
}

// tree parses a value of the plan once. Whoever changes the tree removes it from c.trees.
func (c *compiler) tree(raw []byte) (*document.Tree, error) {
	if t := c.trees[&raw[0]]; t != nil {
		return t, nil
	}
	t, err := document.Parse(string(raw))
	if err != nil {
		return nil, err
	}
	if c.trees == nil {
		c.trees = make(map[*byte]*document.Tree, len(c.plan.Nodes))
	}
	c.trees[&raw[0]] = &t
	return &t, nil
}

// at points to node i.
func (c *compiler) at(i int) string {
	if len(c.ats) <= i {
		c.ats = append(c.ats, make([]string, max(i+1, len(c.plan.Nodes))-len(c.ats))...)
	}
	if c.ats[i] == "" {
		c.ats[i] = schemas.PointerToItem(c.base+"/nodes", i)
	}
	return c.ats[i]
}

func (c *compiler) compile() *Program {
	if !c.sizes() {
		return nil
	}
	c.planSettings()
	c.knownInputs()
	c.identifiers()
	complete := true
	for i := range c.plan.Nodes {
		complete = c.nodeSettings(i) && complete
	}
	c.dependencies()
	c.pinTools()
	c.givenArguments()
	within := c.definitions()
	if !complete || !c.wire() {
		return nil
	}
	c.expressions()
	for i := range c.prog.Nodes {
		c.roundsOf(i)
	}
	c.cycles()
	c.arguments()
	c.races()
	c.budget()
	c.limitedCalls()
	c.idle()
	if c.out.errors > 0 || !within {
		return nil
	}
	return c.prog
}

// sizes refuses plans that would be expensive to check, before anything else is checked.
func (c *compiler) sizes() bool {
	if len(c.plan.Nodes) == 0 {
		c.out.errorf(codeEmptyPlan, c.base+"/nodes",
			"the plan has no nodes; write at least one, such as {\"id\": \"a\", \"capability\": \"realm.name\"}")
		return false
	}
	if c.outer != nil {
		return true // counted with the outermost
	}
	nodes, edges := 0, 0
	var count func(p *schemas.Plan, base string, depth int) bool
	count = func(p *schemas.Plan, base string, depth int) bool {
		if nodes += len(p.Nodes); nodes > c.lim.MaxNodes {
			c.out.errorf(codeTooManyNodes, "/nodes", "the plan has %d nodes; at most %d are allowed", nodes, c.lim.MaxNodes)
			return false
		}
		if depth > c.lim.MaxNesting {
			c.out.errorf(codeTooDeep, base,
				"definitions are nested more than %d levels deep; write the nodes into the plan around them", c.lim.MaxNesting)
			return false
		}
		for i := range p.Nodes {
			at := schemas.PointerToItem(base+"/nodes", i)
			if edges += len(p.Nodes[i].DependsOn); edges > c.lim.MaxReferences {
				c.out.errorf(codeTooManyRefs, at+"/depends_on", "the plan has more than %d dependencies", c.lim.MaxReferences)
				return false
			}
			if d := definitionOf(&p.Nodes[i]); d != nil && !count(d, at+toDefinition, depth+1) {
				return false
			}
		}
		return true
	}
	return count(&c.plan, "", 0)
}

// toDefinition leads from a workflow node to the plan within it.
const toDefinition = "/workflow/definition"

// dependencies checks depends_on and drops what does not exist.
func (c *compiler) dependencies() {
	var names []string
	for i := range c.plan.Nodes {
		n := &c.plan.Nodes[i]
		var kept []string
		left := 0 // names that stand there when the fixes before are applied
		for _, id := range n.DependsOn {
			at := schemas.PointerToItem(c.at(i)+"/depends_on", left)
			left++
			switch _, known := c.ids[id]; {
			case id == n.ID:
				f := c.out.errorf(codeSelfDependency, at, "node %q depends on itself: write the id of the node that it follows, or take it out if it follows none", id)
				if c.followsAll(i) {
					f.Fix = []schemas.PatchOp{opRemove(at)}
					left--
				}
			case !known:
				if names == nil {
					names = c.nodeNames()
				}
				suggestion, _ := nearest(id, names)
				f := c.out.errorf(codeUnknownNode, at, "node %q depends on %q, which does not exist%s", n.ID, id, suggestion)
				if meant := onlyMisspelt(id, names); meant != "" {
					f.Fix = []schemas.PatchOp{opReplaceText(at, meant)}
					kept = append(kept, meant)
				} else {
					f.Message += "; add the node, or leave the name out if there is nothing to wait for"
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

// followsAll reports whether no other node can be meant where one depends on itself: it follows all that stand before it anyway, and no id is
// like its own.
func (c *compiler) followsAll(node int) bool {
	n := &c.plan.Nodes[node]
	follows := map[string]bool{n.ID: true}
	for queue := slices.Clone(n.DependsOn); len(queue) > 0; queue = queue[1:] {
		i, known := c.ids[queue[0]]
		if known && !follows[queue[0]] {
			follows[queue[0]] = true
			queue = append(queue, c.plan.Nodes[i].DependsOn...)
		}
	}
	if len(follows) == 1 && len(c.plan.Nodes) > 1 {
		return false
	}
	for i := range c.plan.Nodes {
		if id := c.plan.Nodes[i].ID; !follows[id] && (i < node || schemas.Misspelt(n.ID, id)) {
			return false
		}
	}
	return true
}

func (c *compiler) nodeNames() []string {
	names := make([]string, 0, len(c.ids))
	for id, i := range c.ids {
		if c.plan.Nodes[i].ID != unreadNode(i) {
			names = append(names, id)
		}
	}
	slices.Sort(names)
	return names
}

// wire builds the program and reports the strings that cannot be read. Nodes that it cannot connect are reported by the
// stages that know why; false means only that the rest cannot be checked.
func (c *compiler) wire() bool {
	d := Definition{Plan: c.plan, Pins: c.pins}
	if c.lim.MaxItems != DefaultLimits().MaxItems {
		d.MaxItems = c.lim.MaxItems
	}
	b := newBuilder(d, c.lim)
	b.sub = func(node int) *Program { return c.subs[node] }
	p := b.program
	p.language, p.checks = c.shared()
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
		s.Pointer = c.base + s.Pointer
		f := c.out.errorf(s.Code, s.Pointer, "%s", place(s.Source, s.At, s.Message))
		if s.Code == expr.CodeSyntax && strings.Count(s.Source, "${") == 1 && !strings.Contains(s.Source, "}") {
			f.Fix = []schemas.PatchOp{c.fixText(s.Pointer, s.Source, func(text string) string { return text + "}" })}
		}
	}
	c.prog = p
	return true
}

// place adds to a message where in a string the fault is.
func place(source string, at int, message string) string {
	if at > len(source) {
		at = len(source)
	}
	return fmt.Sprintf("%s (character %d of %q)", message, len([]rune(source[:at]))+1, expr.Shorten(source))
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

// cycles connects the nodes and reports dependency cycles.
func (c *compiler) cycles() {
	b := &builder{program: c.prog, lim: c.lim}
	if err := b.connect(); err != nil {
		if c.out.errors == 0 {
			c.out.errorf(codeTooManyRefs, c.base+"/nodes", "the plan cannot be ordered: %v", err)
		}
		return
	}
	for _, cycle := range findCycles(c.prog.Nodes, 5) {
		if c.undoneTooEarly(cycle) {
			continue
		}
		first := cycle[len(cycle)-1]
		c.out.errorf(codeCycle, c.at(first), "these nodes wait for each other, which is a cycle: %s; %s. A loop is no cycle of nodes: one call is "+
			"made again with repeat, and for each item of a list with for_each", cyclePath(c.prog.Nodes, cycle), c.cut(cycle))
	}
}

// undoneTooEarly reports a compensation that reads what runs after its node, which would otherwise show as a cycle.
func (c *compiler) undoneTooEarly(cycle []int) bool {
	for k, i := range cycle {
		needs := cycle[(k+1)%len(cycle)]
		n, id := &c.prog.Nodes[i], c.prog.Nodes[needs].ID
		if n.Compensate == nil || slices.Contains(c.plan.Nodes[i].DependsOn, id) {
			continue
		}
		at := ""
		elsewhere := false
		for _, t := range n.templates(&c.plan.Nodes[i]) {
			for h := range t.template.Placeholders() {
				switch {
				case !slices.Contains(slices.Collect(h.Nodes()), id):
				case t.may&readsSelf != 0:
					at = t.at + h.At
				default:
					elsewhere = true
				}
			}
		}
		if at != "" && !elsewhere {
			c.out.errorf(codeCycle, c.at(i)+at,
				"the compensation of %q reads %q, which runs after it (%s); it may read nodes.%s itself and what ran "+
					"before it",
				n.ID, id, cyclePath(c.prog.Nodes, cycle), n.ID)
			return true
		}
	}
	return false
}
