package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// The operands of expressions are checked against what is known of the values that they read. What is not known is not reported.

// nodeStatuses are what nodes.<id>.status can be, in the order in which messages name them.
var nodeStatuses = []schemas.NodeStatus{
	schemas.NodeSucceeded, schemas.NodeFailed, schemas.NodeSkipped, schemas.NodeCancelled, schemas.NodeCompensated,
	schemas.NodePending, schemas.NodeReady, schemas.NodeRunning, schemas.NodeBackingOff, schemas.NodeHeld, schemas.NodeCompensating,
}

// operands checks the operations of an expression, and what it reads of the elements of lists.
func (c *compiler) operands(s site, facts expr.Facts) {
	before := len(c.out.list)
	for _, r := range facts.Elements {
		if c.elementOf(s, r); len(c.out.list) > before {
			break // one finding for each place is enough
		}
	}
	var wrong []wrongWord
	for i := range facts.Operations {
		o := &facts.Operations[i]
		if w := c.impossible(s, o); len(w) > 0 {
			wrong = append(wrong, w...)
		} else if !c.together(s, o) {
			break
		}
	}
	c.reportWords(s, wrong)
	for i := range facts.Arguments {
		if len(c.out.list) > before || !c.taken(s, &facts.Arguments[i]) {
			break
		}
	}
}

// taken reports a function that takes no value of the type that it is given; false: it did.
func (c *compiler) taken(s site, a *expr.Argument) bool {
	types := c.operandTypes(s, &expr.Operand{Path: a.Path})
	known := slices.ContainsFunc(types, func(t string) bool { return t != "null" })
	if !known || slices.ContainsFunc(types, func(t string) bool { return slices.Contains(a.Takes, kindOf(t)) }) {
		return true
	}
	what := "it takes " + strings.Join(a.Takes, " or ")
	if len(a.Takes) == 0 {
		what = "it takes a time or a duration: write timestamp(…) or duration(…) around it"
	}
	c.out.errorf(codeWrongOperand, s.at, "%s is %s, which %s does not take; %s, in ${%s}",
		a.Path, strings.Join(types, " or "), a.Function, what, expr.Shorten(s.Text))
	return false
}

// elementOf checks what is read of the elements of a list.
func (c *compiler) elementOf(s site, r expr.Read) {
	if r.Guarded {
		return
	}
	p := r.Path
	switch p.Root {
	case "item":
		if s.may&readsItem != 0 {
			c.follow(s, r, 0, c.itemShape(s.node), "the item")
		}
	case "output", "previous":
		if s.may&readsRound != 0 && (p.Root == "previous" || s.may&readsAnswer != 0) {
			c.follow(s, r, 0, c.outputShape(s.node), "the output of "+c.outputOf(s.node))
		}
	case "nodes":
		if i, ok := c.ids[p.NodeID()]; ok && len(p.Steps) > 2 {
			c.followMember(s, r, i)
		}
	}
}

// operandTypes are the JSON types that an operand can have; none: they are not known.
func (c *compiler) operandTypes(s site, o *expr.Operand) []string {
	p := o.Path
	switch p.Root {
	case "":
		switch {
		case len(o.Of) > 0 && !slices.ContainsFunc(o.Of, func(of expr.Operand) bool { return !c.isInteger(s, &of) }):
			return []string{"integer"}
		case o.Type != "":
			return []string{o.Type}
		}
		return nil
	case "inputs":
		if slices.ContainsFunc(p.Steps, func(s expr.Step) bool { return s.Index >= 0 }) {
			return nil // elements of a list that is given may differ
		}
	case "nodes":
		if c.mayFallBack(p) {
			return nil
		}
	case "output", "previous":
		if s.node >= 0 && s.may&readsRound != 0 && len(c.plan.Nodes[s.node].Fallback) > 0 {
			return nil
		}
	}
	return c.typesOf(&expr.Placeholder{Plain: true, Path: p}, s.node, s.may)
}

// isInteger reports whether an operand is certainly a whole number.
func (c *compiler) isInteger(s site, o *expr.Operand) bool {
	types := c.operandTypes(s, o)
	return len(types) == 1 && types[0] == "integer"
}

// mayFallBack reports whether a path reads the output of a node whose fallback gives something else.
func (c *compiler) mayFallBack(p expr.Path) bool {
	i, ok := c.ids[p.NodeID()]
	return !ok || len(p.Steps) > 1 && p.Steps[1].Key == "output" && len(c.plan.Nodes[i].Fallback) > 0
}

