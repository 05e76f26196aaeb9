package expr

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/runplane/runplane/schemas"
)

// walker finds what a parsed expression reads and which of its names are unknown.
type walker struct {
	info   *ast.SourceInfo
	text   string
	names  names
	given  map[int64]string // the names that the plan gives roots, by the ids of their expressions
	bound  []string         // variables of the macros around
	reads  []Read
	faults []Fault
}

func (w *walker) fault(e ast.Expr, code string, candidates []string, format string, args ...any) {
	at := w.info.GetStartLocation(e.ID())
	message := fmt.Sprintf(format, args...)
	if len(candidates) > 0 {
		message += fmt.Sprintf("; did you mean %s?", candidates[0])
	}
	w.faults = append(w.faults, Fault{Code: code, At: offset(w.text, at.Line(), at.Column()), Message: message, Candidates: candidates})
}

func (w *walker) walk(e ast.Expr) {
	if p, guarded, ok := w.chain(e); ok {
		w.read(e, p, guarded)
		return
	}
	switch e.Kind() {
	case ast.IdentKind:
		w.ident(e)
	case ast.SelectKind:
		w.walk(e.AsSelect().Operand())
	case ast.CallKind:
		w.call(e)
	case ast.ListKind:
		for _, item := range e.AsList().Elements() {
			w.walk(item)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			w.walk(entry.AsMapEntry().Key())
			w.walk(entry.AsMapEntry().Value())
		}
	case ast.StructKind:
		w.fault(e, CodeSyntax, nil, "objects are written {\"key\": value}, without a type name")
	case ast.ComprehensionKind:
		w.comprehension(e)
	}
}

// comprehension is what the macros (map, filter, all, exists, bind) expand to.
func (w *walker) comprehension(e ast.Expr) {
	c := e.AsComprehension()
	w.walk(c.IterRange())
	w.walk(c.AccuInit())
	before := len(w.bound)
	for _, name := range []string{c.IterVar(), c.IterVar2(), c.AccuVar()} {
		if slices.Contains(Roots, name) {
			w.fault(e, CodeDynamicReference, nil, "%q already means something here: choose another name for the variable", name)
		}
		if name != "" {
			w.bound = append(w.bound, name)
		}
	}
	w.walk(c.LoopCondition())
	w.walk(c.LoopStep())
	w.walk(c.Result())
	w.bound = w.bound[:before]
}

func (w *walker) ident(e ast.Expr) {
	name := e.AsIdent()
	if slices.Contains(w.bound, name) || isTypeName(name) {
		return
	}
	w.fault(e, CodeUnknownRoot, schemas.Nearest(name, Roots, 1), "unknown name %q: expressions read inputs, nodes.<id>, execution and session", name)
}

// isTypeName reports whether the name is a type, as in type(x) == string.
func isTypeName(name string) bool {
	switch name {
	case "bool", "bytes", "double", "duration", "int", "list", "map", "null_type", "string", "timestamp", "type", "uint", "optional_type",
		"google.protobuf.Timestamp", "google.protobuf.Duration":
		return true
	}
	return false
}

func (w *walker) call(e ast.Expr) {
	c := e.AsCall()
	name := c.FunctionName()
	if c.IsMemberFunction() {
		if space := c.Target(); space.Kind() == ast.IdentKind && !slices.Contains(w.bound, space.AsIdent()) && !isRoot(w.names.root(space.AsIdent())) {
			name = space.AsIdent() + "." + name
		} else {
			w.walk(c.Target())
		}
	}
	if !celEnvironment().HasFunction(name) && !strings.HasPrefix(name, "@") {
		if slices.Contains(celNames(), name) {
			w.fault(e, CodeUnknownFunction, nil, "%s() is written with the wrong number or kind of arguments", name)
			return // a macro's variables are unknown outside it
		}
		w.fault(e, CodeUnknownFunction, schemas.Nearest(name, celNames(), 3), "unknown function %s()", name)
	}
	w.constant(e, name, c.Args())
	for _, arg := range c.Args() {
		w.walk(arg)
	}
}

// chain reads e as a root with constant steps. guarded reports whether a step is optional or tested with has().
func (w *walker) chain(e ast.Expr) (p Path, guarded, ok bool) {
	switch e.Kind() {
	case ast.IdentKind:
		p, ok := w.identifier(e)
		return p, false, ok
	case ast.SelectKind:
		s := e.AsSelect()
		p, guarded, ok = w.chain(s.Operand())
		p.Steps = append(p.Steps, Step{Key: s.FieldName(), Index: -1})
		return p, guarded || s.IsTestOnly(), ok
	case ast.CallKind:
		c := e.AsCall()
		optional := c.FunctionName() == operators.OptSelect || c.FunctionName() == operators.OptIndex
		if !optional && c.FunctionName() != operators.Index || len(c.Args()) != 2 || c.Args()[1].Kind() != ast.LiteralKind {
			return Path{}, false, false
		}
		s := Step{Index: -1}
		switch v := c.Args()[1].AsLiteral().(type) {
		case types.String:
			s.Key = string(v)
		case types.Int:
			if v < 0 {
				return Path{}, false, false
			}
			s.Index = int(v)
		default:
			return Path{}, false, false
		}
		p, guarded, ok = w.chain(c.Args()[0])
		p.Steps = append(p.Steps, s)
		return p, guarded || optional, ok
	}
	return Path{}, false, false
}

func (w *walker) read(e ast.Expr, p Path, guarded bool) {
	if p.Root == "nodes" && p.NodeID() == "" {
		w.fault(e, CodeDynamicReference, nil, "nodes must be named one by one, as in nodes.order.output: the plan's order is made from these names")
		return
	}
	w.reads = append(w.reads, Read{p, guarded})
}

// finish marks what is tested anywhere in the expression as guarded everywhere in it.
func (w *walker) finish() []Read {
	for i := range w.reads {
		for _, other := range w.reads {
			if other.Guarded && other.Path.Root == w.reads[i].Path.Root && hasPrefix(w.reads[i].Path.Steps, other.Path.Steps) {
				w.reads[i].Guarded = true
			}
		}
	}
	return w.reads
}

func hasPrefix(steps, prefix []Step) bool {
	return len(steps) >= len(prefix) && slices.Equal(steps[:len(prefix)], prefix)
}

// sameNodes makes sure that the tokens alone name the nodes that the language sees; loading a plan relies on that.
func (w *walker) sameNodes() []Fault {
	var seen []string
	for _, r := range w.reads {
		if id := r.Path.NodeID(); id != "" {
			seen = appendOnce(seen, id)
		}
	}
	named := namedNodes(w.text)
	slices.Sort(seen)
	slices.Sort(named)
	if slices.Equal(seen, named) {
		return nil
	}
	return []Fault{{Code: CodeDynamicReference, Message: "write each node plainly, as in nodes.order.output, without brackets or blanks in between"}}
}
