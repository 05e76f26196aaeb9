package expr

import (
	"slices"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// Operation is an operator with two operands whose types the language leaves open; package plan, which knows more of what they read, may
// find that they do not go together.
type Operation struct {
	Operator    string // + - * / % == != < <= > >= in
	At          int    // byte offset of the operator in the text
	Left, Right Operand
	Whole       bool // int(…) is around it: what it gives is meant to be a whole number
}

// Operand is what is known of one side of an operation.
type Operand struct {
	Path Path   // of what is read; an element of a list that is gone through has index 0. No root: it is no path.
	Type string // JSON Schema type; empty: unknown
	// Texts are the constants that it is, or a list of constants that it is asked to be in, as they are written and with their places.
	Texts []Constant
	// Of are the numbers that it is computed from by sums, differences, products and the like: with integers alone it is one.
	Of []Operand
}

// Constant is a text that is written out.
type Constant struct {
	Text string
	At   int // byte offset of its quote
}

// checkedOperators are written as they are reported.
var checkedOperators = map[string]string{
	operators.Add: "+", operators.Subtract: "-", operators.Multiply: "*", operators.Divide: "/", operators.Modulo: "%",
	operators.Equals: "==", operators.NotEquals: "!=", operators.Less: "<", operators.LessEquals: "<=",
	operators.Greater: ">", operators.GreaterEquals: ">=", operators.In: "in",
}

// sameElements are the functions whose list has elements of the list that they are called on.
var sameElements = []string{"slice", "distinct", "reverse", "sort", sortFunction}

// surveyor goes through a checked expression for its operations, and for what it reads of elements: the variables of macros stand for
// elements of the lists that they go through.
type surveyor struct {
	walker
	tree  *ast.AST
	stand map[string]Path // variables that stand for a path; without a root: for something unknown
	ops   []Operation
	takes []Argument
	whole int64 // the operation that int(…) is around
}

func (s *surveyor) visit(e ast.Expr) {
	if p, guarded, own, ok := s.path(e); ok {
		if !own && e.Kind() != ast.IdentKind {
			s.reads = append(s.reads, Read{p, guarded})
		}
		s.inside(e)
		return
	}
	switch e.Kind() {
	case ast.SelectKind:
		s.visit(e.AsSelect().Operand())
	case ast.CallKind:
		c := e.AsCall()
		if c.IsMemberFunction() {
			s.visit(c.Target())
		}
		for _, arg := range c.Args() {
			if c.FunctionName() == "int" {
				s.whole = plainOperand(arg).ID()
			}
			s.visit(arg)
		}
		s.operation(e)
		s.arguments(e)
	case ast.ListKind:
		for _, item := range e.AsList().Elements() {
			s.visit(item)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			s.visit(entry.AsMapEntry().Key())
			s.visit(entry.AsMapEntry().Value())
		}
	case ast.ComprehensionKind:
		s.comprehension(e.AsComprehension())
	}
}

// inside visits the arguments of the functions, and the conditions of the macros, that a path goes through.
func (s *surveyor) inside(e ast.Expr) {
	switch e.Kind() {
	case ast.ComprehensionKind:
		s.comprehension(e.AsComprehension())
	case ast.SelectKind:
		s.inside(e.AsSelect().Operand())
	case ast.CallKind:
		c := e.AsCall()
		s.arguments(e)
		if c.IsMemberFunction() {
			s.inside(c.Target())
			for _, arg := range c.Args() {
				s.visit(arg)
			}
			return
		}
		s.inside(c.Args()[0])
		for _, arg := range c.Args()[1:] {
			s.visit(arg)
		}
	}
}

func (s *surveyor) comprehension(c ast.ComprehensionExpr) {
	s.visit(c.IterRange())
	s.argument(macros, c.IterRange(), []string{"array", "object"})
	s.visit(c.AccuInit())
	defer s.stands(c)()
	s.visit(c.LoopCondition())
	s.visit(c.LoopStep())
	s.visit(c.Result())
}

// stands lets the variables of a macro stand for what they go through, until the function that it returns is called.
func (s *surveyor) stands(c ast.ComprehensionExpr) func() {
	names := map[string]Path{c.IterVar(): {}, c.IterVar2(): {}, c.AccuVar(): {}}
	if p, _, _, ok := s.path(c.IterRange()); ok && c.IterVar2() == "" {
		names[c.IterVar()] = extend(p, Step{Index: 0})
	}
	if isBound(c) {
		if p, _, _, ok := s.path(c.AccuInit()); ok {
			names[c.AccuVar()] = p
		}
	}
	before := s.stand
	s.stand = make(map[string]Path, len(before)+len(names))
	for name, p := range before {
		s.stand[name] = p
	}
	for name, p := range names {
		s.stand[name] = p
	}
	return func() { s.stand = before }
}

// isBound reports whether a macro goes through nothing and gives a variable its first value, as cel.bind does.
func isBound(c ast.ComprehensionExpr) bool {
	r := c.IterRange()
	return r.Kind() == ast.ListKind && r.AsList().Size() == 0
}

// path is what an expression reads, also through variables and functions that keep the elements; own reports whether the expression
// names all of it itself.
func (s *surveyor) path(e ast.Expr) (p Path, guarded, own, ok bool) {
	switch e.Kind() {
	case ast.IdentKind:
		name := e.AsIdent()
		if p, bound := s.stand[name]; bound {
			return p, false, false, p.Root != ""
		}
		if root, ok := namedRoots[name]; ok {
			return Path{Root: root, As: s.given[e.ID()]}, false, true, true
		}
		return Path{Root: name}, false, true, isRoot(name)
	case ast.SelectKind:
		sel := e.AsSelect()
		p, guarded, own, ok = s.path(sel.Operand())
		return extend(p, Step{Key: sel.FieldName(), Index: -1}), guarded || sel.IsTestOnly(), own, ok
	case ast.CallKind:
		c := e.AsCall()
		switch name := c.FunctionName(); {
		case name == anyFunction:
			return s.path(c.Args()[0])
		case name == uniqueFunction:
			p, guarded, _, ok = s.path(c.Args()[0])
			return p, guarded, false, ok
		case c.IsMemberFunction() && name == "flatten" && len(c.Args()) == 0: // the elements of the elements
			if p, ok := s.ofMapped(c.Target()); ok {
				return p, false, false, true
			}
			p, guarded, _, ok = s.path(c.Target())
			return extend(p, Step{Index: 0}), guarded, false, ok
		case c.IsMemberFunction() && slices.Contains(sameElements, name):
			p, guarded, _, ok = s.path(c.Target())
			return p, guarded, false, ok
		case (name == operators.Index || name == operators.OptIndex || name == operators.OptSelect) && c.Args()[1].Kind() == ast.LiteralKind:
			step := Step{Index: -1}
			switch v := c.Args()[1].AsLiteral().(type) {
			case types.String:
				step.Key = string(v)
			case types.Int:
				step.Index = max(0, int(v))
			default:
				return Path{}, false, false, false
			}
			p, guarded, own, ok = s.path(c.Args()[0])
			return extend(p, step), guarded || name != operators.Index, own, ok
		}
	case ast.ComprehensionKind: // l.filter(x, …) has elements of l, as has what macros do with the list that a variable holds
		c := e.AsComprehension()
		if isBound(c) {
			defer s.stands(c)()
			p, guarded, _, ok = s.path(c.Result())
			return p, guarded, false, ok
		}
		if step := c.LoopStep(); c.IterVar2() == "" && step.Kind() == ast.CallKind && step.AsCall().FunctionName() == operators.Conditional {
			if item, ok := appended(step.AsCall().Args()[1]); ok && item.Kind() == ast.IdentKind && item.AsIdent() == c.IterVar() {
				p, guarded, _, ok = s.path(c.IterRange())
				return p, guarded || tests(step.AsCall().Args()[0]), false, ok
			}
		}
	}
	return Path{}, false, false, false
}

// tests reports whether an expression asks with has(…) what is there.
func tests(e ast.Expr) bool {
	found := false
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
		found = found || e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly()
	}))
	return found
}

