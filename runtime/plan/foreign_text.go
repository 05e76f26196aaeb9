package plan

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// textOf is a string of a plan in which ${…} is read, and where it stands.
type textOf struct {
	site
	source string
	many   bool // so many of its places are reported that no more of them has a fix
}

// foreignTexts looks in every string for what other template languages read.
func (c *compiler) foreignTexts() {
	value := func(node int, raw json.RawMessage, field, at string, may reach) {
		if len(raw) == 0 {
			return
		}
		t, err := c.tree(raw)
		if err != nil {
			return
		}
		c.foreignValue(t, site{node: node, at: at, field: field, may: may}, 0)
	}
	for i := range c.plan.Nodes {
		if c.out.full() {
			return
		}
		n, at := &c.plan.Nodes[i], c.at(i)
		item := around(n)
		if n.ForEach != nil {
			if t, err := document.Parse(string(n.ForEach.Items)); err == nil && t.Kind == '[' {
				value(i, json.RawMessage(n.ForEach.Items), itemsAt(n), at+itemsAt(n), 0)
			}
		}
		value(i, json.RawMessage(n.Inputs), "/inputs", at+"/inputs", item)
		value(i, json.RawMessage(n.Set), "/set", at+"/set", item)
		if n.Review != nil {
			value(i, json.RawMessage(document.Quote(n.Review.Question)), questionAt(n), at+questionAt(n), 0)
		}
		for k := range n.Fallback {
			field := schemas.PointerToItem("/fallback", k)
			value(i, json.RawMessage(n.Fallback[k].Inputs), field+"/inputs", at+field+"/inputs", item|readsErrors)
			value(i, json.RawMessage(n.Fallback[k].Value), field+"/value", at+field+"/value", item|readsErrors)
		}
		if n.Compensate != nil {
			value(i, json.RawMessage(n.Compensate.Inputs), "/compensate/inputs", at+"/compensate/inputs", item&readsItem|readsSelf)
		}
		if n.OnUnknown != nil && n.OnUnknown.Verify != nil {
			const field = "/on_unknown/verify"
			value(i, json.RawMessage(n.OnUnknown.Verify.Inputs), field+"/inputs", at+field+"/inputs", item)
			value(i, json.RawMessage(n.OnUnknown.Verify.Output), field+"/output", at+field+"/output", item|readsOutput)
		}
	}
	value(-1, json.RawMessage(c.plan.Output), "", c.base+"/output", 0)
}

// mostPlaces is how many places of one string have a fix, which looks through all of it.
const mostPlaces = 30

// foreignText looks in one string.
func (c *compiler) foreignText(s textOf) {
	if name := strings.TrimSpace(s.source); s.may&readsItem != 0 && expr.IsName(name) && c.isItem(s.node, name) {
		f := c.out.warnf(codeForeign, s.at, "%q is sent as it is, a text: the item of for_each is ${%s}", name, name)
		if c.takesItem(s, name) {
			f.Fix = []schemas.PatchOp{c.fixText(s.at, s.source, func(string) string { return "${" + name + "}" })}
		}
		return
	}
	if name, ok := strings.CutPrefix(strings.TrimSpace(s.source), "#"); ok { // of plans that name what a step gave #E1
		if id, ok := (meant{c, s.site}).nodeLike(name); ok && s.node >= 0 && id != c.plan.Nodes[s.node].ID {
			c.out.warnf(codeForeign, s.at, "%q is sent as it is: what node %q gave is ${nodes.%[2]s.output}, as text ${nodes.%[2]s.text}", expr.Shorten(s.source), id)
			return
		}
	}
	if whole, ok := expr.WholeSpot(s.source); ok {
		if c.spot(s, whole, true) {
			return
		}
	}
	spots := expr.Spots(s.source)
	if len(spots) == 0 {
		if !strings.ContainsAny(s.source, "[<") || strings.Contains(s.source, "${") {
			return
		}
		if blank := placeholder.FindString(s.source); blank != "" {
			c.out.warnf(codeForeign, s.at, "%q looks like a place for a value and is sent as it is: a value is written ${nodes.<id>.output.x} or ${inputs.x}",
				expr.Shorten(blank))
		}
		return
	}
	if _, bad := expr.NewText(s.source, c.language(s.node), c.lim.Limits); len(bad) > 0 {
		return // reported with the other strings
	}
	said := 0
	for _, spot := range spots {
		if c.out.full() {
			return
		}
		s.many = said >= mostPlaces
		if c.spot(s, spot, strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(s.source), "=")) == s.source[spot.From:spot.To]) {
			said++
			continue
		}
		if spot.Form != "$" {
			continue
		}
		if name, _, longer := strings.Cut(spot.Inner, "."); longer && s.source[spot.From+1] != '.' { // as in $month.md
			spot.To, spot.Inner = spot.From+1+len(name), name
			if c.spot(s, spot, false) {
				said++
			}
		}
	}
}

