package expr

import (
	"context"
	"fmt"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// largeValue is from how many bytes on a value is not taken apart as a whole to reach a part of it.
const largeValue = 1 << 20

// maxFound is how many parts of a large value are remembered.
const maxFound = 64

// passOn appends the value that a path leads to, as it is. While a large one is loaded no other is, and nothing large is evaluated.
func passOn(ctx context.Context, dst []byte, scope Scope, p Path, lim Limits) ([]byte, error) {
	evaluated := lim.MaxPassed <= lim.MaxBound
	if id := p.NodeID(); id != "" && !evaluated {
		node, err := scope.Node(id)
		long := node.LongBytes
		if len(p.Steps) > 1 && p.Steps[1].Key == "content" {
			long += node.ContentBytes
		}
		if err == nil && long > smallEvaluation {
			release, err := reserve(ctx, 2*lim.MaxPassed)
			if err != nil {
				return nil, err
			}
			defer release()
		}
	}
	return appendPath(dst, scope, p, evaluated)
}

// appendShared appends a value; appended to nothing it is the value itself.
func appendShared(dst, value []byte) []byte {
	if dst == nil {
		return value[:len(value):len(value)]
	}
	return append(dst, value...)
}

// inside follows the steps of a path from the given one on in a large value, without taking the rest of it apart.
func (v *Value) inside(p Path, from int) ([]byte, error) {
	key := StepsString(p.Steps[from:])
	v.mu.Lock()
	defer v.mu.Unlock()
	if part, ok := v.found[key]; ok {
		return part, nil
	}
	at := []byte(v.raw)
	for i := from; i < len(p.Steps); i++ {
		s := p.Steps[i]
		var what string
		var ok bool
		if s.Index >= 0 {
			what = fmt.Sprintf("item %d", s.Index)
			at, ok = document.Element(at, s.Index)
		} else {
			what = fmt.Sprintf("key %q", s.Key)
			at, ok = document.Member(at, s.Key)
		}
		if !ok {
			return nil, schemas.Errorf(schemas.CodeExpressionError, "`%s` cannot be read: `%s` has no %s", p, p.UpTo(i), what).
				WithHint("get_node_output with a pointer shows parts of a large output; test an optional key with has(…) first")
		}
	}
	if v.found == nil {
		v.found = map[string][]byte{}
	}
	if len(v.found) < maxFound {
		v.found[key] = at
	}
	return at, nil
}
