package expr

import (
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/parser"
)

// The functions that macros over lists end in; each takes the list that the macro is asked for, and what its expressions gave for
// each element.
const (
	groupFunction  = "@group"
	uniqueFunction = "@unique"
	toMapFunction  = "@toMap"
	anyFunction    = "@any"
)

// listFunctions declares sum, avg, merge, reduce, groupBy, uniqueBy and toMap.
func listFunctions() []cel.EnvOption {
	list, anything, object := cel.ListType(cel.DynType), cel.DynType, cel.MapType(cel.DynType, cel.DynType)
	elements := cel.ListType(cel.TypeParamType("T"))
	return []cel.EnvOption{
		member("sum", "list_sum", anything, sum, list),
		member("avg", "list_avg", anything, average, list),
		member("merge", "map_merge", object, mergeMaps, object, object),
		overload(groupFunction, "list_group", object, groupBy, list, list),
		overload(uniqueFunction, "list_unique", list, uniqueBy, list, list),
		overload(toMapFunction, "list_to_map", object, toMap, list, list),
		overload(anyFunction, "list_any", list, func(args []ref.Val) ref.Val { return args[0] }, elements),
		cel.Macros(
			cel.ReceiverMacro("reduce", 4, reduceMacro),
			keyedMacro("groupBy", 2, groupFunction), keyedMacro("uniqueBy", 2, uniqueFunction), toMapMacro(),
		),
	}
}

// member declares a function that is called on its first argument.
func member(name, id string, result *cel.Type, f func([]ref.Val) ref.Val, args ...*cel.Type) cel.EnvOption {
	return cel.Function(name, cel.MemberOverload(id, args, result, binding(f)))
}

func overload(name, id string, result *cel.Type, f func([]ref.Val) ref.Val, args ...*cel.Type) cel.EnvOption {
	return cel.Function(name, cel.Overload(id, args, result, binding(f)))
}

func binding(f func([]ref.Val) ref.Val) cel.OverloadOpt {
	return cel.FunctionBinding(func(args ...ref.Val) ref.Val { return f(args) })
}

// sum adds numbers as + does: integers stay integers, and the empty list is 0.
func sum(args []ref.Val) ref.Val { return sumFor("sum", args[0]) }

func sumFor(function string, v ref.Val) ref.Val {
	list, ok := v.(traits.Lister)
	if !ok {
		return types.NewErr("%s() adds the numbers of a list, got %s", function, v.Type().TypeName())
	}
	add := mixedArithmetic(operators.Add)
	total, at := ref.Val(types.IntZero), 0
	for it := list.Iterator(); it.HasNext() == types.True; at++ {
		v := it.Next()
		switch v.(type) {
		case types.Int, types.Double:
		case types.Uint:
			return types.NewErr("%s(): item %d is a uint; convert it with int(…)", function, at)
		default:
			return types.NewErr("%s(): item %d is %s, which is not a number; choose the numbers first, as in l.map(x, x.n).%s()",
				function, at, shown(v), function)
		}
		if total = add(widen(total, v), v); types.IsError(total) {
			return types.NewErr("%s(): at item %d: %v", function, at, total)
		}
	}
	return total
}

// average is the sum as a double, divided by the number of items; of the empty list it is null.
func average(args []ref.Val) ref.Val {
	total := sumFor("avg", args[0])
	n := length(args[0])
	if types.IsError(total) || n == 0 {
		if n == 0 && !types.IsError(total) {
			return types.NullValue
		}
		return total
	}
	return mixedArithmetic(operators.Divide)(widen(total, types.Double(0)), types.Double(n))
}

// reduceMacro expands l.reduce(acc, x, init, expr).
func reduceMacro(f cel.MacroExprFactory, target ast.Expr, args []ast.Expr) (ast.Expr, *cel.Error) {
	for _, i := range []int{0, 1} {
		if args[i].Kind() != ast.IdentKind {
			return nil, f.NewError(args[i].ID(), "reduce() wants two names first, as in l.reduce(total, x, 0, total + x.n)")
		}
	}
	acc, x := args[0].AsIdent(), args[1].AsIdent()
	if acc == x {
		return nil, f.NewError(args[1].ID(), fmt.Sprintf("reduce() wants two different names, got %q twice", x))
	}
	return f.NewComprehension(target, x, acc, f.NewCall("dyn", args[2]), f.NewLiteral(types.True), args[3], f.NewIdent(acc)), nil
}

// inputVariable holds the list that a macro is asked for, so that it is evaluated once.
const inputVariable = "@input"