// placeholder is a place for a value as models leave it open: [[customer name]], <tool_result:order.email>, <INSERT NAME>.
var placeholder = regexp.MustCompile(`(?i)\[\[[^\[\]\n]{1,60}\]\]|<(?:tool_result|result of|output of|value of|insert|your|replace with|placeholder|todo)\b[^<>\n]{0,60}>`)

// spot reports a place that another template language would read, and whether it did. whole: it is all of the string.
func (c *compiler) spot(s textOf, at expr.Spot, whole bool) bool {
	written := s.source[at.From:at.To]
	if at.Form == "{% %}" && !strings.HasPrefix(at.Inner, "$") {
		return c.block(s, at, written)
	}
	r := expr.Rewrite(at.Inner, meant{c, s.site})
	bare := expr.IsName(strings.TrimPrefix(at.Inner, "$"))
	names := r.Parsed && len(r.Reads) > 0 && (at.Certain || c.rooted(s.site, at))
	ours := false // one of the references is of this plan
	for _, p := range r.Reads {
		found := c.leads(s.site, p)
		names = names && found
		ours = ours || found
	}
	if at.Form == "$" && bare && strings.HasPrefix(written, "$.") {
		bare = false
	}
	with := "${" + r.Text + "}"
	if r.Whole {
		with = r.Text
	}
	if names && len(r.Stuck) == 0 && c.unusable(s.node, with) == "" {
		return c.misses(s, at, written, with, bare, whole)
	}
	switch {
	case ours && at.Form == "expression" && len(r.Stuck) == 0:
		if !c.rooted(s.site, at) {
			return false
		}
		c.out.warnf(codeForeign, s.at, "%q is sent as it is: as an expression it would be %s, where %s", expr.Shorten(written),
			expr.Shorten(with), c.unusable(s.node, with))
	case ours && at.Form == "{ }" && len(r.Stuck) == 0 && c.isNode(words.FindString(strings.SplitN(at.Inner, ".", 2)[0])):
		c.out.warnf(codeForeign, s.at, "%q is sent as it is: if it stands for a value of this plan, write %s", expr.Shorten(written), expr.Shorten(with))
	case ours && len(r.Stuck) > 0 && at.Certain && at.Form != "bare":
		c.out.errorf(codeForeign, s.at, "%q is not read: %s", expr.Shorten(written), strings.Join(r.Stuck, "; "))
	case ours && len(r.Stuck) > 0:
		c.out.warnf(codeForeign, s.at, "%q is sent as it is: %s", expr.Shorten(written), strings.Join(r.Stuck, "; "))
	case !at.Certain || at.Form == "bare":
		return false
	case len(r.Stuck) > 0 && c.mentions(at.Inner):
		c.out.errorf(codeForeign, s.at, "%q is not read: %s; a value is written ${nodes.<id>.output.x} or ${inputs.x}", expr.Shorten(written),
			strings.Join(r.Stuck, "; "))
	case len(r.Stuck) > 0 && environment.MatchString(at.Inner):
		c.out.errorf(codeForeign, s.at, "%q is not read: %s", expr.Shorten(written), strings.Join(r.Stuck, "; "))
	case whole && !expr.IsName(at.Inner) && !dotted.MatchString(at.Inner):
		c.out.errorf(codeForeign, s.at, "%q is of another template language: a value is written ${nodes.<id>.output.x} or ${inputs.x}, and text that "+
			"is meant as it is ${%s}", expr.Shorten(written), schemas.Quote(written, 60))
	default:
		c.out.warnf(codeForeign, s.at, "%q names nothing of this plan and is sent as it is: a value is written ${nodes.<id>.output.x} or ${inputs.x}",
			expr.Shorten(written))
	}
	return true
}

