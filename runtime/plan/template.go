package plan

import (
	"encoding/json"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// Template is a JSON value in which strings hold ${…}. A string that is only ${…} becomes the value itself with its
// type; in any other string the values are interpolated, strings as they are and the rest as compact JSON; $${ stands
// for a literal ${. What an expression yields is data and never evaluated again. It is immutable and safe for
// concurrent use.
type Template struct {
	parts    []part
	language Evaluator
	size     int // bytes of the literal parts
}

// part is JSON text as it stands, or a hole.
type part struct {
	literal string
	hole    *hole
}

// hole is one ${…}.
type hole struct {
	text   string // the expression
	path   path
	plain  bool   // path says it all
	inside bool   // of a longer string
	at     string // JSON pointer below the template's root to the string that holds it
	source string // that string
	offset int    // of the expression in it
}

// reads lists the ids of the nodes that the hole names.
func (h *hole) reads() []string {
	if h.plain {
		if id := h.path.nodeID(); id != "" {
			return []string{id}
		}
		return nil
	}
	return namedNodes(h.text)
}

// badString is a string of a template that cannot be read.
type badString struct {
	at     string // JSON pointer below the template's root
	source string
	Fault
}

// newTemplate compiles the strings of a JSON value. Faults are reported for each bad string; the template is complete
// only without any.
func newTemplate(raw json.RawMessage, language Evaluator, lim Limits) (*Template, []badString) {
	t, err := document.Parse(string(raw))
	if err != nil {
		return nil, []badString{{Fault: Fault{Code: codeWrongType, Message: "the value is " + err.Error()}}}
	}
	return treeTemplate(&t, language, lim)
}

func treeTemplate(t *document.Tree, language Evaluator, lim Limits) (*Template, []badString) {
	b := templateBuilder{lim: lim}
	b.value(t, "")
	b.flush()
	return &Template{parts: b.parts, language: language, size: b.size}, b.bad
}

// stringTemplate compiles one string.
func stringTemplate(s string, language Evaluator, lim Limits) (*Template, []badString) {
	return treeTemplate(&document.Tree{Kind: '"', Raw: document.Quote(s)}, language, lim)
}

type templateBuilder struct {
	lim     Limits
	parts   []part
	literal []byte
	size    int
	bad     []badString
}

func (b *templateBuilder) flush() {
	if len(b.literal) > 0 {
		b.parts = append(b.parts, part{literal: string(b.literal)})
		b.size += len(b.literal)
		b.literal = b.literal[:0]
	}
}

func (b *templateBuilder) value(t *document.Tree, at string) {
	if !strings.Contains(t.Raw, "${") && !strings.Contains(t.Raw, `\u`) {
		b.literal = t.AppendTo(b.literal)
		return
	}
	switch t.Kind {
	case '{':
		b.literal = append(b.literal, '{')
		for i := range t.Items {
			if i > 0 {
				b.literal = append(b.literal, ',')
			}
			b.key(t.Names[i], at)
			b.value(&t.Items[i], schemas.PointerTo(at, t.Names[i]))
		}
		b.literal = append(b.literal, '}')
	case '[':
		b.literal = append(b.literal, '[')
		for i := range t.Items {
			if i > 0 {
				b.literal = append(b.literal, ',')
			}
			b.value(&t.Items[i], schemas.PointerToItem(at, i))
		}
		b.literal = append(b.literal, ']')
	case '"':
		b.text(t.Text(), at)
	default:
		b.literal = append(b.literal, t.Raw...)
	}
}

// key writes the key of an object; keys are not computed.
func (b *templateBuilder) key(name, at string) {
	segments, fault := splitString(name)
	literal := ""
	for _, s := range segments {
		if s.expression {
			fault = &Fault{Code: codeExpressionInKey, Message: "a key cannot be computed; build the object in one expression, as in ${{\"a\" + inputs.b: 1}}"}
		}
		literal += s.text
	}
	if fault != nil {
		b.bad = append(b.bad, badString{schemas.PointerTo(at, name), name, *fault})
	}
	b.literal = append(document.AppendQuoted(b.literal, literal), ':')
}

func (b *templateBuilder) text(s, at string) {
	segments, fault := splitString(s)
	if fault != nil {
		b.bad = append(b.bad, badString{at, s, *fault})
		return
	}
	whole := len(segments) == 1 && segments[0].expression
	if !whole {
		b.literal = append(b.literal, '"')
	}
	for _, segment := range segments {
		if !segment.expression {
			b.literal = document.AppendEscaped(b.literal, segment.text)
			continue
		}
		h, fault := newHole(segment, b.lim)
		if fault != nil {
			b.bad = append(b.bad, badString{at, s, *fault})
			continue
		}
		h.at, h.source, h.inside = at, s, !whole
		b.flush()
		b.parts = append(b.parts, part{hole: h})
	}
	if !whole {
		b.literal = append(b.literal, '"')
	}
}

// segment of a string: literal text, or the text between ${ and }.
type segment struct {
	text       string
	expression bool
	at         int
}

// splitString cuts a string into its segments.
func splitString(s string) ([]segment, *Fault) {
	var out []segment
	literal, start := "", 0
	emit := func(end int) {
		if literal += s[start:end]; literal != "" {
			out = append(out, segment{text: literal})
		}
		literal = ""
	}
	for i := 0; i < len(s); {
		switch {
		case strings.HasPrefix(s[i:], "$${"):
			literal += s[start:i] + "${"
			i += 3
			start = i
		case strings.HasPrefix(s[i:], "${"):
			emit(i)
			end, ok := expressionEnd(s, i+2)
			if !ok {
				return nil, &Fault{Code: codeExpressionSyntax, At: i, Message: "the ${ has no matching }; write $${ for a literal ${"}
			}
			out = append(out, segment{s[i+2 : end], true, i + 2})
			i, start = end+1, end+1
		default:
			next := strings.IndexByte(s[i+1:], '$')
			if next < 0 {
				i = len(s)
			} else {
				i += 1 + next
			}
		}
	}
	emit(len(s))
	if len(out) == 0 {
		out = append(out, segment{})
	}
	return out, nil
}

// expressionEnd finds the } that closes an expression; braces in strings and of objects inside it do not count.
func expressionEnd(s string, from int) (int, bool) {
	l := lexer{text: s, at: from}
	for depth := 0; ; {
		switch t := l.next(); {
		case t.kind == tokenEnd || t.kind == tokenBroken:
			return 0, false
		case t.kind == tokenSign && t.text == "{":
			depth++
		case t.kind == tokenSign && t.text == "}":
			if depth == 0 {
				return t.at, true
			}
			depth--
		}
	}
}

func newHole(s segment, lim Limits) (*hole, *Fault) {
	text := strings.TrimSpace(s.text)
	h := &hole{text: text, offset: s.at + strings.Index(s.text, text)}
	switch {
	case text == "":
		return nil, &Fault{Code: codeExpressionSyntax, At: s.at, Message: "the expression is empty"}
	case len(text) > lim.MaxExpression:
		return nil, &Fault{Code: codeExpressionTooLarge, At: s.at, Message: "the expression is too long; move parts of it into `set` nodes"}
	}
	h.path, h.plain = parsePath(text)
	return h, nil
}

// holes lists the expressions of the template.
func (t *Template) holes() []*hole {
	if t == nil {
		return nil
	}
	var all []*hole
	for _, p := range t.parts {
		if p.hole != nil {
			all = append(all, p.hole)
		}
	}
	return all
}

// Constant reports whether the template holds no expression.
func (t *Template) Constant() bool {
	for i := range t.parts {
		if t.parts[i].hole != nil {
			return false
		}
	}
	return true
}
