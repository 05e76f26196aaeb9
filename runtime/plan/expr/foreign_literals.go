package expr

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Texts with values in them: templates of JavaScript and Python, and what formats texts elsewhere.

const sayText = "values are put into a text as \"… ${a} …\", or joined with +"

// template reads `…${x}…` and f"…{x}…".
func (p *foreignParser) template(t token) *tree {
	n := &tree{op: "text", from: t.at, to: t.at + len(t.text)}
	python := t.text[0] != '`'
	open, skip, end := "${", 1, 1
	if python {
		open, skip = "{", 2
		if len(t.text) >= 7 && t.text[2] == t.text[1] && t.text[3] == t.text[1] {
			skip, end = 4, 3
		}
	}
	body := t.text[skip : len(t.text)-end]
	at := t.at + skip
	literal := ""
	flush := func() {
		if literal != "" {
			n.kids = append(n.kids, leaf("literal", strconv.Quote(literal)))
		}
		literal = ""
	}
	for i := 0; i < len(body) && !p.bad; {
		switch {
		case body[i] == '\\':
			s, size := unescaped(body[i:], python)
			if size == 0 {
				return p.fail()
			}
			literal += s
			i += size
		case python && (strings.HasPrefix(body[i:], "{{") || strings.HasPrefix(body[i:], "}}")):
			literal += body[i : i+1]
			i += 2
		case strings.HasPrefix(body[i:], open):
			end, ok := expressionEnd(body, i+len(open))
			if !ok {
				return p.fail()
			}
			if python && strings.ContainsAny(body[i:end], ":!=") {
				p.lost(sayFormat)
			}
			flush()
			if kid := p.part(at+i+len(open), at+end, false); kid != nil {
				n.kids = append(n.kids, kid)
			}
			i = end + 1
		default:
			literal += body[i : i+1]
			i++
		}
	}
	flush()
	p.say(sayText)
	n.made = true
	return n
}

const sayFormat = "a value in a text is written without a format: use \"%.2f\".format([a]) for numbers"

// simpleEscapes are the escapes of one letter that JavaScript and Python share.
var simpleEscapes = map[byte]string{
	'n': "\n", 't': "\t", 'r': "\r", 'b': "\b", 'f': "\f", 'v': "\v", '\n': "",
	'\\': "\\", '\'': "'", '"': "\"",
}

// unescaped reads the escape at the start of a text, as JavaScript or Python does, and how many bytes it has; none: it cannot be read.
func unescaped(text string, python bool) (s string, size int) {
	if len(text) < 2 {
		return "", 0
	}
	c := text[1]
	if s, ok := simpleEscapes[c]; ok {
		return s, 2
	}
	digits := map[byte]int{'x': 2, 'u': 4}[c]
	if c == 'U' && python {
		digits = 8
	}
	switch {
	case c == 'u' && !python && strings.HasPrefix(text, `\u{`):
		hex, _, ok := strings.Cut(text[3:], "}")
		n, err := strconv.ParseUint(hex, 16, 32)
		if !ok || err != nil {
			return "", 0
		}
		return string(rune(n)), len(hex) + 4
	case digits > 0:
		if len(text) < 2+digits {
			return "", 0
		}
		n, err := strconv.ParseUint(text[2:2+digits], 16, 32)
		if err != nil {
			return "", 0
		}
		size = 2 + digits
		if r := rune(n); utf16.IsSurrogate(r) && len(text) >= size+6 && strings.HasPrefix(text[size:], `\u`) {
			if low, err := strconv.ParseUint(text[size+2:size+6], 16, 32); err == nil {
				return string(utf16.DecodeRune(r, rune(low))), size + 6
			}
		}
		return string(rune(n)), size
	case c >= '0' && c <= '7':
		for size = 1; size < len(text) && size < 4 && text[size] >= '0' && text[size] <= '7'; size++ {
		}
		if !python && (size > 2 || c != '0') {
			return "", 0 // JavaScript has no octal escapes in templates
		}
		n, err := strconv.ParseUint(text[1:size], 8, 16)
		if err != nil {
			return "", 0
		}
		return string(rune(n)), size
	case python && c == 'a':
		return "\a", 2
	case python && c == 'N':
		return "", 0
	}
	_, width := utf8.DecodeRuneInString(text[1:])
	if python {
		return text[:1+width], 1 + width // the backslash stays
	}
	return text[1 : 1+width], 1 + width
}

// formatted translates what puts values into a text by their number or in their order: format('{0} is {1}', a, b) of GitHub,
// States.Format('{} is {}', a, b) of Step Functions and '{} is {}'.format(a, b) of Python; nil: it is none of them.
func (r *rewriter) formatted(t *tree) *tree {
	switch {
	case t.op != "()" || len(t.kids) < 2:
		return nil
	case t.text == "Format" && t.kids[0] != nil && t.kids[0].op == "name" && t.kids[0].text == "States":
		return r.layout(t.kids[1], t.kids[2:], layoutStates)
	case t.text == "format" && t.kids[0] == nil:
		return r.layout(t.kids[1], t.kids[2:], layoutGitHub)
	case t.text == "format" && t.kids[0].op == "literal":
		layout, ok := t.kids[0].constant()
		if args := t.kids[1:]; ok && strings.Contains(layout, "{") && !strings.Contains(layout, "%") && (len(args) > 1 || args[0].op != "list") {
			return r.layout(t.kids[0], args, layoutPython)
		}
	}
	return nil
}