// mentions reports whether a text has the id of a node, or the name of an input.
func (c *compiler) mentions(text string) bool {
	return slices.ContainsFunc(identifiers.FindAllString(text, -1), func(word string) bool { return c.isNode(word) || (meant{compiler: c}).isInput(word) })
}

// identifiers are the names in a text.
var identifiers = regexp.MustCompile(`[A-Za-z_]\w*`)

// rooted reports whether a place begins with a name that says that it is a reference: a file may be called like a node.
func (c *compiler) rooted(s site, at expr.Spot) bool {
	if at.Form == "$" || at.Form == "@" || at.Form == "f\"\"" || at.Form == "=" && strings.ContainsAny(at.Inner, ".") {
		return true
	}
	if at.Form == "expression" {
		return slices.ContainsFunc(words.FindAllString(at.Inner, -1), func(word string) bool {
			return strings.Contains(word, ".") && c.rooted(s, expr.Spot{Inner: word, Form: "bare"})
		}) || strings.Contains(at.Inner, "?.") || strings.Contains(at.Inner, "??")
	}
	root, steps, ok := expr.PathAsWritten(at.Inner)
	if !ok { // what follows the names is no constant
		root, steps, _ = expr.PathAsWritten(words.FindString(at.Inner))
	}
	rest := strings.TrimPrefix(expr.StepsString(steps), ".")
	_, foreign := foreignRoots[root]
	_, context := contexts[root]
	m := meant{c, s}
	if expr.IsName(at.Inner) {
		return m.isInput(root) || c.isNode(root)
	}
	member, after, quoted := "", "", len(steps) > 0 && steps[0].Index < 0 && strings.ContainsAny(at.Inner, "'\"")
	if len(steps) > 0 && steps[0].Index < 0 {
		member, after = steps[0].Key, expr.StepsString(steps[1:])
	}
	if foreign { // a file may be called state.json
		_, isNode := m.nodeLike(member)
		_, inner := foreignRoots[member]
		foreign = isNode && (after != "" || quoted) || m.isInput(member) || inner && after != "" || member == "nodes" || member == "inputs" || m.local(root)
	}
	if slices.Contains(framed, at.Form) && (c.isNode(root) || m.isInput(root)) {
		return true
	}
	return root == "nodes" || root == "inputs" || m.local(root) || foreign || context && rest != "" ||
		c.isNode(root) && (member == "output" || member == "outputs" || quoted)
}

// framed are the forms whose frame shows that a name within it is read.
var framed = []string{"<< >>", "[% %]", "$[ ]", "(( ))", "{! }"}

// dotted is a name with members, as templates for mails have.
var dotted = regexp.MustCompile(`^[A-Za-z_][\w.-]*$`)

