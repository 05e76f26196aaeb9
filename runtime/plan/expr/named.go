package expr

import (
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/common/ast"
)

// names are the names of an item of for_each and of its index, where the plan gives them names of its own; empty: item and index.
type names struct{ item, index string }

// root is the root that a name stands for; a root that has another name here stands for itself all the same.
func (n names) root(name string) string {
	if name == "" {
		return ""
	}
	switch name {
	case n.item:
		return "item"
	case n.index:
		return "index"
	}
	return name
}

// named gives a path the root that its first name stands for.
func (n names) named(p Path) Path {
	if root := n.root(p.Root); root != p.Root {
		p.Root, p.As = root, p.Root
	}
	return p
}

// key is that of an expression in the cache: the same text means another expression where other names count.
func (n names) key(text string) string {
	if n == (names{}) {
		return text
	}
	return n.item + " " + n.index + "\n" + text
}

// Named returns the evaluator of places where the item of for_each and its index have names of their own; empty: item and index. It shares
// what is compiled.
func (l *language) Named(item, index string) Evaluator {
	if item == "item" {
		item = ""
	}
	if index == "index" {
		index = ""
	}
	return &language{compilations: l.compilations, names: names{item, index}}
}

// Path reads text as a plain path, with the names that count here.
func (l *language) Path(text string) (Path, bool) {
	p, ok := ParsePath(text)
	return l.names.named(p), ok
}

// NameProblem says why a variable of a plan cannot have the name; empty: it can.
func NameProblem(name string) string {
	switch {
	case !IsName(name):
		return "a name begins with a letter or _, followed by letters, digits and _"
	case isRoot(name), name == "true", name == "false", name == "null", isTypeName(name), slices.Contains(reserved, name), slices.Contains(spaces(), name):
		return "it already means something in expressions"
	}
	return ""
}

// reserved are the words that CEL keeps for itself, and those that roots of later editions may have.
var reserved = strings.Fields("as break const continue else for function if import in let loop namespace package return var void while " +
	"previous secret nodes cel")

// spaces are the names in front of functions, such as math in math.round.
var spaces = sync.OnceValue(func() []string {
	var all []string
	for name := range celEnvironment().Functions() {
		if space, _, inside := strings.Cut(name, "."); inside {
			all = append(all, space)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
})

// namedRoots are the variables of roots that have a name of the plan's own. No macro can have a variable of that name.
var namedRoots = map[string]string{"@item": "item", "@index": "index"}

// variable is what the root is in a compiled expression.
func (p Path) variable() string {
	if p.As != "" {
		return "@" + p.Root
	}
	return p.Root
}

// identifier reads a name as a root. A name of the plan's own is replaced in the tree by a variable that no macro can shadow.
func (w *walker) identifier(e ast.Expr) (p Path, ok bool) {
	name := e.AsIdent()
	if slices.Contains(w.bound, name) {
		return Path{}, false
	}
	if root := w.names.root(name); root != name {
		if w.given == nil {
			w.given = map[int64]string{}
		}
		w.given[e.ID()] = name
		p = Path{Root: root, As: name}
		e.SetKindCase(ast.NewExprFactory().NewIdent(e.ID(), p.variable()))
		return p, true
	}
	return Path{Root: name}, isRoot(name)
}
