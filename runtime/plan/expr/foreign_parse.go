package expr

import (
	"slices"
	"strings"
)

// foreignParser reads an expression in any mixture of this language and those that authors know. What is an operator of another language
// becomes the one here; forms that take more than that stay in the tree (see tree).
type foreignParser struct {
	source string
	tokens []token
	at     int
	depth  int
	bad    bool
	signed bool     // an operand of a sign is read: filters are applied to both
	said   []string // what was replaced
	stuck  []string // what has no form here
}

// maxForeignDepth bounds the nesting of what is read.
const maxForeignDepth = 100

// parseForeign reads source[from:to]; nil: it is no expression.
func parseForeign(source string, from, to int, comments bool) (*tree, *foreignParser) {
	p := &foreignParser{source: source}
	return p.part(from, to, comments), p
}

// part reads another part of the source.
func (p *foreignParser) part(from, to int, comments bool) *tree {
	tokens, ok := foreignTokens(p.source[from:to], comments)
	if !ok || p.depth > maxForeignDepth {
		p.bad = true
		return nil
	}
	for i := range tokens {
		tokens[i].at += from
	}
	outer, at := p.tokens, p.at
	p.tokens, p.at = tokens, 0
	t := p.expression()
	if p.peek().kind != tokenEnd {
		p.bad = true
	}
	p.tokens, p.at = outer, at
	if p.bad {
		return nil
	}
	return t
}

func (p *foreignParser) peek() token { return p.tokens[min(p.at, len(p.tokens)-1)] }

func (p *foreignParser) ahead(n int) token { return p.tokens[min(p.at+n, len(p.tokens)-1)] }

func (p *foreignParser) next() token {
	t := p.peek()
	p.at++
	return t
}

// is reports whether the next token is a sign or a word, and takes it.
func (p *foreignParser) is(text string) bool {
	t := p.peek()
	if t.text != text || t.kind != tokenSign && t.kind != tokenIdent {
		return false
	}
	p.at++
	return true
}

func (p *foreignParser) want(text string) {
	if !p.is(text) {
		p.bad = true
	}
}

func (p *foreignParser) say(said string) { p.said = appendOnce(p.said, said) }

func (p *foreignParser) lost(sentence string) { p.stuck = appendOnce(p.stuck, sentence) }

// node makes a tree that ends before the next token.
func (p *foreignParser) node(op string, from int, kids ...*tree) *tree {
	end := p.tokens[max(0, p.at-1)]
	return &tree{op: op, kids: kids, from: from, to: end.at + len(end.text)}
}

func (p *foreignParser) fail() *tree {
	p.bad = true
	return leaf("literal", "null")
}

// expression reads a lambda, a conditional of C or of Python, or less.
func (p *foreignParser) expression() *tree {
	if p.depth++; p.depth > maxForeignDepth || p.bad {
		return p.fail()
	}
	signed := p.signed
	p.signed = false
	defer func() { p.depth, p.signed = p.depth-1, signed }()
	from := p.peek().at
	if p.peek().kind == tokenIdent && p.peek().text == "lambda" && p.ahead(1).kind == tokenIdent {
		p.at++
		var kids []*tree
		for ok := true; ok && !p.bad; ok = p.is(",") {
			kids = append(kids, p.name())
		}
		p.want(":")
		return p.node("=>", from, append(kids, p.expression())...)
	}
	if names := p.parameters(); names != nil {
		return p.node("=>", from, append(names, p.expression())...)
	}
	cond := p.binary(0)
	switch {
	case p.is("?"):
		yes := p.expression()
		p.want(":")
		return p.node("?:", from, cond, yes, p.expression())
	case p.is("if"):
		yes := cond
		cond = p.binary(0)
		p.want("else")
		p.say("a conditional is written c ? a : b")
		t := p.node("?:", from, cond, yes, p.expression())
		t.made = true
		return t
	}
	return cond
}

// parameters reads x => and (x, y) =>; nil: that is not what follows.
func (p *foreignParser) parameters() []*tree {
	if p.peek().kind == tokenIdent && p.ahead(1).text == "=>" {
		n := p.name()
		p.at++
		return []*tree{n}
	}
	if p.peek().text != "(" {
		return nil
	}
	k := 1
	for p.ahead(k).kind == tokenIdent && p.ahead(k+1).text == "," {
		k += 2
	}
	if p.ahead(k).kind != tokenIdent || p.ahead(k+1).text != ")" || p.ahead(k+2).text != "=>" {
		return nil
	}
	var names []*tree
	for p.at++; p.peek().text != "=>"; p.at++ {
		names = append(names, p.name())
	}
	p.at++
	return names
}

func (p *foreignParser) name() *tree {
	t := p.next()
	if t.kind != tokenIdent {
		return p.fail()
	}
	return &tree{op: "name", text: t.text, from: t.at, to: t.at + len(t.text)}
}

// operatorSaid are the sentences on operators that have another name here.
var operatorSaid = map[string]string{
	"and": "\"and\" is written &&", "AND": "\"AND\" is written &&", "OR": "\"OR\" is written ||",
	"NOT": "\"NOT\" is written !", "or": "\"or\" is written ||", "not": "\"not\" is written !", "===": "\"===\" is written ==",
	"!==": "\"!==\" is written !=",
	"<>":  "\"<>\" is written !=", "=": "a comparison is written ==, not =", "is": "\"is\" is written ==",
	"is not": "\"is not\" is written !=", "not in": "\"a not in b\" is written !(a in b)",
	"~": "texts are joined with +",
}

