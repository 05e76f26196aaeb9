package expr

import (
	"slices"
	"strconv"
	"strings"
)

// postfix reads a value and what follows it: members, keys, calls and filters.
func (p *foreignParser) postfix() *tree {
	from := p.peek().at
	t := p.primary()
	for !p.bad {
		next := p.peek()
		if next.kind != tokenSign {
			return t
		}
		switch next.text {
		case "?": // of Azure, ?['a']
			if p.ahead(1).text != "[" || !namesNode(t) {
				return t
			}
			p.at += 2
			t = p.key(t, from)
			t.made = true
		case ".", "?.":
			p.at++
			t = p.member(t, from, next.text == "?.")
		case "[":
			p.at++
			t = p.key(t, from)
		case "(":
			if t.op != "name" && t.op != "." {
				return p.fail()
			}
			p.at++
			args := p.list(")")
			call := p.node("()", from, append([]*tree{nil}, args...)...)
			call.text = t.text
			if t.op == "." {
				call.kids[0], call.safe, call.made = t.kids[0], t.safe, t.made
			}
			t = ofNode(call)
		case "|":
			if p.signed {
				return t
			}
			t = p.filter(t, from)
		case "!":
			p.at++
			p.say("a value is not marked with !")
			t.made = true
		default:
			return t
		}
	}
	return t
}

// filter reads | and the name of a filter, with its arguments.
func (p *foreignParser) filter(of *tree, from int) *tree {
	p.at++
	name := p.next()
	if name.kind != tokenIdent {
		return p.fail()
	}
	var args []*tree
	if p.is("(") {
		args = p.list(")")
	}
	f := p.node("filter", from, append([]*tree{of}, args...)...)
	f.text = name.text
	return f
}

func (p *foreignParser) member(of *tree, from int, safe bool) *tree {
	if safe && p.is("[") {
		t := p.key(of, from)
		t.safe = true
		return t
	}
	optional := p.is("?")
	name := p.next()
	if name.kind == tokenSign && name.text == "*" { // of JSONPath
		return p.node("[*]", from, of)
	}
	if name.kind != tokenIdent {
		return p.fail()
	}
	if name.text == "item" && of.op == "[]" && of.made && namesNode(of) {
		return of // the one item of n8n
	}
	t := p.node(".", from, of)
	t.text, t.safe, t.optional = name.text, safe, optional
	return t
}

// key reads what is in brackets after a value: a key, a slice, or a selection of JSONPath.
func (p *foreignParser) key(of *tree, from int) *tree {
	switch {
	case p.is("*"), p.peek().text == "]":
		p.want("]")
		return p.node("[*]", from, of)
	case p.peek().text == "?" && p.ahead(1).text == "(" || p.peek().text == "?" && p.ahead(1).kind == tokenIdent && p.ahead(1).text[0] == '@':
		p.at++
		cond := p.expression()
		p.want("]")
		return p.node("[?]", from, of, cond)
	}
	optional := p.is("?")
	var first, last *tree
	slice := false
	if p.peek().text != ":" || p.peek().kind != tokenSign {
		first = p.expression()
	}
	if p.is(":") {
		slice = true
		if p.peek().text != "]" {
			last = p.expression()
		}
	}
	p.want("]")
	if slice {
		return p.node("slice", from, of, first, last)
	}
	t := p.node("[]", from, of, first)
	t.optional = optional
	return t
}

// list reads values up to the end of the list.
func (p *foreignParser) list(end string) []*tree {
	var items []*tree
	for !p.bad {
		if p.is(end) {
			return items
		}
		if len(items) > 0 {
			p.want(",")
			if p.is(end) {
				return items
			}
		}
		from := p.peek().at
		if end == ")" && p.peek().kind == tokenIdent && p.ahead(1).kind == tokenSign && p.ahead(1).text == "=" { // an argument of Python
			name := p.name()
			p.at++
			items = append(items, p.node("named", from, name, p.expression()))
			continue
		}
		item := p.expression()
		if p.is("for") {
			item = p.comprehension(item, from)
		}
		items = append(items, item)
	}
	return items
}

// comprehension reads what follows "for" in [e for x in l if c].
func (p *foreignParser) comprehension(e *tree, from int) *tree {
	x := p.name()
	p.want("in")
	l := p.binary(0)
	var c *tree
	if p.is("if") {
		c = p.binary(0)
	}
	return p.node("each", from, e, x, l, c)
}

