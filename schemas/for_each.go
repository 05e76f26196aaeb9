package schemas

import (
	"bytes"
	"cmp"
	"encoding/json"
)

// ForEach is the list that a node runs over. A plan may write the list, or the expression that gives it, in its place.
type ForEach struct {
	Items   Value  `json:"items,omitempty" jsonschema:"description=a list or a ${…} that gives one"`
	As      string `json:"as,omitempty" jsonschema:"description=the name of the item in expressions; item unless given"`
	IndexAs string `json:"index_as,omitempty" jsonschema:"description=the name of its index; index unless given"`

	Bare bool `json:"-"` // written as the list; findings point there
}

// Names are the names of the item and of its index in expressions.
func (f *ForEach) Names() (item, index string) {
	return cmp.Or(f.As, "item"), cmp.Or(f.IndexAs, "index")
}

// listOfItems is ForEach without its methods.
type listOfItems ForEach

// UnmarshalJSON reads the list, an expression that gives it, or {items, as, index_as}.
func (f *ForEach) UnmarshalJSON(raw []byte) error {
	if trimmed := bytes.TrimSpace(raw); len(trimmed) == 0 || trimmed[0] != '{' {
		*f = ForEach{Items: bytes.Clone(trimmed), Bare: true}
		return nil
	}
	return json.Unmarshal(raw, (*listOfItems)(f))
}

// MarshalJSON writes the list in its place where neither item nor index has a name of its own.
func (f *ForEach) MarshalJSON() ([]byte, error) {
	if f.As == "" && f.IndexAs == "" {
		return json.Marshal(f.Items)
	}
	return json.Marshal((*listOfItems)(f))
}