// levels are the operators with two operands, the loosest first; the value is the one here.
var levels = []map[string]string{
	{"||": "||", "or": "||", "OR": "||", "??": "??"},
	{"&&": "&&", "and": "&&", "AND": "&&"},
	{"==": "==", "!=": "!=", "===": "==", "!==": "!=", "<>": "!=", "=": "==", "<": "<", "<=": "<=", ">": ">", ">=": ">=",
		"in": "in", "not in": "in", "is": "==", "is not": "!=", "LIKE": "like", "like": "like"},
	{"+": "+", "-": "-", "~": "+"},
	{"*": "*", "/": "/", "%": "%", "//": "//"},
	{"**": "**"},
}

const comparing = 2 // the level of comparisons

// operator reads an operator of a level.
func (p *foreignParser) operator(level int) (word, here string, ok bool) {
	t := p.peek()
	if t.kind != tokenSign && t.kind != tokenIdent {
		return "", "", false
	}
	word = t.text
	words := 1
	if second := p.ahead(1); second.kind == tokenIdent && (word == "is" && second.text == "not" || word == "not" && second.text == "in") {
		word, words = word+" "+second.text, 2
	}
	if here, ok = levels[level][word]; ok {
		p.at += words
	}
	return word, here, ok
}

func (p *foreignParser) binary(level int) *tree {
	if level == len(levels) {
		return p.unary()
	}
	from := p.peek().at
	if level == comparing && p.peek().kind == tokenIdent && strings.EqualFold(p.peek().text, "not") {
		p.at++
		if p.depth++; p.depth > maxForeignDepth {
			return p.fail()
		}
		of := p.binary(level)
		p.depth--
		p.say(operatorSaid["not"])
		t := p.node("!", from, of)
		t.made = true
		return t
	}
	left := p.binary(level + 1)
	var last *tree // the right side of a comparison before
	for !p.bad {
		word, here, ok := p.operator(level)
		if !ok {
			return left
		}
		if (word == "is" || word == "is not") && p.jinjaTest(&left, from, word == "is not") {
			continue
		}
		right := p.binary(level + 1)
		t := p.node(here, from, left, right)
		if said := operatorSaid[word]; said != "" {
			p.say(said)
			t.made, t.text = true, word
		}
		if word == "not in" {
			t = made("!", t)
		}
		if last != nil && strings.ContainsAny(here, "<>") && strings.ContainsAny(left.op, "<>&") {
			p.say("a < b < c is written a < b && b < c")
			t = made("&&", left, made(here, last, right))
		}
		if level == comparing {
			last = right
		}
		t.from, t.to = from, right.to
		left = t
	}
	return left
}

// jinjaTest reads what follows "is" where that is a test of Jinja.
func (p *foreignParser) jinjaTest(left **tree, from int, not bool) bool {
	t := p.peek()
	if t.kind != tokenIdent || !slices.Contains([]string{"defined", "undefined", "none", "empty", "null"}, t.text) {
		return false
	}
	p.at++
	of := *left
	var test *tree
	switch t.text {
	case "defined", "undefined":
		p.say("what may be missing is tested with has(a.b)")
		if test = made("()", nil, of); t.text == "undefined" {
			not = !not
		}
		test.text = "has"
	case "empty":
		p.say("what is empty has size(a) == 0")
		size := made("()", nil, of)
		size.text = "size"
		test = made("==", size, leaf("literal", "0"))
	default:
		p.say(operatorSaid["is"])
		test = made("==", of, leaf("name", "null"))
	}
	if not {
		test = negated(test)
	}
	test.from, test.to = from, t.at+len(t.text)
	*left = test
	return true
}

// negated is the opposite of a condition.
func negated(t *tree) *tree {
	switch t.op {
	case "==":
		return made("!=", t.kids...)
	case "!=":
		return made("==", t.kids...)
	case "!":
		return t.kids[0]
	}
	return made("!", t)
}

func (p *foreignParser) unary() *tree {
	t := p.peek()
	if p.depth++; p.depth > maxForeignDepth || p.bad {
		return p.fail()
	}
	defer func() { p.depth-- }()
	switch {
	case t.kind == tokenSign && t.text == "!":
		p.at++
		return p.node("!", t.at, p.unary())
	case t.kind == tokenSign && (t.text == "-" || t.text == "+"):
		p.at++
		signed := p.signed
		p.signed = true
		of := p.unary()
		p.signed = signed
		n := p.node("-", t.at, of)
		if t.text == "+" {
			p.say("a text becomes a number with double(a)")
			n = made("()", nil, of)
			n.text, n.from, n.to = "double", t.at, of.to
		}
		for !p.signed && p.peek().kind == tokenSign && p.peek().text == "|" && !p.bad {
			n = p.filter(n, t.at)
		}
		return n
	case t.kind == tokenSign && (t.text == "..." || t.text == "*" && p.at > 0 && slices.Contains([]string{"(", ","}, p.tokens[p.at-1].text)):
		p.at++
		return p.node("...", t.at, p.unary())
	case t.kind == tokenIdent && (t.text == "await" || t.text == "new") && p.ahead(1).kind == tokenIdent:
		p.at++
		of := p.unary()
		p.say("\"" + t.text + "\" is not needed")
		of.made = true
		return of
	case t.kind == tokenIdent && t.text == "typeof" && p.ahead(1).kind == tokenIdent:
		p.at++
		return p.node("typeof", t.at, p.unary())
	}
	return p.postfix()
}
