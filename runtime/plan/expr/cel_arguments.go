package expr

import (
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

// Argument is a path that a function is given, or called on, where it does not take a value of every type. Package plan, which knows more
// of what is read, may find that the function does not take that.
type Argument struct {
	Function string // as it is written
	Path     Path
	Takes    []string // JSON Schema types, number for all numbers; none: what no JSON value is, such as a time
}

// macros stands for the macros that go through a list or an object.
const macros = "a macro such as map"

// arguments notes the paths that a call is given.
func (s *surveyor) arguments(e ast.Expr) {
	c := e.AsCall()
	if strings.HasPrefix(c.FunctionName(), "_") || strings.Contains(c.FunctionName(), "@") {
		return // an operator, or a macro
	}
	given := c.Args()
	if c.IsMemberFunction() {
		given = append([]ast.Expr{c.Target()}, given...)
	}
	for k, arg := range given {
		if takes, some := takenBy(c.FunctionName(), c.IsMemberFunction(), len(given), k); some {
			s.argument(c.FunctionName(), arg, takes)
		}
	}
}

func (s *surveyor) argument(function string, e ast.Expr, takes []string) {
	if o := s.operand(e); o.Path.Root != "" {
		s.takes = append(s.takes, Argument{function, o.Path, takes})
	}
}

// takenBy is the types that a function takes in place k of n, of which the first is what it is called on; some is false if it takes all.
func takenBy(function string, member bool, n, k int) (takes []string, some bool) {
	declared := celEnvironment().Functions()[function]
	if declared == nil {
		return nil, false
	}
	for _, o := range declared.OverloadDecls() {
		if o.IsMemberFunction() != member || len(o.ArgTypes()) != n {
			continue
		}
		some = true
		switch o.ArgTypes()[k].Kind() {
		case types.StringKind:
			takes = append(takes, "string")
		case types.BoolKind:
			takes = append(takes, "boolean")
		case types.IntKind, types.UintKind, types.DoubleKind:
			takes = append(takes, "number")
		case types.ListKind:
			takes = append(takes, "array")
		case types.MapKind:
			takes = append(takes, "object")
		case types.TimestampKind, types.DurationKind, types.BytesKind:
		default:
			return nil, false
		}
	}
	slices.Sort(takes)
	return slices.Compact(takes), some
}
