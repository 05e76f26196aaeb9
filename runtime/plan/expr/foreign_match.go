package expr

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/runplane/runplane/schemas"
)

// parsedRow is a row as trees.
type parsedRow struct {
	foreignRow
	from, to *tree
}

// parsedRows are the rows by the operator and the text of their form.
var parsedRows = sync.OnceValue(func() map[string][]parsedRow {
	rows := map[string][]parsedRow{}
	for _, row := range foreignRows {
		from, _ := parseForeign(row.foreign, 0, len(row.foreign), false)
		if from == nil {
			continue // a test walks the rows
		}
		p := parsedRow{row, from, nil}
		if row.ours != "" {
			p.to, _ = parseForeign(row.ours, 0, len(row.ours), false)
			if missing := missingIn(p.to); missing != "" {
				p.to, p.say = nil, "there is no "+missing+"() here: let a capability compute it"
			}
		}
		key := from.op + " " + from.text
		rows[key] = append(rows[key], p)
	}
	return rows
})

// missingIn is a function that a tree calls and that the language does not have.
func missingIn(t *tree) string {
	if t == nil {
		return ""
	}
	if t.op == "()" {
		name := t.text
		if of := t.kids[0]; of != nil && of.op == "name" && len(of.text) > 1 {
			name = of.text + "." + name
		}
		if !slices.Contains(celNames(), name) && !slices.Contains(celNames(), t.text) {
			return name
		}
	}
	for _, k := range t.kids {
		if name := missingIn(k); name != "" {
			return name
		}
	}
	return ""
}

// ourContains is a form of other languages and of ours: of a value of unknown type it may be ours.
const ourContains = "a.contains(b)"

// isQuotient reports whether a tree has a division, whose fraction is lost if its operands are whole numbers.
func isQuotient(t *tree) bool {
	return t != nil && (t.op == "/" || slices.ContainsFunc(t.kids, isQuotient))
}

// row translates a tree by the first row that fits; nil: none does.
func (r *rewriter) row(t *tree) *tree {
	for _, row := range parsedRows()[t.op+" "+t.text] {
		found := binds{}
		if !found.match(row.from, t) {
			continue
		}
		if row.of != "" {
			kind := r.typeOf(r.tree(found["a"]))
			if kind == "" && row.of == "array" && row.foreign != ourContains && r.manyIn(found) {
				kind, r.Guessed = "array", true
			}
			if kind != row.of {
				continue
			}
		}
		if strings.HasPrefix(row.foreign, "$") && found["a"] != nil {
			found["a"] = r.ofEach(found["a"])
		}
		if row.text != "" {
			if name, ok := found[row.text].constant(); !ok || name == "" {
				continue
			}
		}
		if row.pattern != "" {
			pattern, ok := found[row.pattern].constant()
			if re, err := syntax.Parse(pattern, syntax.Perl); !ok || err != nil || re.MaxCap() > 1 {
				continue
			}
		}
		if strings.Contains(row.ours, "double(a)") && isQuotient(r.tree(found["a"])) {
			r.lost("a quotient of whole numbers is a whole number here: the fraction stays with double(a) / b, as in math.ceil(double(a) / b)")
			return t
		}
		if row.to == nil {
			r.lost(fmt.Sprintf("%s has no form here: %s", row.foreign, row.say))
			for _, name := range []string{"a", "b", "c"} {
				if found[name] != nil && found["x"] == nil {
					r.tree(found[name])
				}
			}
			return t
		}
		r.Lossy = r.Lossy || row.lossy
		if row.foreign != row.ours {
			r.say(row.foreign + " is written " + strings.ReplaceAll(row.ours, "a ?? b", "a != null ? a : b"))
		}
		if y := found["y"]; y != nil && row.to.text == "transformList" {
			r.indexes = append(r.indexes, y.text)
		}
		var variables []string
		for name, v := range found {
			if name == "x" || name == "y" {
				variables = append(variables, v.text)
			}
		}
		return r.fill(row.to, found, variables)
	}
	return nil
}

// manyIn reports whether what stands for a is a list by its name, or by what is asked for.
func (r *rewriter) manyIn(found binds) bool {
	_, steps, ok := found["a"].chain()
	if ok && len(steps) > 0 && manyOf(steps[len(steps)-1].Key) {
		return true
	}
	b := found["b"]
	return b != nil && b.op == "literal" && !isQuote(b.text[len(b.text)-1])
}

// binds are the parts of a tree that the letters of a row stand for.
type binds map[string]*tree

func (b binds) match(row, t *tree) bool {
	if row == nil || t == nil {
		return row == t
	}
	for t.op == "()()" {
		t = t.kids[0]
	}
	if row.op == "name" && len(row.text) == 1 && row.text != "_" {
		if row.text >= "x" && t.op != "name" || b[row.text] != nil && b[row.text] != t {
			return false
		}
		b[row.text] = t
		return true
	}
	if row.op != t.op || row.text != t.text && (row.op != "literal" || !sameText(row, t)) || t.safe || len(row.kids) != len(t.kids) {
		return false
	}
	for i := range row.kids {
		if !b.match(row.kids[i], t.kids[i]) {
			return false
		}
	}
	return true
}

func sameText(a, b *tree) bool {
	x, ok := a.constant()
	y, ok2 := b.constant()
	return ok && ok2 && x == y
}

// fill puts the parts into the form here.
func (r *rewriter) fill(form *tree, found binds, variables []string) *tree {
	if form == nil {
		return nil
	}
	if form.op == "name" && found[form.text] != nil {
		if form.text == "x" || form.text == "y" {
			return found[form.text]
		}
		if form.text == "a" {
			return r.tree(found["a"])
		}
		return r.with(variables, found[form.text])
	}
	if form.op == "??" {
		return r.otherwise(made("??", found["a"], found["b"]))
	}
	if form.op == "()()" {
		return r.fill(form.kids[0], found, variables)
	}
	out := *form
	out.made = true
	out.kids = make([]*tree, len(form.kids))
	for i, k := range form.kids {
		if k != nil && form.text == "matches" && found[k.text] != nil && found[k.text].op == "regex" {
			out.kids[i] = r.pattern(found[k.text])
			continue
		}
		out.kids[i] = r.fill(k, found, variables)
	}
	if form.op == "[]" && form.kids[0].text == "x" && !form.optional {
		if name, ok := out.kids[1].constant(); ok && IsName(name) {
			return &tree{op: ".", text: name, kids: out.kids[:1], made: true}
		}
	}
	return &out
}

// pattern is the text of a regular expression of JavaScript.
func (r *rewriter) pattern(t *tree) *tree {
	end := strings.LastIndexByte(t.text, '/')
	pattern := strings.ReplaceAll(t.text[1:end], `\/`, "/")
	if strings.Contains(t.text[end:], "i") {
		pattern = "(?i)" + pattern
	}
	if _, err := schemas.CompilePattern(pattern); err != nil || strings.ContainsAny(t.text[end:], "msy") {
		r.lost("the regular expression cannot be used here: patterns are those of RE2, written s.matches(\"^a+$\")")
	}
	r.say("a regular expression is written as a text")
	return leaf("literal", strconv.Quote(pattern))
}