// appended is the item that a step of a macro appends to its list.
func appended(step ast.Expr) (item ast.Expr, ok bool) {
	if step.Kind() != ast.CallKind || step.AsCall().FunctionName() != operators.Add {
		return nil, false
	}
	list := step.AsCall().Args()[1]
	if list.Kind() != ast.ListKind || list.AsList().Size() != 1 {
		return nil, false
	}
	return list.AsList().Elements()[0], true
}

// ofMapped is what the elements are of a list that l.map(x, element) gives.
func (s *surveyor) ofMapped(e ast.Expr) (p Path, ok bool) {
	if e = plainOperand(e); e.Kind() != ast.ComprehensionKind {
		return Path{}, false
	}
	item, ok := appended(e.AsComprehension().LoopStep())
	if !ok {
		return Path{}, false
	}
	defer s.stands(e.AsComprehension())()
	p, guarded, _, ok := s.path(item)
	return p, ok && !guarded
}

func extend(p Path, s Step) Path {
	p.Steps = append(slices.Clone(p.Steps), s)
	return p
}

func (s *surveyor) operation(e ast.Expr) {
	c := e.AsCall()
	operator := checkedOperators[c.FunctionName()]
	if operator == "" || len(c.Args()) != 2 {
		return
	}
	at := s.info.GetStartLocation(e.ID())
	o := Operation{operator, offset(s.text, at.Line(), at.Column()), s.operand(c.Args()[0]), s.operand(c.Args()[1]), s.whole == e.ID()}
	if o.Left.known() && o.Right.known() && (operator == "/" || o.Left.Path.Root+o.Right.Path.Root != "") {
		s.ops = append(s.ops, o)
	}
}

