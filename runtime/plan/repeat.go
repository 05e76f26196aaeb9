package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// The rounds of a node with repeat.
const (
	maxRounds     = 10_000
	defaultRounds = 1000
	defaultEvery  = "5s"
)

// Repeat is how the call of a node is made again: each time with all of its retries. Its expressions read the answer of the round as
// output, that of the round before as previous, and the number of the round as index.
type Repeat struct {
	Until   *expr.Template
	Every   *expr.Template   // a string: a duration
	Collect *expr.Template   // nil: the output is the last answer
	Timeout schemas.Duration // no round starts later than this after the first one; 0: no limit
	Max     int              // most rounds
}

// Pause reads what [Repeat].Every gives.
func Pause(text string) (time.Duration, error) {
	d, err := schemas.ParseDuration(text)
	switch longest := DefaultLimits().MaxDuration; {
	case err != nil:
		return 0, schemas.Errorf(schemas.CodeExpressionError, "repeat.every: %v", err).
			WithHint("every is a duration such as 10s; a number gets its unit in the text, as in \"${output.wait}s\"")
	case d < 0:
		return 0, schemas.Errorf(schemas.CodeExpressionError, "repeat.every: %s is less than 0", d)
	case d > longest:
		return 0, schemas.Errorf(schemas.CodeExpressionError, "repeat.every: %s is longer than the longest allowed, %s", d, longest)
	}
	return d.Std(), nil
}

// repeat resolves repeat.
func (b *builder) repeat(n *Node, from *schemas.Node, at string) {
	r := from.Repeat
	if r == nil {
		return
	}
	at += "/repeat"
	every := defaultEvery
	n.Repeat = &Repeat{Until: b.text(r.Until, at+"/until"), Timeout: r.Timeout, Max: cmp.Or(r.Max, defaultRounds)}
	if r.Collect != "" {
		every = "0s"
		n.Repeat.Collect = b.text(r.Collect, at+"/collect")
	}
	n.Repeat.Every = b.text(cmp.Or(r.Every, every), at+"/every")
}

// rounds is how often the call is made at most if no attempt fails.
func (n *Node) rounds() int {
	if n.Repeat == nil {
		return 1
	}
	return n.Repeat.Max
}

const sayRepeat = "a node makes its call again by repeat: {until: \"${output.status == 'done'}\", every: 10s}"

// repeat reads {until, every, timeout, max, collect, once}.
func (d *decoder) repeat(to **schemas.Repeat, v *document.Tree, at string) {
	if v.Kind != '{' {
		f := d.wrong(v, at, `an object with until, such as {until: "${output.status == 'done'}", every: 10s}`)
		if n, err := strconv.Atoi(v.Raw); err == nil && n > 0 {
			f.Message += fmt.Sprintf("; %d rounds are until: \"${index >= %d}\"", n, n-1)
		}
		return
	}
	r := new(schemas.Repeat)
	*to = r
	d.fields(r, v, at, "repeat")
	if most := v.Get("max"); most != nil && most.Kind != '0' && most.Kind != 'n' && r.Max == 0 {
		d.out.errorf(codeOutOfRange, at+"/max", "max is a number of rounds from 1 to %d", maxRounds)
	}
	if u := v.Get("until"); r.Until == "" && u != nil && u.Kind != 'n' && u.Kind != '"' {
		r.Until = "${true}" // it was refused already
	}
}

// repeat checks what a repeat says itself; what it reads is checked with the expressions.
func (c *compiler) repeat(n *schemas.Node, at string) {
	r := n.Repeat
	if r == nil {
		return
	}
	if n.ForEach != nil {
		c.out.errorf(codeMisplacedField, at+"/repeat", "for_each and repeat do not stand on one node, as index would mean two things: put the repeat into "+
			"workflow: {definition: {nodes: […]}} and keep for_each here, with inputs: {x: \"${item}\"}")
	}
	at += "/repeat"
	if !c.missing(r.Until, "until: write a condition over the answer, such as \"${output.status == 'done'}\"; a number of rounds is "+
		"until: \"${index >= 9}\"", "repeat", at) {
		c.condition("until", r.Until, at+"/until")
	}
	if r.Every != "" && !strings.Contains(r.Every, "${") {
		switch pause, err := schemas.ParseDuration(r.Every); {
		case err != nil:
			c.out.errorf(codeInvalidDuration, at+"/every", "every: %v", err)
		default:
			c.duration(at+"/every", "every", pause)
		}
	}
	c.duration(at+"/timeout", "timeout", r.Timeout)
	c.inRange(at+"/max", "max", r.Max, 1, maxRounds)
	if r.Collect == "" {
		return
	}
	if segments, fault := expr.Split(r.Collect); fault == nil && (len(segments) != 1 || !segments[0].Expression) {
		f := c.out.errorf(codeWrongType, at+"/collect", "collect takes one ${…} that each round adds to the output, such as \"${output.items}\", got the text %q",
			expr.Shorten(r.Collect))
		if whole := c.embraced(r.Collect); whole != "" && !strings.Contains(r.Collect, "${") {
			f.Fix = []schemas.PatchOp{c.fixText(at+"/collect", r.Collect, func(string) string { return whole })}
		}
	}
}

