package expr

import (
	"encoding/json"
	"iter"
	"slices"
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

// part is JSON text as it stands, or a placeholder.
type part struct {
	literal string
	hole    *Placeholder
}

// Placeholder is one ${…}.
type Placeholder struct {
	Text   string // the expression
	Path   Path
	Plain  bool   // the expression is a plain path
	Inside bool   // the expression is a part of a longer string
	At     string // JSON pointer below the template's root to the string that holds it
	Source string // that string
	Offset int    // of the expression in it
}

// Nodes are the ids of the nodes that the expression names, each once.
func (h *Placeholder) Nodes() iter.Seq[string] {
	return func(yield func(string) bool) {
		if !h.Plain {
			slices.Values(namedNodes(h.Text))(yield)
		} else if id := h.Path.NodeID(); id != "" {
			yield(id)
		}
	}
}

// BadString is a string of a template that cannot be read.
type BadString struct {
	Pointer string // JSON pointer below the template's root
	Source  string
	Fault
}

// NewTemplate compiles the strings of a JSON value. Faults are reported for each bad string; the template is complete
// only without any.
func NewTemplate(raw json.RawMessage, language Evaluator, lim Limits) (*Template, []BadString) {
	t, err := document.Parse(string(raw))
	if err != nil {
		return nil, []BadString{{Fault: Fault{Code: codeNotJSON, Message: "the value is " + err.Error()}}}
	}
	return treeTemplate(&t, language, lim)
}

func treeTemplate(t *document.Tree, language Evaluator, lim Limits) (*Template, []BadString) {
	b := templateBuilder{lim: lim, language: language}
	b.value(t, "")
	b.flush()
	return &Template{parts: b.parts, language: language, size: b.size}, b.bad
}

// NewText compiles one string.
func NewText(s string, language Evaluator, lim Limits) (*Template, []BadString) {
	return treeTemplate(&document.Tree{Kind: '"', Raw: document.Quote(s)}, language, lim)
}

type templateBuilder struct {
	lim      Limits
	language Evaluator
	parts    []part
	literal  []byte
	size     int
	bad      []BadString
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
	segments, fault := Split(name)
	literal := ""
	for _, s := range segments {
		if s.Expression {
			fault = &Fault{Code: CodeInKey, Message: "a key cannot be computed; build the object in one expression, as in ${{\"a\" + inputs.b: 1}}"}
		}
		literal += s.Text
	}
	if fault != nil {
		b.bad = append(b.bad, BadString{schemas.PointerTo(at, name), name, *fault})
		literal = name // other findings name it
	}
	b.literal = append(document.AppendQuoted(b.literal, literal), ':')
}

func (b *templateBuilder) text(s, at string) {
	segments, fault := Split(s)
	if fault != nil {
		b.bad = append(b.bad, BadString{at, s, *fault})
		return
	}
	whole := len(segments) == 1 && segments[0].Expression
	if !whole {
		b.literal = append(b.literal, '"')
	}
	for _, segment := range segments {
		if !segment.Expression {
			b.literal = document.AppendEscaped(b.literal, segment.Text)
			continue
		}
		h, fault := newHole(segment, b.language, b.lim)
		if fault != nil {
			b.bad = append(b.bad, BadString{at, s, *fault})
			continue
		}
		h.At, h.Source, h.Inside = at, s, !whole
		b.flush()
		b.parts = append(b.parts, part{hole: h})
	}
	if !whole {
		b.literal = append(b.literal, '"')
	}
}

// Segment of a string: literal text, or the text between ${ and }.
type Segment struct {
	Text       string
	Expression bool
	At         int
}

// Split cuts a string into its segments.
func Split(s string) ([]Segment, *Fault) {
	var out []Segment
	literal, start := "", 0
	emit := func(end int) {
		if literal += s[start:end]; literal != "" {
			out = append(out, Segment{Text: literal})
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
				return nil, &Fault{Code: CodeSyntax, At: i, Message: "the ${ has no matching }; write $${ for a literal ${"}
			}
			out = append(out, Segment{s[i+2 : end], true, i + 2})
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
		out = append(out, Segment{})
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

func newHole(s Segment, language Evaluator, lim Limits) (*Placeholder, *Fault) {
	text := strings.TrimSpace(s.Text)
	h := &Placeholder{Text: text, Offset: s.At + strings.Index(s.Text, text)}
	switch {
	case text == "":
		return nil, &Fault{Code: CodeSyntax, At: s.At, Message: "the expression is empty"}
	case len(text) > lim.MaxExpression:
		return nil, &Fault{Code: CodeTooLarge, At: s.At, Message: "the expression is too long; move parts of it into `set` nodes"}
	}
	h.Path, h.Plain = language.Path(text)
	return h, nil
}

// Placeholders are the expressions of the template, in the order in which they are written; a nil template has none.
func (t *Template) Placeholders() iter.Seq[*Placeholder] {
	return func(yield func(*Placeholder) bool) {
		if t == nil {
			return
		}
		for i := range t.parts {
			if h := t.parts[i].hole; h != nil && !yield(h) {
				return
			}
		}
	}
}

// Whole is the one expression that the template is; nil where it is anything else, or the template is nil.
func (t *Template) Whole() *Placeholder {
	if t != nil && len(t.parts) == 1 {
		return t.parts[0].hole
	}
	return nil
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

// Sample renders the template with null, or with nothing inside a string, for each expression, and returns the pointers
// to the strings that hold one.
func (t *Template) Sample() (json.RawMessage, []string) {
	var doc []byte
	var open []string
	for i := range t.parts {
		p := &t.parts[i]
		switch {
		case p.hole == nil:
			doc = append(doc, p.literal...)
			continue
		case !p.hole.Inside:
			doc = append(doc, "null"...)
		}
		open = appendOnce(open, p.hole.At)
	}
	return doc, open
}
