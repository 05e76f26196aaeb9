package expr

import (
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
)

// call translates a call that no row of the table knows.
func (r *rewriter) call(t *tree) *tree {
	if name := ourSpelling(t); name != "" {
		r.say(t.text + "() is written " + name + "()")
		t = remade(t)
		t.text = name
	}
	if text := r.formatted(t); text != nil {
		return r.join(text)
	}
	out := *t
	out.kids = make([]*tree, len(t.kids))
	if of := t.kids[0]; of != nil {
		switch {
		case t.safe:
			r.lost("a?.f() has no form here: test first, as in a != null ? a.f() : null")
			out.kids[0] = r.tree(of)
		case of.op == "name" && !slices.Contains(r.bound, of.text) && isNamespace(of.text):
			out.kids[0] = of
		default:
			out.kids[0] = r.link(of)
			if safeIn(out.kids[0]) {
				r.lost("a?.b.f() has no form here: test first, as in has(a.b) && a.b != null ? a.b.f() : null")
			}
		}
	}
	args := t.kids[1:]
	names := boundBy(t)
	for i, a := range args {
		if i < len(names) {
			out.kids[i+1] = a
			continue
		}
		out.kids[i+1] = r.with(names, a)
	}
	if t.text == "has" && len(args) == 1 {
		out.kids[1] = plainSteps(out.kids[1])
	}
	return &out
}

// ourSpelling is the function that a call names in another spelling, such as group_by; empty: it is ours, or none is named.
func ourSpelling(t *tree) string {
	prefix := ""
	if of := t.kids[0]; of != nil && of.op == "name" && isNamespace(of.text) {
		prefix = of.text + "."
	}
	found := ""
	for _, name := range celNames() {
		switch {
		case name == prefix+t.text || name == t.text:
			return ""
		case strings.Contains(name, ".") != (prefix != "") || foldName(name) != foldName(prefix+t.text):
		case found != "":
			return ""
		default:
			found = name
		}
	}
	return strings.TrimPrefix(found, prefix)
}