// misses reports a place that names something of this plan without ${…}.
func (c *compiler) misses(s textOf, at expr.Spot, written, with string, bare, whole bool) bool {
	severity := schemas.SeverityError
	switch {
	case at.Form == "expression":
		severity = schemas.SeverityWarning
	case bare && s.many:
		severity = schemas.SeverityWarning
	case bare && (at.Form == "{ }" || at.Form == "$" || at.Form == "$( )"):
		// The name of an input may be one of a script's, a format's or a URL's.
		if at.Form != "$" || strings.Contains(s.source, "\n") || strings.Contains(s.source, strings.TrimPrefix(at.Inner, "$")+"=") {
			c.out.warnf(codeForeign, s.at, "%q is sent as it is: if it stands for a value of this plan, write %s", expr.Shorten(written), with)
			return true
		}
		severity = schemas.SeverityWarning
	case bare:
		severity = schemas.SeverityWarning
	}
	f := c.out.add(severity, codeForeign, s.at, "%q is not read: a value is written in ${…}: write %s", expr.Shorten(written), with)
	if s.many {
		return true
	}
	f.Fix = []schemas.PatchOp{c.fixText(s.at, s.source, func(text string) string { return putInto(text, written, with) })}
	return true
}

// putInto replaces a place in a string that other fixes may have changed.
func putInto(text, written, with string) string {
	for _, spot := range expr.Spots(text) {
		if found := text[spot.From:spot.To]; found == written || spot.Form == "$" && strings.HasPrefix(found, written+".") {
			return text[:spot.From] + with + text[spot.From+len(written):]
		}
	}
	if text == written {
		return with
	}
	return text
}

// words are names with members in a block of a template.
var words = regexp.MustCompile(`[A-Za-z_$][\w$]*(?:\.[A-Za-z_]\w*)*`)

// block reports a statement of a template language.
func (c *compiler) block(s textOf, at expr.Spot, written string) bool {
	add := c.out.warnf
	for _, word := range words.FindAllString(at.Inner, -1) {
		r := expr.Rewrite(word, meant{c, s.site})
		if len(r.Reads) == 1 && c.leads(s.site, r.Reads[0]) {
			add = c.out.errorf
		}
	}
	add(codeForeign, s.at, "%q is not read, there are no statements in texts: write ${c ? a : b} for a condition, "+
		"${l.map(x, x.name).join(\", \")} for a list",
		expr.Shorten(written))
	return true
}

// leads reports whether a path leads to something of this plan.
func (c *compiler) leads(s site, p expr.Path) bool {
	m := meant{c, s}
	switch p.Root {
	case "inputs":
		if len(p.Steps) == 0 || !m.isInput(p.Steps[0].Key) {
			return false
		}
		at := c.inputs
		for _, step := range p.Steps {
			if at.Kind == 'n' {
				return true // a null stands for a value that comes with the call
			}
			if at = step.In(at); at == nil {
				return false
			}
		}
		return true
	case "nodes":
		i, ok := c.ids[p.NodeID()]
		return ok && i != s.node && len(p.Steps) > 1
	case "execution":
		return len(p.Steps) == 1
	case expr.Secret:
		return p.SecretName() != ""
	}
	return m.local(p.Root) && (len(p.Steps) > 0 || p.Root == "item" || m.ownName(p.Root))
}

// embraced puts a condition or a list of another language into ${…}; empty: it is no expression.
func (c *compiler) embraced(text string) string {
	inner := expr.Unwrapped(text)
	r := expr.Rewrite(inner, expr.AsWritten{})
	if !r.Parsed || len(r.Stuck) > 0 || r.Whole {
		return ""
	}
	if p, plain := expr.ParsePath(r.Text); plain && len(p.Steps) > 0 {
		return fmt.Sprintf("${%s}", r.Text)
	}
	_, faults := expr.NewEvaluator(c.lim.Limits).Check(r.Text)
	for _, f := range faults {
		if f.Code != expr.CodeUnknownRoot {
			return ""
		}
	}
	if _, plain := expr.ParsePath(r.Text); plain && inner == strings.TrimSpace(text) {
		return "" // one word
	}
	return fmt.Sprintf("${%s}", r.Text)
}
