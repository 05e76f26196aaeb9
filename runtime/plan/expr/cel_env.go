package expr

import (
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/stdlib"
	"cel.dev/cel-go/ext"
)

// Roots of expressions, in the order in which they are offered.
var Roots = []string{"inputs", "nodes", "execution", "session"}

// localRoots mean something in some places alone: item and index with for_each, previous and index with repeat, output in a verification
// and in repeat, state in the condition of a wait_for. Elsewhere, and as the variable of a macro, the names are free.
var localRoots = []string{"item", "index", "previous", "output", "state"}

// Secret is the root of secrets. It is read by plain paths alone: no expression computes with a secret.
const Secret = "secret"

func isRoot(name string) bool {
	return slices.Contains(Roots, name) || slices.Contains(localRoots, name)
}

// maxRange is the longest list that lists.range makes.
const maxRange = 10_000

// celEnvironment is the one environment of the process: CEL's standard library with arithmetic that mixes integers and
// doubles, its pure extensions, and the roots.
var celEnvironment = sync.OnceValue(func() *cel.Env {
	e, err := cel.NewCustomEnv(celOptions()...)
	if err != nil {
		panic("the expression environment is fixed and must build: " + err.Error())
	}
	return e
})

// guarding is the decorator of every program: it guards the calls.
var guarding = sync.OnceValue(func() cel.ProgramOption {
	bindings, err := bindingsOf(celEnvironment())
	if err != nil {
		panic("the expression environment is fixed and must be bound: " + err.Error())
	}
	return cel.CustomDecoratorV2(guardCalls(bindings))
})

func celOptions() []cel.EnvOption {
	options := []cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(env.NewLibrarySubset().AddExcludedFunctions(slices.Concat(mixedFunctionNames(), readTextNames())...))),
		cel.CustomTypeAdapter(values),
		cel.OptionalTypes(),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserRecursionLimit(100),
		cel.ParserErrorRecoveryLimit(4),
		cel.ParserExpressionSizeLimit(64 << 10),
		ext.Strings(ext.StringsMaxPrecision(100)),
		ext.Lists(ext.ListsMaxRangeSize(maxRange)),
		ext.Math(),
		ext.Sets(),
		ext.Bindings(),
		ext.TwoVarComprehensions(),
	}
	for _, root := range slices.Concat(Roots, localRoots) {
		options = append(options, cel.Variable(root, cel.DynType))
	}
	for name := range namedRoots {
		options = append(options, cel.Variable(name, cel.DynType))
	}
	return slices.Concat(options, codecs(), mixedFunctions(), computedKeys(), caseFunctions(), timeFunctions(), regexFunctions(),
		listFunctions(), untypedLists(), absentFunctions())
}

// celNames lists the functions and macros that an author can call, sorted.
var celNames = sync.OnceValue(func() []string {
	var names []string
	for name := range celEnvironment().Functions() {
		if !strings.ContainsAny(name, "_@!-") {
			names = append(names, name)
		}
	}
	for _, m := range celEnvironment().Macros() {
		names = append(names, m.Function())
	}
	slices.Sort(names)
	return slices.Compact(names)
})

// mixedOperators are the operators that take an integer and a double at once.
var mixedOperators = map[string]string{
	operators.Add:      "add",
	operators.Subtract: "subtract",
	operators.Multiply: "multiply",
	operators.Divide:   "divide",
}

func mixedFunctionNames() []*env.Function {
	var names []*env.Function
	for name := range mixedOperators {
		names = append(names, env.NewFunction(name))
	}
	return names
}

// mixedFunctions declares the operators again, as in the standard library plus the mixed overloads.
func mixedFunctions() []cel.EnvOption {
	var options []cel.EnvOption
	for _, f := range stdlib.Functions() {
		word, ok := mixedOperators[f.Name()]
		if !ok {
			continue
		}
		var overloads []cel.FunctionOpt
		for _, o := range f.OverloadDecls() {
			overloads = append(overloads, cel.Overload(o.ID(), o.ArgTypes(), o.ResultType()))
		}
		for _, pair := range [][2]*cel.Type{{cel.IntType, cel.DoubleType}, {cel.DoubleType, cel.IntType}} {
			id := word + "_" + pair[0].String() + "_" + pair[1].String()
			overloads = append(overloads, cel.Overload(id, pair[:], cel.DoubleType))
		}
		overloads = append(overloads, cel.SingletonBinaryBinding(mixedArithmetic(f.Name())))
		options = append(options, cel.Function(f.Name(), overloads...))
	}
	return options
}
