package expr

import (
	"encoding/json"
	"sync"

	"github.com/runplane/runplane/runtime/plan/document"
)

// Value is a JSON value that is decoded once, when it is first read. It is safe for concurrent use and must not be copied.
// The bytes must not change after NewValue.
type Value struct {
	raw  json.RawMessage
	grew func(bytes int) // nil: the memory of the value is not counted

	parse   sync.Once
	tree    document.Tree
	treeErr error

	measure sync.Once
	size    int // of the decoded value in memory

	mu    sync.Mutex        // guards found
	found map[string][]byte // parts of a large value, by their paths

	convert   sync.Once
	decoded   any
	decodeErr error
}

// NewValue wraps a JSON value; empty bytes count as null.
func NewValue(raw json.RawMessage) *Value {
	if len(raw) == 0 {
		raw = json.RawMessage("null")
	}
	return &Value{raw: raw}
}

// NewCounted is NewValue for a value that is kept: grew is called with the bytes of memory that it takes beside the raw ones, when it does.
func NewCounted(raw json.RawMessage, grew func(bytes int)) *Value {
	v := NewValue(raw)
	v.grew = grew
	return v
}

// Raw returns the bytes as they came; they are shared.
func (v *Value) Raw() json.RawMessage { return v.raw }

// decodedSize estimates the bytes of memory that the decoded value takes.
func (v *Value) decodedSize() int {
	if len(v.raw) < 4096 {
		return len(v.raw) * 64
	}
	v.measure.Do(func() { v.size = document.DecodedSize(string(v.raw)) })
	return v.size
}

// Decode returns the value as maps, slices, strings, booleans, nil, int64 (integers that fit) and float64. The result
// is shared: do not change it. It fails when the bytes are not JSON.
func (v *Value) Decode() (any, error) {
	v.convert.Do(func() {
		v.decoded, v.decodeErr = document.Decode(string(v.raw))
		v.count(v.keptSize())
	})
	return v.decoded, v.decodeErr
}

func (v *Value) parsed() (*document.Tree, error) {
	v.parse.Do(func() {
		size := treePerDecoded * v.keptSize()
		if size > largeTree {
			parsing.Lock()
			defer parsing.Unlock()
		}
		v.tree, v.treeErr = document.Parse(string(v.raw))
		v.count(size)
	})
	return &v.tree, v.treeErr
}

const (
	treePerDecoded = 3       // how many times the decoded value its tree takes
	largeTree      = 4 << 20 // bytes of a tree while which is made no other such tree is
)

// parsing is held while a large tree is made: what many take at once counts only when they are complete.
var parsing sync.Mutex

// keptSize estimates the bytes of memory that the decoded value takes.
func (v *Value) keptSize() int {
	if len(v.raw) < 4096 {
		return len(v.raw) * 16 // most values are small, and not worth to be measured
	}
	return v.decodedSize()
}

func (v *Value) count(bytes int) {
	if v.grew != nil {
		v.grew(bytes)
	}
}