func (p *foreignParser) primary() *tree {
	t := p.next()
	switch t.kind {
	case tokenIdent:
		if next := p.peek(); t.text == "$" && next.text == "{" && next.at == t.at+1 { // braces within braces
			p.at++
			inner := p.expression()
			p.want("}")
			p.say("an expression stands in one pair of braces")
			return remade(inner)
		}
		return &tree{op: "name", text: t.text, from: t.at, to: t.at + len(t.text)}
	case tokenString, tokenNumber:
		n := &tree{op: "literal", text: t.text, from: t.at, to: t.at + len(t.text)}
		if t.kind == tokenNumber && strings.Contains(t.text, "_") {
			n.text, n.made = strings.ReplaceAll(t.text, "_", ""), true
			p.say("numbers are written without _")
		}
		return n
	case tokenTemplate:
		return p.template(t)
	case tokenRegex:
		n := p.node("regex", t.at)
		n.text = t.text
		return n
	}
	if t.kind != tokenSign {
		return p.fail()
	}
	switch t.text {
	case "(":
		of := p.expression()
		if p.is("for") {
			of = p.comprehension(of, t.at)
		}
		if p.peek().kind == tokenSign && p.peek().text == "," {
			p.at++
			p.say("a list is written [a, b]")
			list := p.node("list", t.at, append([]*tree{of}, p.list(")")...)...)
			list.made = true
			return list
		}
		p.want(")")
		end := p.tokens[max(0, p.at-1)]
		if !of.fresh() && of.ours() { // the parentheses stay
			return &tree{op: "()()", kids: []*tree{of}, from: t.at, to: end.at + 1}
		}
		return &tree{op: of.op, text: of.text, kids: of.kids, from: of.from, to: of.to, made: true, safe: of.safe, optional: of.optional}
	case "[":
		items := p.list("]")
		n := p.node("list", t.at, items...)
		if len(items) == 1 && items[0].op == "each" {
			return items[0]
		}
		return n
	case "{", "{{":
		return p.braces(t)
	}
	return p.fail()
}

// braces reads an object, or what other languages put into double braces.
func (p *foreignParser) braces(open token) *tree {
	end := "}"
	if open.text == "{{" {
		inner := p.expression()
		p.want("}}")
		return inner
	}
	n := p.node("map", open.at)
	for !p.bad && !p.is(end) {
		if len(n.kids) > 0 {
			p.want(",")
			if p.is(end) {
				break
			}
		}
		if p.is("...") {
			p.lost("an object is not spread: join two with a.merge(b), where the right one wins")
			p.expression()
			n.kids = append(n.kids, leaf("literal", `""`), leaf("name", "null"))
			continue
		}
		bare := p.peek().kind == tokenIdent && (p.ahead(1).text == ":" || p.ahead(1).text == "," || p.ahead(1).text == "}")
		key := p.expression()
		if len(n.kids) == 0 && p.peek().text == "}" {
			p.at++
			p.say("an expression stands in one pair of braces")
			key.made = true
			return key
		}
		value := key
		if bare {
			p.say("keys of an object are texts in quotes")
			key = &tree{op: "literal", text: strconv.Quote(key.text), made: true}
			if p.peek().text != ":" {
				n.kids = append(n.kids, key, value)
				continue
			}
		}
		p.want(":")
		n.kids = append(n.kids, key, p.expression())
	}
	last := p.tokens[max(0, p.at-1)]
	n.to = last.at + len(last.text)
	return n
}

// nodeCalls are the functions by which n8n and Azure name a node: $('x').first().json, body('x'), activity('x').output.
var nodeCalls = []string{"$", "body", "outputs", "actions", "activity"}

// inputCalls are those by which Azure names an input.
var inputCalls = []string{"parameters", "variables"}

// ofNode is the reference that a call of other languages is; any other call stays.
func ofNode(call *tree) *tree {
	of := call.kids[0]
	switch {
	case of == nil && len(call.kids) == 2 && call.kids[1].op == "literal":
		root := ""
		switch {
		case slices.Contains(nodeCalls, call.text):
			root = "$node"
		case slices.Contains(inputCalls, call.text):
			root = "$inputs"
		}
		if _, ok := call.kids[1].constant(); root == "" || !ok {
			return call
		}
		return &tree{op: "[]", kids: []*tree{leaf("name", root), call.kids[1]}, from: call.from, to: call.to, made: true}
	case of != nil && len(call.kids) == 1 && (call.text == "first" || call.text == "last") && of.op == "[]" && namesNode(of) && of.made:
		return of // the one item of n8n
	case of != nil && len(call.kids) == 1 && (call.text == "first" || call.text == "last") && of.op == "name" && of.text == "$input":
		return of
	}
	return call
}

// namesNode reports whether a tree is a call of [nodeCalls], or a member of it.
func namesNode(t *tree) bool {
	for t.op == "." || t.op == "[]" {
		if of := t.kids[0]; t.op == "[]" && of.op == "name" && of.made && strings.HasPrefix(of.text, "$") {
			return true
		}
		t = t.kids[0]
	}
	return false
}
