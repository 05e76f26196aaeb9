package expr

import (
	"slices"
	"strings"
)

// Names are what the author of an expression may have meant by its names.
type Names interface {
	// Reference says what a name with constant steps is here.
	Reference(root string, steps []Step) Reference
	// Type is the JSON type of what a path leads to; empty: it is not known.
	Type(p Path) string
	// Value is how a text is written that is compared with what the path leads to, and why; empty: as it is. The same text with a
	// sentence is one that the path does not say: there is no certain form.
	Value(p Path, text string) (value, say string)
	// Certain reports whether the path leads to a value, or to null, whatever happens.
	Certain(p Path) bool
}

// Reference is what a name of an author is here.
type Reference struct {
	Path    Path
	Changed bool   // it is written in another way
	Say     string // why, where it is changed
	Stuck   string // what to write instead, where that is not certain
	Doubt   string // what may have been meant, where it is read as it is written
	Code    string // of the finding, where it is changed or stuck
}

// Rewriting is an expression as it is written in this language.
type Rewriting struct {
	Text    string // the expression, or with Whole what replaces the ${…} with its braces
	Whole   bool
	Changed bool
	Said    []string // what was replaced, a sentence each
	Stuck   []string // what has no certain form here; with any, the text is no repair
	Doubt   []string // what may have been meant in another way
	Code    string   // of the first reference that was changed
	Reads   []Path   // the references in it
	Parsed  bool
	Guessed bool // it rests on what a name sounds like
	Lossy   bool // it gives less than what was written
}

// Rewrite translates an expression with the words of other languages. It does not check the result: whoever uses it has it compiled.
func Rewrite(text string, names Names) Rewriting {
	text = withRoot(text)
	t, p := parseForeign(text, 0, len(text), false)
	if t == nil && strings.Contains(text, "//") {
		t, p = parseForeign(text, 0, len(text), true)
	}
	if t == nil {
		return Rewriting{Text: text, Stuck: p.stuck}
	}
	r := rewriter{names: names, source: text, done: map[*tree]*tree{}}
	r.Said, r.Stuck, r.Parsed = p.said, p.stuck, true
	if t.op == "()" {
		if text := r.formatted(t); text != nil && text.op == "text" {
			t = text
		}
	}
	if t.op == "text" {
		r.Text, r.Whole, r.Changed = r.whole(t), true, true
		return r.Rewriting
	}
	of := t
	if t = r.tree(of); t.fresh() && strings.Contains(text, "[") { // references in their plain form
		r.done, r.plain = map[*tree]*tree{}, true
		r.Reads = nil
		t = r.tree(of)
	}
	r.Text = printTree(t, text)
	if !t.ours() && len(r.Stuck) == 0 {
		r.Stuck = []string{"this form has no counterpart here: compute the value with map, filter and comparisons, or let a capability do it"}
	}
	r.Changed = t.fresh()
	return r.Rewriting
}

type rewriter struct {
	Rewriting
	names  Names
	source string
	bound  []string
	done   map[*tree]*tree

	indexes []string // variables that count
	plain   bool     // references are written with dots where they can be
}

func (r *rewriter) say(said string)      { r.Said = appendOnce(r.Said, said) }
func (r *rewriter) lost(sentence string) { r.Stuck = appendOnce(r.Stuck, sentence) }

// tree translates a tree.
func (r *rewriter) tree(t *tree) *tree {
	if t == nil {
		return nil
	}
	if already, ok := r.done[t]; ok {
		return already
	}
	out := r.optional(r.link(t), nil)
	r.done[t] = out
	return out
}

// look notes what trees read that stay as they are.
func (r *rewriter) look(trees ...*tree) {
	for _, t := range trees {
		r.tree(t)
	}
}

// with translates a tree in which names are variables.
func (r *rewriter) with(names []string, t *tree) *tree {
	before := len(r.bound)
	r.bound = append(r.bound, names...)
	out := r.tree(t)
	r.bound = r.bound[:before]
	return out
}

