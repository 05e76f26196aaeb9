package document

import (
	"encoding/json"
	"testing"
)

func TestMemberAndElementReadWithoutDecoding(t *testing.T) {
	const doc = ` { "a" : [ 1 , "x]\"" , {"b": [ [ ] , -2.5e3 ]} , true,null ] , "k\u0065y":"v", "": {} ,"last":7}`
	for _, tt := range []struct {
		name string
		path []any
		want string // empty: there is none
	}{
		{"number", []any{"a", 0}, `1`},
		{"string with a quote and a bracket", []any{"a", 1}, `"x]\""`},
		{"object", []any{"a", 2}, `{"b": [ [ ] , -2.5e3 ]}`},
		{"within", []any{"a", 2, "b", 1}, `-2.5e3`},
		{"an empty list", []any{"a", 2, "b", 0}, `[ ]`},
		{"true", []any{"a", 3}, `true`},
		{"null", []any{"a", 4}, `null`},
		{"escaped name", []any{"key"}, `"v"`},
		{"empty name", []any{""}, `{}`},
		{"last", []any{"last"}, `7`},
		{"no such key", []any{"b"}, ``},
		{"no such item", []any{"a", 5}, ``},
		{"a key of a list", []any{"a", "b"}, ``},
		{"an item of an object", []any{0}, ``},
		{"inside a text", []any{"key", "v"}, ``},
		{"inside an empty object", []any{"", "x"}, ``},
	} {
		at, ok := []byte(doc), true
		for _, step := range tt.path {
			switch step := step.(type) {
			case string:
				at, ok = Member(at, step)
			case int:
				at, ok = Element(at, step)
			}
		}
		if ok != (tt.want != "") || string(at) != tt.want {
			t.Errorf("%s: got %q, %v, want %q", tt.name, at, ok, tt.want)
		}
	}
}

// Whatever the document, what is found is a value of it, and the same as a tree has.
func FuzzMember(f *testing.F) {
	f.Add(`{"a":[1,{"b":"c"}],"d":null}`, "a", 1)
	f.Fuzz(func(t *testing.T, doc, name string, index int) {
		tree, err := Parse(doc)
		if err != nil {
			Member([]byte(doc), name)
			Element([]byte(doc), index)
			return
		}
		if v, ok := Member([]byte(doc), name); ok && !json.Valid(v) || ok != (tree.Kind == '{' && tree.Get(name) != nil) {
			t.Errorf("%q of %s: %q, %v", name, doc, v, ok)
		}
		if v, ok := Element([]byte(doc), index); ok && !json.Valid(v) || ok != (tree.Kind == '[' && index >= 0 && index < len(tree.Items)) {
			t.Errorf("%d of %s: %q, %v", index, doc, v, ok)
		}
	})
}
