package expr

import (
	"maps"
	"slices"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// adapter turns Go values into those of the language. The keys of an object that is read from JSON come in alphabetical order: a list
// that is made from them is the same whenever it is made. Lists keep the standard adapter, with which macros go through them as they are.
type adapter struct{ types.Adapter }

var values = adapter{types.DefaultTypeAdapter}

// NativeToValue implements types.Adapter.
func (a adapter) NativeToValue(v any) ref.Val {
	if entries, ok := v.(map[string]any); ok {
		return object{types.NewStringInterfaceMap(a.Adapter, entries), entries}
	}
	return a.Adapter.NativeToValue(v)
}

// object is an object that was read from JSON.
type object struct {
	traits.Mapper
	entries map[string]any
}

// Iterator goes through the keys.
func (o object) Iterator() traits.Iterator {
	return types.NewStringList(types.DefaultTypeAdapter, slices.Sorted(maps.Keys(o.entries))).Iterator()
}

// record is a map whose keys have an order.
type record struct {
	traits.Mapper
	keys []ref.Val
}

// Iterator goes through the keys in their order.
func (r record) Iterator() traits.Iterator {
	return types.NewRefValList(types.DefaultTypeAdapter, r.keys).Iterator()
}

// recordBuilder makes a record; a key keeps the place of its first entry.
type recordBuilder struct {
	keys    []ref.Val
	entries map[ref.Val]ref.Val
}

func newRecord(size int) *recordBuilder {
	return &recordBuilder{make([]ref.Val, 0, size), make(map[ref.Val]ref.Val, size)}
}

func (b *recordBuilder) put(key, value ref.Val) {
	if _, have := b.entries[key]; !have {
		b.keys = append(b.keys, key)
	}
	b.entries[key] = value
}

func (b *recordBuilder) value() ref.Val { return record{types.NewRefValMap(values, b.entries), b.keys} }

// mapKey is a value as a key of a map; 1, 1u and 1.0 are the same key.
func mapKey(v ref.Val) (key ref.Val, ok bool) {
	switch v := v.(type) {
	case types.String, types.Bool, types.Int:
		return v, true
	case types.Uint:
		if v <= 1<<62 {
			return types.Int(v), true
		}
	case types.Double:
		if i := types.Int(v); v >= -maxExactInt && v <= maxExactInt && types.Double(i) == v {
			return i, true
		}
	}
	return nil, false
}

// mergeMaps puts the entries of the right map over those of the left.
func mergeMaps(args []ref.Val) ref.Val {
	left, ok1 := args[0].(traits.Mapper)
	right, ok2 := args[1].(traits.Mapper)
	if !ok1 || !ok2 {
		return types.NewErr("merge() joins two objects, got %s and %s", args[0].Type().TypeName(), args[1].Type().TypeName())
	}
	b := newRecord(int(length(left) + length(right))) //nolint:gosec // both are in memory
	for _, m := range []traits.Mapper{left, right} {
		for it := m.Iterator(); it.HasNext() == types.True; {
			name := it.Next()
			key, ok := mapKey(name)
			if !ok {
				return types.NewErr("merge(): %s is no key of an object", shown(name))
			}
			b.put(key, m.Get(name))
		}
	}
	return b.value()
}
