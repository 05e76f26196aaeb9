package expr

import (
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// maxExactInt is the largest integer up to which a double represents every integer.
const maxExactInt = 1 << 53

// mixedArithmetic is an operator that widens an integer beside a double. An integer that a double cannot hold exactly
// is an error, because the result would be silently wrong.
func mixedArithmetic(operator string) func(a, b ref.Val) ref.Val {
	return func(a, b ref.Val) ref.Val {
		a, b = widen(a, b), widen(b, a)
		if types.IsError(a) {
			return a
		}
		if types.IsError(b) {
			return b
		}
		switch operator {
		case operators.Add:
			if tooLong(a, b) {
				return types.NewErr("the text would be longer than %d bytes", maxText)
			}
			if list, ok := together(a, b); ok {
				return list
			}
			if v, ok := a.(traits.Adder); ok {
				return v.Add(b)
			}
		case operators.Subtract:
			if v, ok := a.(traits.Subtractor); ok {
				return v.Subtract(b)
			}
		case operators.Multiply:
			if v, ok := a.(traits.Multiplier); ok {
				return v.Multiply(b)
			}
		case operators.Divide:
			if v, ok := a.(traits.Divider); ok {
				return v.Divide(b)
			}
		}
		return types.NewErr("no such overload: %s %s %s", a.Type().TypeName(), operator, b.Type().TypeName())
	}
}

// tooLong reports whether the sum of two texts or byte strings is longer than one call may make.
func tooLong(a, b ref.Val) bool { return flat(a)+flat(b) > maxText && flat(a) > 0 }

// together puts two lists into one. CEL would keep both, and a list of lists of lists takes long to read. A list that a macro builds
// grows in place instead.
func together(a, b ref.Val) (ref.Val, bool) {
	if _, grows := a.(traits.MutableLister); grows {
		return nil, false
	}
	x, y, ok := twoLists(a, b)
	if !ok {
		return nil, false
	}
	all := make([]ref.Val, 0, length(x)+length(y))
	for _, list := range []traits.Lister{x, y} {
		for it := list.Iterator(); it.HasNext() == types.True; {
			all = append(all, it.Next())
		}
	}
	return types.NewRefValList(types.DefaultTypeAdapter, all), true
}

// widen turns an integer into a double when the other operand is one.
func widen(v, other ref.Val) ref.Val {
	if _, ok := other.(types.Double); !ok {
		return v
	}
	switch n := v.(type) {
	case types.Int:
		if n > maxExactInt || n < -maxExactInt {
			return types.NewErr("%d is too large to calculate with a double exactly; convert it with double(…)", int64(n))
		}
		return types.Double(n)
	case types.Uint:
		if n > maxExactInt {
			return types.NewErr("%d is too large to calculate with a double exactly; convert it with double(…)", uint64(n))
		}
		return types.Double(n)
	}
	return v
}