func foldName(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// plainSteps lets has(…) test a member, as it must.
func plainSteps(t *tree) *tree {
	if t.op == "()" && t.text == "orValue" && t.made {
		return t.kids[0]
	}
	return t
}

// boundBy are the variables of a macro.
func boundBy(t *tree) []string {
	if !slices.ContainsFunc(celEnvironment().Macros(), func(m cel.Macro) bool { return m.Function() == t.text }) || t.text == "has" {
		return nil
	}
	var names []string
	for i, a := range t.kids[1:] {
		if a.op != "name" || i > 0 && i == len(t.kids)-2 {
			break
		}
		names = append(names, a.text)
	}
	return names
}

// isNamespace reports whether functions are called with the name in front.
func isNamespace(name string) bool {
	return name == "cel" || name == "optional" ||
		slices.ContainsFunc(celNames(), func(f string) bool { return strings.HasPrefix(f, name+".") })
}

func safeIn(t *tree) bool {
	for t != nil && (t.op == "." || t.op == "[]") {
		if t.safe {
			return true
		}
		t = t.kids[0]
	}
	return false
}

// optional translates ?. with a value for what is missing; nil: null.
func (r *rewriter) optional(t, otherwise *tree) *tree {
	if !safeIn(t) {
		return t
	}
	root, steps, ok := t.chain()
	if ok && r.names.Certain(Path{Root: root, Steps: steps}) {
		r.say("what is always there needs no ?.")
		return plainChain(t)
	}
	if ok && root == "nodes" && len(steps) > 2 { // the node and its output are there
		for at, n := t, len(steps); n > 2; at, n = at.kids[0], n-1 {
			if n == 3 {
				at.kids = append([]*tree{plainChain(at.kids[0])}, at.kids[1:]...)
			}
		}
	}
	var open func(t *tree) (*tree, bool)
	open = func(t *tree) (*tree, bool) {
		if t.op != "." && t.op != "[]" {
			return t, false
		}
		of, after := open(t.kids[0])
		out := remade(t)
		out.kids = slices.Clone(t.kids)
		out.kids[0] = of
		out.optional, out.safe = after || t.safe || t.optional, false
		return out, after || t.safe
	}
	out, _ := open(t)
	if otherwise == nil {
		otherwise = leaf("name", "null")
	}
	r.say("what may be missing is read as a.?b.orValue(null)")
	return method(out, "orValue", otherwise)
}

// otherwise translates a ?? b.
func (r *rewriter) otherwise(t *tree) *tree {
	left, right := r.link(t.kids[0]), r.tree(t.kids[1])
	r.say("a ?? b is written a != null ? a : b")
	root, steps, ok := left.chain()
	path := Path{Root: root, Steps: steps}
	switch {
	case !ok || slices.Contains(r.bound, root) && len(steps) == 0:
		left = r.optional(left, nil)
		if left.op == "name" {
			return made("?:", made("!=", left, leaf("name", "null")), left, right)
		}
		return method(leaf("name", "cel"), "bind", leaf("name", "v"), left,
			made("?:", made("!=", leaf("name", "v"), leaf("name", "null")), leaf("name", "v"), right))
	case !safeIn(left) && (len(steps) == 0 || !slices.Contains(r.bound, root) && r.names.Certain(path)):
		return made("?:", made("!=", left, leaf("name", "null")), left, right)
	}
	may := remade(left)
	if !safeIn(left) {
		may.safe = true
	}
	test := r.optional(may, nil)
	if nullIsAbsent() {
		return r.optional(may, right)
	}
	return made("?:", made("!=", test, leaf("name", "null")), plainChain(left), right)
}

// plainChain is a chain without marks.
func plainChain(t *tree) *tree {
	if t.op != "." && t.op != "[]" {
		return t
	}
	out := remade(t)
	out.kids = slices.Clone(t.kids)
	out.kids[0] = plainChain(t.kids[0])
	out.safe, out.optional = false, false
	return out
}

// nullIsAbsent reports whether orValue treats null as absent.
func nullIsAbsent() bool { return celEnvironment().HasFunction("coalesce") }

// resultTypes are the JSON types of what functions give.
var resultTypes = map[string]string{
	"size": "integer", "int": "integer", "double": "number", "string": "string", "bool": "boolean", "has": "boolean",
	"json.encode":   "string",
	"strings.lower": "string", "strings.upper": "string",
	"lowerAscii": "string", "upperAscii": "string", "lower": "string", "upper": "string", "trim": "string", "replace": "string",
	"substring": "string", "join": "string", "format": "string",
	"uniqueBy": "array", "groupBy": "object", "toMap": "object", "merge": "object", "csv.decode": "array", "regex.extractAll": "array",
	"map": "array", "filter": "array", "split": "array", "sort": "array", "sortBy": "array", "reverse": "", "slice": "array",
	"distinct": "array", "flatten": "array",
	"transformList": "array", "range": "array", "contains": "boolean", "startsWith": "boolean", "endsWith": "boolean",
	"matches": "boolean", "exists": "boolean", "all": "boolean",
}

// typeOf is the JSON type of a translated tree, as far as it can be known without CEL.
func (r *rewriter) typeOf(t *tree) string {
	switch t.op {
	case "()()":
		return r.typeOf(t.kids[0])
	case "literal":
		switch {
		case isQuote(t.text[len(t.text)-1]):
			return "string"
		case strings.Contains(t.text, "."):
			return "number"
		}
		return "integer"
	case "list", "each", "slice":
		return "array"
	case "map":
		return "object"
	case "text":
		return "string"
	case "()":
		name := t.text
		if of := t.kids[0]; of != nil && of.op == "name" && isNamespace(of.text) {
			name = of.text + "." + name
		}
		return resultTypes[name]
	case "&&", "||", "!", "==", "!=", "<", "<=", ">", ">=", "in":
		return "boolean"
	case "+", "?:":
		a, b := r.typeOf(t.kids[len(t.kids)-2]), r.typeOf(t.kids[len(t.kids)-1])
		if a == b || t.op == "+" && b == "" && (a == "string" || a == "array") {
			return a
		}
		if t.op == "+" && a == "" && (b == "string" || b == "array") {
			return b
		}
		return ""
	}
	root, steps, ok := t.chain()
	if ok && len(steps) == 0 && slices.Contains(r.bound, root) && slices.Contains(r.indexes, root) {
		return "integer"
	}
	if !ok || slices.Contains(r.bound, root) || !isRoot(root) {
		return ""
	}
	return r.names.Type(Path{Root: root, Steps: steps})
}
