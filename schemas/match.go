package schemas

import (
	"encoding/json"
	"strconv"
)

// Matches reports whether every member of the filter is a member of the document with an equal value. The order of members
// does not matter, and 1 equals 1.0. An empty filter matches everything; a document that is not an object matches only an
// empty filter.
func Matches(filter Object, document []byte) bool {
	if len(filter) == 0 {
		return true
	}
	var want, have map[string]any
	if Decode(filter, &want) != nil {
		return false
	}
	if Decode(document, &have) != nil {
		return len(want) == 0
	}
	for name, v := range want {
		if got, ok := have[name]; !ok || !equalTree(v, got) {
			return false
		}
	}
	return true
}

func equalTree(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		return ok && (a == b || equalNumber(a, b))
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !equalTree(a[i], b[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for name, v := range a {
			if other, ok := b[name]; !ok || !equalTree(v, other) {
				return false
			}
		}
		return true
	}
	return a == b
}

// exact is the first integer whose successor a float64 cannot represent.
const exact = 1 << 53

func equalNumber(a, b json.Number) bool {
	x, errX := strconv.ParseFloat(string(a), 64)
	y, errY := strconv.ParseFloat(string(b), 64)
	return errX == nil && errY == nil && x == y && x > -exact && x < exact
}
