package expr

import (
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// What is null counts as absent: coalesce(a, b, …) and a.orValue(b) give the first of their arguments that is there, and evaluate none
// after it.
const (
	coalesceFunction = "coalesce"
	orValueFunction  = "@orValue"
	maxCoalesce      = 16 // arguments
)

func absentFunctions() []cel.EnvOption {
	none := func(...ref.Val) ref.Val { return types.NewErr("absent values are passed over by calls of their own") }
	var counts []cel.FunctionOpt
	args := []*cel.Type{cel.DynType}
	for range maxCoalesce {
		counts = append(counts, cel.Overload(fmt.Sprintf("coalesce_%d", len(args)), args, cel.DynType, cel.FunctionBinding(none)))
		args = append(args[:len(args):len(args)], cel.DynType)
	}
	return []cel.EnvOption{
		cel.Function(coalesceFunction, counts...),
		cel.Function(orValueFunction,
			cel.Overload("any_or_value", []*cel.Type{cel.DynType, cel.DynType}, cel.DynType, cel.FunctionBinding(none))),
		cel.Macros(cel.ReceiverMacro("orValue", 1, func(f cel.MacroExprFactory, target ast.Expr, args []ast.Expr) (ast.Expr, *cel.Error) {
			return f.NewCall(orValueFunction, target, args[0]), nil
		})),
	}
}

// firstPresent is a call of coalesce or orValue.
type firstPresent struct {
	id       int64
	function string
	args     []interpreter.InterpretableV2
}

// ID is that of the expression.
func (c *firstPresent) ID() int64 { return c.id }

// Function is the name that the environment declares.
func (c *firstPresent) Function() string { return c.function }

// OverloadID is empty: prices are by function.
func (c *firstPresent) OverloadID() string { return "" }

// Eval evaluates the call on its own.
func (c *firstPresent) Eval(vars interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(vars, c.Exec)
}

// Exec evaluates one argument after the other, up to the first that is there; the last one counts as it is.
func (c *firstPresent) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	counter := frame.CostTracker()
	var v ref.Val = types.NullValue
	for _, arg := range c.args {
		counter.Estimator.(*evaluation).price = 1
		counter.EvalZeroArity(nil, c.id, c, nil)
		if v = arg.Exec(frame); types.IsUnknownOrError(v) {
			return v
		}
		if o, ok := v.(*types.Optional); ok {
			if v = types.NullValue; o.HasValue() {
				v = o.GetValue()
			}
		}
		if _, null := v.(types.Null); !null {
			break
		}
	}
	return v
}