// link translates a tree that may be followed by further members.
func (r *rewriter) link(t *tree) *tree {
	if t.op == "()()" {
		of := r.tree(t.kids[0])
		if of.fresh() {
			return remade(of)
		}
		return t
	}
	if out := r.row(t); out != nil {
		return out
	}
	switch t.op {
	case "name", ".", "[]":
		return r.member(t)
	case "()":
		return r.call(t)
	case "??":
		return r.otherwise(t)
	case "slice":
		return r.slice(t)
	case "each":
		x := []string{t.kids[1].text}
		l, name := r.tree(t.kids[2]), leaf("name", t.kids[1].text)
		if t.kids[3] != nil {
			l = method(l, "filter", name, r.with(x, t.kids[3]))
		}
		if t.kids[0].op != "name" || t.kids[0].text != t.kids[1].text {
			l = method(l, "map", name, r.with(x, t.kids[0]))
		}
		r.say("[e for x in l if c] is written l.filter(x, c).map(x, e)")
		return l
	case "[?]":
		r.say("a selection is written l.filter(x, c)")
		return method(r.tree(t.kids[0]), "filter", leaf("name", "x"), r.with([]string{"@"}, t.kids[1]))
	case "[*]":
		return r.tree(t.kids[0])
	case "list":
		return r.spread(t)
	case "%":
		if text := r.percent(t); text != nil {
			return text
		}
	case "filter":
		r.look(t.kids...)
		if isRoot(t.text) {
			r.lost("| joins nothing: two objects are joined with a.merge(b), where the right one wins, two conditions with a || b")
			return t
		}
		r.lost("there is no filter " + t.text + "; what is here: size(a), strings.lower(a), a.join(\", \"), json.encode(a), a.map(x, x.b)")
	case "text":
		return r.join(t)
	case "||":
		return r.either(t)
	case "+":
		return r.sum(t)
	case "!", "&&":
		return r.truth(r.inside(t))
	case "?:":
		out := r.inside(t)
		out.kids[0] = r.holds(out.kids[0])
		return out
	case "==", "!=":
		return r.compared(t)
	case "in":
		return r.contained(t)
	case "typeof":
		r.lost("the type of a value is type(a): string, int, double, bool, list or map, as in type(a) == string")
	case "=>":
		r.lost("functions are written with their variable in front, as in l.map(x, x.id) or l.filter(x, x.n > 1)")
	case "like":
		r.lost("LIKE is written a.startsWith(\"x\"), a.endsWith(\"x\"), a.contains(\"x\") or a.matches(\"^x.*\")")
	case "**":
		r.lost("there are no powers: write a * a")
	case "//":
		r.lost("// begins a comment here: a / b of two ints is the whole part of the quotient, math.floor(double(a) / double(b)) rounds down")
	case "regex":
		r.lost("a regular expression is a text: s.matches(\"^a+$\")")
	case "...":
		r.lost("values are not spread with ... here: join two lists with a + b")
	case "named":
		r.lost("arguments have no names here")
	}
	return r.inside(t)
}

// compared translates a comparison with a text that the value never is.
func (r *rewriter) compared(t *tree) *tree {
	out := r.inside(t)
	for i, k := range out.kids {
		out.kids[i] = r.worded(out.kids[1-i], k)
	}
	return out
}

// contained does the same for the question whether a value is one of several texts.
func (r *rewriter) contained(t *tree) *tree {
	out := r.inside(t)
	if list := out.kids[1]; list.op == "list" {
		of := *list
		of.kids = nil
		for _, k := range list.kids {
			of.kids = append(of.kids, r.worded(out.kids[0], k))
		}
		out.kids[1] = &of
	}
	return out
}

// worded is a text as it is written that is compared with a value.
func (r *rewriter) worded(with, literal *tree) *tree {
	root, steps, ok := with.chain()
	text, isText := literal.constant()
	if !ok || !isText || slices.Contains(r.bound, root) {
		return literal
	}
	switch value, said := r.names.Value(Path{Root: root, Steps: steps}, text); {
	case said == "":
		return literal
	case value == text:
		r.wrongValue()
		r.lost(said)
		return literal
	default:
		r.wrongValue()
		r.say(said)
		quote := literal.text[:1]
		return leaf("literal", quote+value+quote)
	}
}

func (r *rewriter) wrongValue() {
	if r.Code == "" {
		r.Code = CodeWrongValue
	}
}

// truth translates operands that are no conditions: how many there are, or a list.
func (r *rewriter) truth(t *tree) *tree {
	if t.op == "!" {
		if of := r.holds(t.kids[0]); of != t.kids[0] {
			return made("==", of.kids[0], leaf("literal", "0"))
		}
		return t
	}
	for i, k := range t.kids {
		t.kids[i] = r.holds(k)
	}
	return t
}

// holds makes a condition of a number of items, or of a list, that is there unless it is empty elsewhere.
func (r *rewriter) holds(t *tree) *tree {
	size := t
	switch {
	case t.op == "()" && t.text == "size":
	case r.typeOf(t) == "array":
		size = made("()", nil, t)
		size.text = "size"
	default:
		return t
	}
	r.say("a condition is true or false: size(a) > 0")
	return made(">", size, leaf("literal", "0"))
}

// sum translates a text that is joined with a number.
func (r *rewriter) sum(t *tree) *tree {
	out := r.inside(t)
	for i, k := range out.kids {
		other := r.typeOf(out.kids[1-i])
		if kind := r.typeOf(k); len(out.kids) == 2 && other == "string" && (kind == "integer" || kind == "number" || kind == "boolean") {
			r.say("a number becomes a part of a text with string(a)")
			s := made("()", nil, k)
			s.text = "string"
			out.kids[i] = s
		}
	}
	return out
}

// either translates a || b; where b is a value and no condition it is what other languages give for what is empty.
func (r *rewriter) either(t *tree) *tree {
	out := r.truth(r.inside(t))
	switch r.typeOf(out.kids[1]) {
	case "", "boolean":
	default:
		r.lost("|| joins conditions: a value for what may be missing or null is written has(a.b) && a.b != null ? a.b : c")
	}
	return out
}

// inside translates the parts of a tree that stays.
func (r *rewriter) inside(t *tree) *tree {
	out := *t
	out.kids = make([]*tree, len(t.kids))
	for i, k := range t.kids {
		if k == nil {
			continue
		}
		out.kids[i] = r.tree(k)
	}
	return &out
}

// remade is a copy that is printed by its parts.
func remade(t *tree) *tree {
	out := *t
	out.made = true
	return &out
}

func method(of *tree, name string, args ...*tree) *tree {
	t := made("()", append([]*tree{of}, args...)...)
	t.text = name
	return t
}
