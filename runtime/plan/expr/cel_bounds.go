package expr

import (
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/decls"
	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// CEL counts the cost of a call after it was made, so one call that multiplies its arguments could take all memory or
// hours before the count stops it. These functions are measured before.
const (
	maxText = 4 << 20     // bytes of a text that one call makes
	maxWork = 100_000_000 // comparisons that one call makes
)

// measure estimates what a call would take.
type measure func(args []ref.Val) (text, work int)

var measures = map[string]measure{
	"join":            measureJoin,
	"replace":         measureReplace,
	"format":          func(args []ref.Val) (int, int) { return textSize(args[0]) + textSize(args[1]), 0 },
	"indexOf":         func(args []ref.Val) (int, int) { return 0, textSize(args[0]) * textSize(args[1]) },
	"lastIndexOf":     func(args []ref.Val) (int, int) { return 0, textSize(args[0]) * textSize(args[1]) },
	"distinct":        func(args []ref.Val) (int, int) { return 0, length(args[0]) * length(args[0]) },
	"sets.contains":   measurePairs,
	"sets.equivalent": measurePairs,
	"sets.intersects": measurePairs,
	"hasOnly":         measurePairs,
	"hasAny":          measurePairs,
	"hasAll":          measurePairs,
	"hasExactly":      measurePairs,
	"strings.quote":   func(args []ref.Val) (int, int) { return 2 * textSize(args[0]), 0 },
	"base64.encode":   func(args []ref.Val) (int, int) { return 2 * textSize(args[0]), 0 },
}

func measurePairs(args []ref.Val) (int, int) { return 0, length(args[0]) * length(args[1]) }

func measureJoin(args []ref.Val) (int, int) {
	size := textSize(args[0])
	if len(args) > 1 {
		size += length(args[0]) * textSize(args[1])
	}
	return size, 0
}

func measureReplace(args []ref.Val) (int, int) {
	s, ok1 := args[0].(types.String)
	old, ok2 := args[1].(types.String)
	with, ok3 := args[2].(types.String)
	if !ok1 || !ok2 || !ok3 {
		return 0, 0
	}
	count := utf8.RuneCountInString(string(s)) + 1
	if old != "" {
		count = strings.Count(string(s), string(old))
	}
	return len(s) + count*len(with), 0
}

func length(v ref.Val) int {
	if sized, ok := v.(traits.Sizer); ok {
		if n, ok := sized.Size().(types.Int); ok {
			return int(n)
		}
	}
	return 0
}

// textSize counts the bytes that a value takes as text, until there are more than allowed.
func textSize(v ref.Val) int {
	switch v := v.(type) {
	case types.String:
		return len(v)
	case types.Bytes:
		return len(v)
	case traits.Mapper:
		size := 2
		for it := v.Iterator(); it.HasNext() == types.True && size <= maxText; {
			key := it.Next()
			size += textSize(key) + textSize(v.Get(key)) + 4
		}
		return size
	case traits.Lister:
		size := 2
		for it := v.Iterator(); it.HasNext() == types.True && size <= maxText; {
			size += textSize(it.Next()) + 2
		}
		return size
	}
	return 8
}

// boundedFunctions declares the measured functions of an environment again; each call is measured before it is made.
func boundedFunctions(e *cel.Env) ([]cel.EnvOption, error) {
	var options []cel.EnvOption
	for name, m := range measures {
		f := e.Functions()[name]
		if f == nil {
			continue
		}
		bindings, err := f.Bindings()
		if err != nil {
			return nil, err
		}
		var again []cel.FunctionOpt
		for _, o := range f.OverloadDecls() {
			for _, b := range bindings {
				if b.Operator == o.ID() {
					again = append(again, redeclare(o, bounded(name, m, b)))
				}
			}
		}
		options = append(options, cel.Function(name, again...))
	}
	return options, nil
}

func redeclare(o *decls.OverloadDecl, call func(args ...ref.Val) ref.Val) cel.FunctionOpt {
	var binding cel.OverloadOpt
	switch len(o.ArgTypes()) {
	case 1:
		binding = cel.UnaryBinding(func(v ref.Val) ref.Val { return call(v) })
	case 2:
		binding = cel.BinaryBinding(func(a, b ref.Val) ref.Val { return call(a, b) })
	default:
		binding = cel.FunctionBinding(call)
	}
	if o.IsMemberFunction() {
		return cel.MemberOverload(o.ID(), o.ArgTypes(), o.ResultType(), binding)
	}
	return cel.Overload(o.ID(), o.ArgTypes(), o.ResultType(), binding)
}

func bounded(name string, m measure, b *functions.Overload) func(args ...ref.Val) ref.Val {
	return func(args ...ref.Val) ref.Val {
		if text, work := m(args); text > maxText || work > maxWork {
			return types.NewErr("%s() is not called: its arguments are too large together", name)
		}
		switch {
		case b.Unary != nil && len(args) == 1:
			return b.Unary(args[0])
		case b.Binary != nil && len(args) == 2:
			return b.Binary(args[0], args[1])
		}
		return b.Function(args...)
	}
}

// tooLong reports whether the sum of two texts or byte strings is more than one call may make.
func tooLong(a, b ref.Val) bool {
	switch a.(type) {
	case types.String, types.Bytes:
		return textSize(a)+textSize(b) > maxText
	}
	return false
}
