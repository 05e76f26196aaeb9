package schemas

import (
	"encoding/json"
	"fmt"

	"github.com/invopop/jsonschema"
)

// Value is any JSON value, kept as the bytes that arrived, so that large integers and the order of keys are preserved.
// The zero value is absent: it marshals as null, and `omitempty` leaves it out.
type Value json.RawMessage

// MarshalJSON returns the bytes unchanged.
func (v Value) MarshalJSON() ([]byte, error) {
	if len(v) == 0 {
		return []byte("null"), nil
	}
	return v, nil
}

// UnmarshalJSON keeps a copy of the bytes.
func (v *Value) UnmarshalJSON(b []byte) error {
	*v = append((*v)[:0:0], b...)
	return nil
}

// JSONSchema names every type: a bare `true` makes some clients refuse the whole tool list.
func (Value) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Extras: map[string]any{"type": []string{"object", "array", "string", "number", "boolean", "null"}}}
}

// Object is a JSON object, kept as the bytes that arrived. The zero value is absent.
type Object json.RawMessage

// MarshalJSON returns the bytes unchanged, or {} for an absent object.
func (o Object) MarshalJSON() ([]byte, error) {
	if len(o) == 0 {
		return []byte("{}"), nil
	}
	return o, nil
}

// UnmarshalJSON keeps a copy of the bytes. Anything but an object is an error; null counts as absent.
func (o *Object) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*o = nil
		return nil
	}
	if len(b) == 0 || b[0] != '{' {
		return fmt.Errorf("want a JSON object, got %.40s", b)
	}
	*o = append((*o)[:0:0], b...)
	return nil
}

// JSONSchema describes an object with any members.
func (Object) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "object", AdditionalProperties: &jsonschema.Schema{}}
}

// JoinLists joins two JSON lists without blanks around them; an empty text is none.
func JoinLists(a, b Value) Value {
	switch {
	case len(a) <= len("[]"):
		return b
	case len(b) <= len("[]"):
		return a
	}
	joined := make(Value, 0, len(a)+len(b))
	joined = append(append(joined, a[:len(a)-1]...), ',')
	return append(joined, b[1:]...)
}