// roundsOf checks what is repeated against the effects of the live tools.
func (c *compiler) roundsOf(i int) {
	n, from, at := &c.prog.Nodes[i], &c.plan.Nodes[i], c.at(i)+"/repeat"
	if n.Repeat == nil {
		return
	}
	once := c.onceIn(n, from)
	switch {
	case len(once) == 0:
	case !from.Repeat.Once:
		c.out.errorf(codeRepeatedOnce, at, "%s has the effect \"once\": each round has it again. If that is what you want, write repeat: {once: true}",
			strings.Join(once, ", "))
	case n.Compensate != nil:
		c.out.errorf(codeRepeatedOnce, c.at(i)+"/compensate", "%s has the effect \"once\" in each round, and a compensation would undo one of them: "+
			"collect what each round made, and undo it in a node of its own, with for_each over that", strings.Join(once, ", "))
	}
}

// onceIn names what a node calls with the effect once, as far as the tools are known.
func (c *compiler) onceIn(n *Node, from *schemas.Node) (names []string) {
	if n.Kind == KindWorkflow && n.Sub == nil { // its definition is refused
		return nil
	}
	if n.Kind == KindWorkflow {
		e := schemas.Explain{}
		n.Sub.summarise(&e, from.ID+"/")
		return e.OnceNodes
	}
	if c.tools[from.Capability] != nil && n.Effect == schemas.EffectOnce {
		names = append(names, from.Capability)
	}
	for _, f := range n.Fallbacks {
		if t := f.Target; t != nil && c.tools[t.Name()] != nil && t.Effect == schemas.EffectOnce && !slices.Contains(names, t.Name()) {
			names = append(names, t.Name())
		}
	}
	return names
}

// collectedShape is what is known of the output of a node with collect.
func (c *compiler) collectedShape(node int) shape {
	var at shape
	var types []string
	if h := c.prog.Nodes[node].Repeat.Collect.Whole(); h != nil {
		types = c.typesOf(h, node, readsRound|readsAnswer)
		if h.Plain {
			at = c.shapeOf(h.Path, node, readsRound|readsAnswer)
		}
	}
	if slices.Equal(types, []string{"array"}) {
		if at.at == nil { // only the type is known
			list := object("type", text("array"))
			return shape{&list, &list}
		}
		return at
	}
	list := object("type", text("array"))
	if at.at != nil && !slices.Contains(types, "array") && len(types) > 0 {
		list.Put("items", *at.at)
		return shape{at.root, &list}
	}
	return shape{&list, &list}
}

// readsRounds checks one read of previous or output of a node with repeat.
func (c *compiler) readsRounds(s site, r expr.Read) {
	if r.Guarded {
		return
	}
	if r.Path.Root == "previous" && s.Plain && len(r.Path.Steps) > 0 && s.field != "/repeat/collect" {
		read := r.Path.String()
		f := c.out.errorf(codeUnguardedPrevious, s.at, "previous is null in the first round, so ${%s} would fail: write ${previous == null ? null : %s}",
			read, read)
		if !s.Inside {
			f.Fix = []schemas.PatchOp{c.fixText(s.at, s.Source, func(text string) string {
				return strings.Replace(text, s.Text, "previous == null ? null : "+read, 1)
			})}
		}
		return
	}
	c.follow(s, r, 0, c.outputShape(s.node), "the output of "+c.outputOf(s.node))
}

// noPrevious reports previous outside of a node with repeat.
func (c *compiler) noPrevious(s site) {
	if c.isNode("previous") {
		c.unknownRoot(s, "previous")
		return
	}
	c.out.errorf(codeMisplacedRoot, s.at, "previous is the answer of the round before in a node with repeat, which is not here: what another node gave is "+
		"nodes.<id>.output, got ${%s}", expr.Shorten(s.Text))
}
