package expr

import (
	"strconv"
	"strings"
)

// tree is an expression as it is written here or elsewhere. Its operator says what it is; the forms here are
//
//	name      text: a name            literal   text: as it is written
//	.         text: the member        []        the list or map, the key
//	()        text: the function; kids: the target (nil: none) and the arguments
//	list map  kids: items; keys and values in turn
//	?:        kids: the condition and both values
//	! -       one operand             && || == != < <= > >= in + - * / %   two
//
// and those of other languages, which the rewriter replaces:
//
//	=>        kids: the parameters and, last, the body
//	text      kids: literals and values that make one text
//	regex     text: the literal       slice     kids: the list, from and to (nil: open)
//	each      [e for x in l if c]; kids: e, x, l, c (nil: none)
//	??        two operands            **  //    two operands
//	...       one operand             filter    as (), of Jinja
type tree struct {
	op       string
	text     string
	kids     []*tree
	from, to int  // where it is in the source
	made     bool // it differs from the source
	safe     bool // . and []: ?. of JavaScript
	optional bool // . and []: .? and [?] of this language
}

func leaf(op, text string) *tree { return &tree{op: op, text: text, made: true} }

func made(op string, kids ...*tree) *tree { return &tree{op: op, kids: kids, made: true} }

// fresh reports whether the tree or a part of it differs from the source.
func (t *tree) fresh() bool {
	if t == nil {
		return false
	}
	if t.made {
		return true
	}
	for _, k := range t.kids {
		if k.fresh() {
			return true
		}
	}
	return false
}

// weights are the precedences of the operators, the loosest first.
var weights = map[string]int{
	"?:": 1, "||": 2, "&&": 3, "==": 4, "!=": 4, "<": 4, "<=": 4, ">": 4, ">=": 4, "in": 4, "+": 5, "-": 5, "*": 6, "/": 6, "%": 6, "!": 7,
}

func (t *tree) weight() int {
	if t.op == "-" && len(t.kids) == 1 {
		return weights["!"]
	}
	if w, ok := weights[t.op]; ok {
		return w
	}
	return 8
}

// printer writes a tree as an expression of this language; what is as in the source is copied.
type printer struct {
	source string
	out    strings.Builder
}

func printTree(t *tree, source string) string {
	p := printer{source: source}
	p.print(t, 0)
	return p.out.String()
}

// print puts the tree into parentheses where it binds less than what is around it.
func (p *printer) print(t *tree, around int) {
	if t == nil { // an end of a slice that is left out
		return
	}
	if t.weight() < around {
		p.out.WriteByte('(')
		defer p.out.WriteByte(')')
	}
	if !t.fresh() {
		p.out.WriteString(p.source[t.from:t.to])
		return
	}
	switch t.op {
	case ".":
		p.print(t.kids[0], 8)
		p.out.WriteByte('.')
		if t.optional {
			p.out.WriteByte('?')
		}
		p.out.WriteString(t.text)
	case "[]":
		p.print(t.kids[0], 8)
		p.out.WriteByte('[')
		if t.optional {
			p.out.WriteByte('?')
		}
		p.print(t.kids[1], 0)
		p.out.WriteByte(']')
	case "()":
		if t.kids[0] != nil {
			p.print(t.kids[0], 8)
			p.out.WriteByte('.')
		}
		p.out.WriteString(t.text)
		p.between("(", t.kids[1:], ")")
	case "list":
		p.between("[", t.kids, "]")
	case "map":
		p.out.WriteByte('{')
		for i := 0; i+1 < len(t.kids); i += 2 {
			if i > 0 {
				p.out.WriteString(", ")
			}
			p.print(t.kids[i], 0)
			p.out.WriteString(": ")
			p.print(t.kids[i+1], 0)
		}
		p.out.WriteByte('}')
	case "?:":
		p.print(t.kids[0], 2)
		p.out.WriteString(" ? ")
		p.print(t.kids[1], 2)
		p.out.WriteString(" : ")
		p.print(t.kids[2], 1)
	case "name", "literal":
		p.out.WriteString(t.text)
	default:
		w := t.weight()
		switch len(t.kids) {
		case 0: // a form that has no counterpart, such as a regular expression
			p.out.WriteString(p.source[t.from:t.to])
		case 1:
			p.out.WriteString(t.op)
			p.print(t.kids[0], w)
		default:
			p.print(t.kids[0], w)
			p.out.WriteString(" " + t.op + " ")
			p.print(t.kids[1], w+1)
		}
	}
}

func (p *printer) between(open string, kids []*tree, end string) {
	p.out.WriteString(open)
	for i, k := range kids {
		if i > 0 {
			p.out.WriteString(", ")
		}
		p.print(k, 0)
	}
	p.out.WriteString(end)
}

// ours reports whether the tree has only forms of this language.
func (t *tree) ours() bool {
	if t == nil {
		return true
	}
	switch t.op {
	case "=>", "like", "typeof", "named", "[*]", "[?]", "text", "regex", "slice", "each", "??", "**", "//", "...", "filter":
		return false
	}
	if t.safe {
		return false
	}
	for _, k := range t.kids {
		if !k.ours() {
			return false
		}
	}
	return true
}

// chain reads a tree as a name with constant steps.
func (t *tree) chain() (root string, steps []Step, ok bool) {
	switch t.op {
	case "name":
		return t.text, nil, true
	case ".":
		root, steps, ok = t.kids[0].chain()
		return root, append(steps, Step{Key: t.text, Index: -1}), ok
	case "[]":
		key := t.kids[1]
		if key.op != "literal" {
			return "", nil, false
		}
		root, steps, ok = t.kids[0].chain()
		if s, isText := key.constant(); isText {
			return root, append(steps, Step{Key: s, Index: -1}), ok
		}
		n, err := strconv.Atoi(key.text)
		return root, append(steps, Step{Index: n}), ok && err == nil && n >= 0
	}
	return "", nil, false
}

// pathTree is the tree of a path.
func pathTree(p Path) *tree {
	t := leaf("name", p.Root)
	for _, s := range p.Steps {
		switch {
		case s.Index >= 0:
			t = made("[]", t, leaf("literal", strconv.Itoa(s.Index)))
		case IsName(s.Key):
			t = &tree{op: ".", text: s.Key, kids: []*tree{t}, made: true}
		default:
			t = made("[]", t, leaf("literal", strconv.Quote(s.Key)))
		}
	}
	return t
}

// constant is the text of a plain string literal.
func (t *tree) constant() (string, bool) {
	if t.op != "literal" || !isQuote(t.text[0]) {
		return "", false
	}
	if len(t.text) >= 6 && t.text[0] == t.text[1] && t.text[1] == t.text[2] {
		return t.text[3 : len(t.text)-3], !strings.Contains(t.text, `\`)
	}
	body := t.text[1 : len(t.text)-1]
	if !strings.Contains(body, `\`) {
		return body, true
	}
	if t.text[0] == '\'' {
		body = strings.ReplaceAll(strings.ReplaceAll(body, `\'`, `'`), `"`, `\"`)
	}
	s, err := strconv.Unquote(`"` + body + `"`)
	return s, err == nil
}