// The places of values in the layouts of other languages.
const (
	layoutGitHub = iota // {0}, braces are doubled
	layoutStates        // {}, braces have a backslash
	layoutPython        // {}, {0} and {name}, braces are doubled
)

// layout translates a layout with its values; it is lost where it cannot be read.
func (r *rewriter) layout(of *tree, args []*tree, style int) *tree {
	text, ok := of.constant()
	if style == layoutStates && of.op == "literal" && len(of.text) > 1 {
		text, ok = of.text[1:len(of.text)-1], true
	}
	out := made("text")
	literal, next := "", 0
	flush := func() {
		if literal != "" {
			out.kids = append(out.kids, leaf("literal", strconv.Quote(literal)))
		}
		literal = ""
	}
	for i := 0; ok && i < len(text); i++ {
		doubled := style != layoutStates && (strings.HasPrefix(text[i:], "{{") || strings.HasPrefix(text[i:], "}}"))
		switch {
		case doubled || style == layoutStates && text[i] == '\\' && i+1 < len(text) && strings.IndexByte(`'{}\`, text[i+1]) >= 0:
			literal += text[i+1 : i+2]
			i++
		case text[i] == '{':
			name, _, closed := strings.Cut(text[i+1:], "}")
			arg := placed(args, name, &next, style)
			if !closed || arg == nil {
				ok = false
				break
			}
			flush()
			out.kids = append(out.kids, arg)
			i += len(name) + 1
		case text[i] == '}' || text[i] == '\\' && style == layoutStates:
			ok = false
		default:
			literal += text[i : i+1]
		}
	}
	flush()
	if !ok {
		r.lost(sayText + "; a number is written with \"%.2f\".format([a])")
		r.look(args...)
		return made("text")
	}
	r.say(sayText)
	return out
}

// placed is the argument that a place in a layout stands for; nil: none does.
func placed(args []*tree, name string, next *int, style int) *tree {
	at := *next
	switch n, err := strconv.Atoi(name); {
	case name == "" && style != layoutGitHub:
		*next++
	case err == nil && style != layoutStates && n >= 0:
		at = n
	case style == layoutPython:
		for _, a := range args {
			if a.op == "named" && a.kids[0].text == name {
				return a.kids[1]
			}
		}
		return nil
	default:
		return nil
	}
	if at >= len(args) || args[at].op == "named" || args[at].op == "..." {
		return nil
	}
	return args[at]
}

// percent translates '%s is %d' % (a, b) of Python; nil: it is a division.
func (r *rewriter) percent(t *tree) *tree {
	layout, ok := t.kids[0].constant()
	if !ok || !strings.Contains(layout, "%") {
		return nil
	}
	args := []*tree{t.kids[1]}
	if args[0].op == "list" && args[0].made {
		args = args[0].kids
	}
	places := 0
	for i := 0; i < len(layout); i++ {
		if layout[i] != '%' {
			continue
		}
		rest := strings.TrimLeft(strings.TrimPrefix(layout[i+1:], "."), "0123456789")
		if !strings.HasPrefix(layout[i+1:], ".") {
			rest = layout[i+1:]
		}
		switch {
		case strings.HasPrefix(rest, "%") && rest == layout[i+1:]:
			i++
		case rest != "" && strings.IndexByte("sdfe", rest[0]) >= 0:
			places++
		default:
			places = -len(layout) // of no form here
		}
	}
	if places != len(args) {
		r.lost("values are put into a text as \"… ${a} …\", or with \"%s: %d\".format([a, b])")
		return r.inside(t)
	}
	r.say("'%s' % a is written '%s'.format([a])")
	return method(t.kids[0], "format", r.inside(made("list", args...)))
}

// join makes a text of literals and values.
func (r *rewriter) join(t *tree) *tree {
	var sum *tree
	for _, k := range t.kids {
		if k.op != "literal" || !k.made {
			if k = r.tree(k); r.typeOf(k) != "string" {
				s := made("()", nil, k)
				s.text = "string"
				k = s
			}
		}
		if sum == nil {
			sum = k
		} else {
			sum = made("+", sum, k)
		}
	}
	if sum == nil {
		return leaf("literal", `""`)
	}
	return sum
}

// whole writes a text as a string of a plan.
func (r *rewriter) whole(t *tree) string {
	var b strings.Builder
	for i, k := range t.kids {
		if k.op == "literal" && k.made {
			s, _ := strconv.Unquote(k.text)
			s = strings.ReplaceAll(s, "${", "$${")
			if i+1 < len(t.kids) && strings.HasSuffix(s, "$") { // it would escape what follows
				s = strings.TrimSuffix(s, "$") + "${'$'}"
			}
			b.WriteString(s)
			continue
		}
		inner := r.tree(k)
		if len(t.kids) == 1 && r.typeOf(inner) != "string" {
			s := made("()", nil, inner)
			s.text = "string"
			inner = s
		}
		b.WriteString("${" + printTree(inner, r.source) + "}")
	}
	return b.String()
}