// kindOf is the type as operators see it: they mix integers and doubles.
func kindOf(jsonType string) string {
	if jsonType == "integer" {
		return "number"
	}
	return jsonType
}

// takes says which types an operator takes on both sides; it takes the same ones on either.
var takes = map[string][]string{
	"+": {"number", "string", "array"}, "-": {"number"}, "*": {"number"}, "/": {"number"}, "%": {"number"},
	"<": {"number", "string", "boolean"}, "<=": {"number", "string", "boolean"},
	">": {"number", "string", "boolean"}, ">=": {"number", "string", "boolean"},
}

// together reports an operation whose operands have types that do not go together; false: it did.
func (c *compiler) together(s site, o *expr.Operation) bool {
	left, right := c.operandTypes(s, &o.Left), c.operandTypes(s, &o.Right)
	if len(left) == 0 || len(right) == 0 {
		return true
	}
	if o.Operator == "/" && !o.Whole && c.isInteger(s, &o.Left) && c.isInteger(s, &o.Right) {
		c.out.warnf(codeWrongOperand, s.at, "of whole numbers / gives the whole part of the quotient, without the fraction: write double(a) / b for "+
			"all of it, or int(a / b) where the whole part is meant, in ${%s}", expr.Shorten(s.Text))
		return true
	}
	for _, l := range left {
		for _, r := range right {
			l, r := kindOf(l), kindOf(r)
			switch o.Operator {
			case "==", "!=":
				if l == r || l == "null" || r == "null" {
					return true
				}
			case "in":
				if r == "array" || r == "object" {
					return true
				}
			default:
				if l == r && slices.Contains(takes[o.Operator], l) {
					return true
				}
			}
		}
	}
	sides := fmt.Sprintf("%s is %s and %s is %s", operandName(&o.Left, "the left side"), strings.Join(left, " or "),
		operandName(&o.Right, "the right side"), strings.Join(right, " or "))
	if c.comparedText(s, o, left, right, sides) {
		return false
	}
	switch o.Operator {
	case "==", "!=":
		f := c.out.warnf(codeWrongOperand, s.at, "%s: they are never equal; convert one with string(…), int(…) or double(…), in ${%s}",
			sides, expr.Shorten(s.Text))
		if c.isReview(o.Left.Path) || c.isReview(o.Right.Path) {
			f.Message += ". What a person decided is output.decision of a review; a rejected one fails its node, so what depends on it is skipped without " +
				"a condition: depends_on is enough"
		}
	default:
		c.out.errorf(codeWrongOperand, s.at, "%s, which %s does not take; convert with string(…), int(…) or double(…), in ${%s}",
			sides, o.Operator, expr.Shorten(s.Text))
	}
	return false
}

// comparedText reports a number or a truth value that is compared with a text that is written out; the fix takes the quotes off.
func (c *compiler) comparedText(s site, o *expr.Operation, left, right []string, sides string) bool {
	text, types := o.Right.Texts, left
	if len(text) == 0 {
		text, types = o.Left.Texts, right
	}
	if len(text) != 1 || len(types) != 1 || o.Operator == "in" || takes[o.Operator] != nil && !slices.Contains([]string{"<", "<=", ">", ">="}, o.Operator) {
		return false
	}
	plain := strings.ToLower(strings.TrimSpace(text[0].Text))
	switch kindOf(types[0]) {
	case "boolean":
		if plain != "true" && plain != "false" || o.Operator != "==" && o.Operator != "!=" {
			return false
		}
	case "number":
		if t, err := document.Parse(plain); err != nil || t.Kind != '0' {
			return false
		}
	default:
		return false
	}
	f := c.out.errorf(codeWrongOperand, s.at, "%s: write %s, without quotes, in ${%s}", sides, plain, expr.Shorten(s.Text))
	at, end := text[0].At, text[0].At+len(text[0].Text)+2
	if end > len(s.Text) || s.Text[at+1:end-1] != text[0].Text || strings.Count(c.textAt(s), s.Text) != 1 {
		return true
	}
	edited := s.Text[:at] + plain + s.Text[end:]
	f.Fix = []schemas.PatchOp{c.fixText(s.at, s.Source, func(text string) string { return strings.Replace(text, s.Text, edited, 1) })}
	return true
}