// mapped is the element of a list that l.map(x, element) gives.
func (s *surveyor) mapped(e ast.Expr) (of Operand, ok bool) {
	if e = plainOperand(e); e.Kind() != ast.ComprehensionKind {
		return Operand{}, false
	}
	item, ok := appended(e.AsComprehension().LoopStep())
	if !ok {
		return Operand{}, false
	}
	defer s.stands(e.AsComprehension())()
	return s.operand(item), true
}

// plainOperand is an expression without the function that forgets its type.
func plainOperand(e ast.Expr) ast.Expr {
	for e.Kind() == ast.CallKind && e.AsCall().FunctionName() == anyFunction {
		e = e.AsCall().Args()[0]
	}
	return e
}

// survey finds the operations of a checked expression, the arguments of its functions, and what it reads of elements; reads are what it
// reads otherwise.
func survey(tree *ast.AST, w *walker, reads []Read) (elements []Read, operations []Operation, arguments []Argument) {
	s := surveyor{walker: walker{info: w.info, text: w.text, given: w.given, reads: slices.Clone(reads)}, tree: tree}
	s.visit(tree.Expr())
	return s.finish()[len(reads):], s.ops, s.takes
}

func (o *Operand) known() bool { return o.Path.Root != "" || o.Type != "" || len(o.Of) > 0 }

func (s *surveyor) operand(e ast.Expr) Operand {
	if p, guarded, _, ok := s.path(e); ok {
		if guarded || optional(e) {
			return Operand{}
		}
		return Operand{Path: p}
	}
	o := Operand{Texts: s.constants(e)}
	switch s.tree.GetType(e.ID()).Kind() {
	case types.BoolKind:
		o.Type = "boolean"
	case types.IntKind, types.UintKind:
		o.Type = "integer"
	case types.DoubleKind:
		o.Type = "number"
	case types.StringKind:
		o.Type = "string"
	case types.ListKind:
		o.Type = "array"
	case types.MapKind:
		o.Type = "object"
	default:
		o.Of = s.computed(plainOperand(e))
	}
	return o
}

// computed are the numbers that a number is computed from.
func (s *surveyor) computed(e ast.Expr) (of []Operand) {
	if e.Kind() != ast.CallKind {
		return nil
	}
	c := e.AsCall()
	switch name := c.FunctionName(); {
	case slices.Contains([]string{operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Negate}, name):
		for _, arg := range c.Args() {
			of = append(of, s.operand(arg))
		}
	case c.IsMemberFunction() && name == "sum":
		if of, ok := s.mapped(c.Target()); ok {
			return []Operand{of}
		}
		if p, _, _, ok := s.path(c.Target()); ok {
			return []Operand{{Path: extend(p, Step{Index: 0})}}
		}
	}
	return of
}

// optional reports whether the value is an optional one, which is not what it leads to.
func optional(e ast.Expr) bool {
	return e.Kind() == ast.CallKind && (e.AsCall().FunctionName() == operators.OptIndex || e.AsCall().FunctionName() == operators.OptSelect)
}

// constants are the texts that are written out as a constant or as a list of them.
func (s *surveyor) constants(e ast.Expr) []Constant {
	switch e.Kind() {
	case ast.LiteralKind:
		if text, ok := e.AsLiteral().(types.String); ok {
			at := s.info.GetStartLocation(e.ID())
			return []Constant{{string(text), offset(s.text, at.Line(), at.Column())}}
		}
	case ast.ListKind:
		var all []Constant
		for _, item := range e.AsList().Elements() {
			if item.Kind() == ast.LiteralKind {
				all = append(all, s.constants(item)...)
			}
		}
		return all
	}
	return nil
}
