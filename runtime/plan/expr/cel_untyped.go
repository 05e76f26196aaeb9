package expr

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/parser"
)

// anyElementFunction is to an optional element what anyFunction is to a list.
const anyElementFunction = "@anyElement"

// untypedLists are the functions that give the elements of their list. Of a list whose elements are of unknown types the checker of
// types would leave the element's open, and then take it for the first that any later use can have: the elements of l.distinct() would
// be texts, because l.distinct()[0] + "x" wants one. Here they stay unknown. A list of constants keeps its types.
func untypedLists() []cel.EnvOption {
	optional := cel.OptionalType(cel.TypeParamType("T"))
	options := []cel.EnvOption{
		overload(anyElementFunction, "optional_any", cel.OptionalType(cel.DynType),
			func(args []ref.Val) ref.Val { return args[0] }, optional),
	}
	for _, f := range []struct {
		name      string
		arguments []int
		as        string
	}{
		{"slice", []int{2}, anyFunction}, {"distinct", []int{0}, anyFunction}, {"flatten", []int{0, 1}, anyFunction},
		{"unwrapOpt", []int{0}, anyFunction}, {"first", []int{0}, anyElementFunction}, {"last", []int{0}, anyElementFunction},
	} {
		for _, n := range f.arguments {
			options = append(options, cel.Macros(cel.ReceiverMacro(f.name, n,
				func(m cel.MacroExprFactory, target ast.Expr, args []ast.Expr) (ast.Expr, *cel.Error) {
					if isWritten(target) {
						return nil, nil //nolint:nilnil // it stays as it is
					}
					return m.NewCall(f.as, m.NewMemberCall(f.name, target, args...)), nil
				})))
		}
	}
	return append(options, cel.Macros(cel.ReceiverMacro("sortBy", 2,
		func(f cel.MacroExprFactory, target ast.Expr, args []ast.Expr) (ast.Expr, *cel.Error) {
			keys, err := parser.MakeMap(f, f.NewIdent(inputVariable), args)
			if err != nil {
				return nil, err
			}
			return withInput(f, target, f.NewCall(anyFunction, f.NewMemberCall(sortFunction, f.NewIdent(inputVariable), keys))), nil
		})))
}

// sortFunction sorts a list by a list of keys.
const sortFunction = "@sortByAssociatedKeys"

// isWritten reports whether a value is written out with constants alone.
func isWritten(e ast.Expr) bool {
	if e.Kind() != ast.ListKind {
		return e.Kind() == ast.LiteralKind
	}
	for _, item := range e.AsList().Elements() {
		if !isWritten(item) {
			return false
		}
	}
	return true
}