// keyedMacro expands l.name(x, key) to the function over the list and the list of keys.
func keyedMacro(name string, arguments int, function string) cel.Macro {
	return cel.ReceiverMacro(name, arguments, func(f cel.MacroExprFactory, target ast.Expr, args []ast.Expr) (ast.Expr, *cel.Error) {
		keys, err := parser.MakeMap(f, f.NewIdent(inputVariable), args)
		if err != nil {
			return nil, err
		}
		return withInput(f, target, f.NewCall(function, f.NewIdent(inputVariable), keys)), nil
	})
}

// toMapMacro expands l.toMap(x, key, value).
func toMapMacro() cel.Macro {
	return cel.ReceiverMacro("toMap", 3, func(f cel.MacroExprFactory, target ast.Expr, args []ast.Expr) (ast.Expr, *cel.Error) {
		keys, err := parser.MakeMap(f, f.NewIdent(inputVariable), args[:2])
		if err != nil {
			return nil, err
		}
		entries, err := parser.MakeMap(f, f.NewIdent(inputVariable), []ast.Expr{f.Copy(args[0]), args[2]})
		if err != nil {
			return nil, err
		}
		return withInput(f, target, f.NewCall(toMapFunction, keys, entries)), nil
	})
}

func withInput(f cel.MacroExprFactory, target, result ast.Expr) ast.Expr {
	return f.NewComprehension(f.NewList(), "#unused", inputVariable, target, f.NewLiteral(types.False), f.NewIdent(inputVariable), result)
}

// pairs goes through two lists of the same length.
func pairs(function string, a, b ref.Val, each func(at int, x, y ref.Val) *types.Err) ref.Val {
	x, y, ok := twoLists(a, b)
	if !ok {
		return types.NewErr("%s() is for lists, got %s", function, a.Type().TypeName())
	}
	at := 0
	for i, j := x.Iterator(), y.Iterator(); i.HasNext() == types.True && j.HasNext() == types.True; at++ {
		if err := each(at, i.Next(), j.Next()); err != nil {
			return err
		}
	}
	return nil
}

func noKey(function string, at int, key ref.Val) *types.Err {
	return types.NewErr("%s(): the key of item %d is %s; a key is a text, an integer or true or false",
		function, at, shown(key)).(*types.Err)
}

// groupBy is a map from each key to the list of the elements that have it, in their order.
func groupBy(args []ref.Val) ref.Val {
	groups := map[ref.Val][]ref.Val{}
	var keys []ref.Val
	if err := pairs("groupBy", args[0], args[1], func(at int, v, k ref.Val) *types.Err {
		key, ok := mapKey(k)
		if !ok {
			return noKey("groupBy", at, k)
		}
		if groups[key] == nil {
			keys = append(keys, key)
		}
		groups[key] = append(groups[key], v)
		return nil
	}); err != nil {
		return err
	}
	b := newRecord(len(keys))
	for _, key := range keys {
		b.put(key, types.NewRefValList(types.DefaultTypeAdapter, groups[key]))
	}
	return b.value()
}

// uniqueBy keeps the first element of each key; a key may be any value.
func uniqueBy(args []ref.Val) ref.Val {
	set := valueSet{}
	var kept []ref.Val
	if err := pairs("uniqueBy", args[0], args[1], func(_ int, v, key ref.Val) *types.Err {
		if hash := hashOf(key); !set.find(key, hash) {
			set[hash] = append(set[hash], key)
			kept = append(kept, v)
		}
		return nil
	}); err != nil {
		return err
	}
	return types.NewRefValList(types.DefaultTypeAdapter, kept)
}

// toMap makes an object of keys and values. Two values for one key are an error, because one of them would be lost.
func toMap(args []ref.Val) ref.Val {
	b := newRecord(int(length(args[0]))) //nolint:gosec // it is in memory
	if err := pairs("toMap", args[0], args[1], func(at int, k, v ref.Val) *types.Err {
		key, ok := mapKey(k)
		if !ok {
			return noKey("toMap", at, k)
		}
		if have, twice := b.entries[key]; twice && types.Equal(have, v) != types.True {
			return types.NewErr("toMap(): item %d has the key %s of an earlier one and another value; "+
				"keep the first of each with uniqueBy, or all with groupBy", at, shown(key)).(*types.Err)
		}
		b.put(key, v)
		return nil
	}); err != nil {
		return err
	}
	return b.value()
}

// shown is a value as messages show it.
func shown(v ref.Val) string {
	switch v := v.(type) {
	case types.String:
		return fmt.Sprintf("%q", Shorten(string(v)))
	case types.Null:
		return "null"
	case types.Bool, types.Int, types.Uint, types.Double:
		return fmt.Sprint(v.Value())
	case traits.Lister:
		return "a list"
	case traits.Mapper:
		return "an object"
	}
	return "a " + v.Type().TypeName()
}