// isReview reports whether a path leads to what a person answered.
func (c *compiler) isReview(p expr.Path) bool {
	i, ok := c.ids[p.NodeID()]
	return ok && c.plan.Nodes[i].Review != nil
}

func operandName(o *expr.Operand, side string) string {
	if o.Path.Root != "" {
		return o.Path.String()
	}
	return side
}

// wrongWord is a constant that a value is compared with and never is.
type wrongWord struct {
	expr.Constant
	of    expr.Path
	words []string // that it can be
	means string   // the one that is meant; empty: it is not evident
	ours  bool     // the words are those of statuses
}

// impossible are the constants of an operation that the other side can never be.
func (c *compiler) impossible(s site, o *expr.Operation) []wrongWord {
	read, texts := &o.Left, o.Right.Texts
	switch {
	case o.Operator != "==" && o.Operator != "!=" && o.Operator != "in":
		return nil
	case len(texts) == 0 && o.Operator != "in":
		read, texts = &o.Right, o.Left.Texts
	}
	words, ours := c.wordsOf(s, read)
	if len(words) == 0 {
		return nil
	}
	var wrong []wrongWord
	for _, t := range texts {
		if !slices.Contains(words, t.Text) {
			wrong = append(wrong, wrongWord{t, read.Path, words, meantWord(t.Text, words, ours), ours})
		}
	}
	return wrong
}

// wordsOf are the texts that a value can be; none: any. ours reports whether it is the status of a node.
func (c *compiler) wordsOf(s site, o *expr.Operand) (words []string, ours bool) {
	p := o.Path
	if p.Root == "nodes" && len(p.Steps) == 2 && p.Steps[1].Key == "status" {
		for _, status := range nodeStatuses {
			words = append(words, string(status))
		}
		return words, true
	}
	if p.Root == "" || p.Root == "nodes" && c.mayFallBack(p) {
		return nil, false
	}
	at := c.shapeOf(p, s.node, s.may)
	if at.at == nil {
		return nil, false
	}
	enum := at.at.Get("enum")
	if enum == nil || enum.Kind != '[' {
		return nil, false
	}
	for i := range enum.Items {
		if enum.Items[i].Kind == '"' {
			words = append(words, enum.Items[i].Text())
		}
	}
	return words, false
}

// meantWord is the word that another spelling, or for a status the word of another system, evidently means.
func meantWord(text string, words []string, ours bool) string {
	folded := foldWord(text)
	if status, ok := statusWords[folded]; ok && ours {
		return string(status)
	}
	means := ""
	for _, word := range words {
		if foldWord(word) == folded {
			if means != "" {
				return ""
			}
			means = word
		}
	}
	return means
}

func foldWord(word string) string {
	return strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(word))
}

// reportWords reports the constants of one expression together; the fix writes the words that are meant.
func (c *compiler) reportWords(s site, wrong []wrongWord) {
	if len(wrong) == 0 {
		return
	}
	first := &wrong[0]
	severity, what := schemas.SeverityWarning, expr.NameList(first.words, 11)
	if first.ours {
		severity = schemas.SeverityError
	}
	f := c.out.add(severity, codeWrongOperand, s.at, "%s is never %s: it is one of %s, in ${%s}",
		first.of, schemas.Quote(first.Text, 40), what, expr.Shorten(s.Text))
	if c.isReview(first.of) && len(first.of.Steps) > 2 && first.of.Steps[2].Key == "decision" {
		f.Message += ". " + sayRejected
		return // which choice was taken is no decision
	}
	edited := s.Text
	slices.SortFunc(wrong, func(a, b wrongWord) int { return b.At - a.At })
	for i := range wrong {
		w := &wrong[i]
		end := w.At + len(w.Text) + 2
		if w.means == "" || end > len(edited) || edited[w.At+1:end-1] != w.Text {
			return // not all of them can be mended
		}
		edited = edited[:w.At+1] + w.means + edited[end-1:]
	}
	if before := c.textAt(s); strings.Count(before, s.Text) == 1 {
		f.Fix = []schemas.PatchOp{c.fixText(s.at, s.Source, func(text string) string { return strings.Replace(text, s.Text, edited, 1) })}
	}
}

// textAt is the string that holds an expression, as the fixes so far leave it.
func (c *compiler) textAt(s site) string {
	if text, ok := c.texts[s.at]; ok {
		return text
	}
	return s.Source
}
