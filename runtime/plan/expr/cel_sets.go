package expr

import (
	"hash/maphash"
	"math"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// valueSet is a set of values that are equal as CEL compares them: 1, 1u and 1.0 are one. Finding a value takes the time that it takes
// to read it, not to compare it with all the others.
type valueSet map[uint64][]ref.Val

var hashSeed = maphash.MakeSeed()

// hashOf is the same for equal values.
func hashOf(v ref.Val) uint64 {
	switch v := v.(type) {
	case types.String:
		return maphash.String(hashSeed, string(v))
	case types.Bytes:
		return maphash.Bytes(hashSeed, v)
	case types.Bool:
		return maphash.Comparable(hashSeed, bool(v))
	case types.Int:
		return hashNumber(float64(v))
	case types.Uint:
		return hashNumber(float64(v))
	case types.Double:
		return hashNumber(float64(v))
	case types.Timestamp:
		return maphash.Comparable(hashSeed, v.UnixNano())
	case types.Duration:
		return maphash.Comparable(hashSeed, v.Duration)
	case *types.Optional:
		if v.HasValue() {
			return hashOf(v.GetValue()) + 1
		}
	case traits.Mapper:
		sum := uint64(2)
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			sum += maphash.Comparable(hashSeed, [2]uint64{hashOf(key), hashOf(v.Get(key))}) // in any order
		}
		return sum
	case traits.Lister:
		sum := uint64(3)
		for it := v.Iterator(); it.HasNext() == types.True; {
			sum = maphash.Comparable(hashSeed, [2]uint64{sum, hashOf(it.Next())})
		}
		return sum
	}
	return 0
}

func hashNumber(f float64) uint64 {
	return maphash.Comparable(hashSeed, math.Float64bits(f+0)) // -0 equals 0
}

// find reports whether the set has the value; the hash is the value's.
func (s valueSet) find(v ref.Val, hash uint64) bool {
	for _, other := range s[hash] {
		if types.Equal(v, other) == types.True {
			return true
		}
	}
	return false
}

func setOf(list traits.Lister) valueSet {
	s := valueSet{}
	for it := list.Iterator(); it.HasNext() == types.True; {
		v := it.Next()
		if hash := hashOf(v); !s.find(v, hash) {
			s[hash] = append(s[hash], v)
		}
	}
	return s
}

// twoLists are the arguments of a function over two lists.
func twoLists(a, b ref.Val) (x, y traits.Lister, ok bool) {
	x, ok1 := a.(traits.Lister)
	y, ok2 := b.(traits.Lister)
	return x, y, ok1 && ok2
}

// setContains reports whether a list has all values of another.
func setContains(list, values ref.Val) ref.Val {
	l, all, ok := twoLists(list, values)
	if !ok {
		return noLists(list, values)
	}
	set := setOf(l)
	for it := all.Iterator(); it.HasNext() == types.True; {
		if v := it.Next(); !set.find(v, hashOf(v)) {
			return types.False
		}
	}
	return types.True
}

func setEquivalent(args []ref.Val) ref.Val {
	if there := setContains(args[0], args[1]); there != types.True {
		return there
	}
	return setContains(args[1], args[0])
}

// setIntersects reports whether two lists have a value in common.
func setIntersects(args []ref.Val) ref.Val {
	a, b, ok := twoLists(args[0], args[1])
	if !ok {
		return noLists(args[0], args[1])
	}
	set := setOf(b)
	for it := a.Iterator(); it.HasNext() == types.True; {
		if v := it.Next(); set.find(v, hashOf(v)) {
			return types.True
		}
	}
	return types.False
}

// distinct is a list without the values that stand further in front.
func distinct(args []ref.Val) ref.Val {
	list, ok := args[0].(traits.Lister)
	if !ok {
		return types.NewErr("no such overload: distinct() of %s", args[0].Type().TypeName())
	}
	set := valueSet{}
	var kept []ref.Val
	for it := list.Iterator(); it.HasNext() == types.True; {
		v := it.Next()
		if hash := hashOf(v); !set.find(v, hash) {
			set[hash] = append(set[hash], v)
			kept = append(kept, v)
		}
	}
	return types.NewRefValList(types.DefaultTypeAdapter, kept)
}

func noLists(a, b ref.Val) ref.Val {
	return types.NewErr("no such overload: both must be lists, got %s and %s", a.Type().TypeName(), b.Type().TypeName())
}

// mapInsert adds an entry, or those of a map, to a map that a macro builds.
func mapInsert(args []ref.Val) ref.Val {
	m, ok := args[0].(traits.Mapper)
	if !ok {
		return types.NewErr("no such overload: transformMap() of %s", args[0].Type().TypeName())
	}
	if len(args) == 3 {
		return types.InsertMapKeyValue(m, args[1], args[2])
	}
	more, ok := args[1].(traits.Mapper)
	if !ok {
		return types.NewErr("no such overload: transformMapEntry() wants a map of one entry, got %s", args[1].Type().TypeName())
	}
	for it := more.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		next := types.InsertMapKeyValue(m, key, more.Get(key))
		if m, ok = next.(traits.Mapper); !ok {
			return next
		}
	}
	return m
}
