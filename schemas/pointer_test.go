package schemas

import (
	"slices"
	"testing"
)

func TestPointerIsReadAsItWasWritten(t *testing.T) {
	for _, tt := range []struct {
		pointer      string
		parts        []string
		parent, name string
	}{
		{"", nil, "", ""},
		{"/", []string{""}, "", ""},
		{"/a", []string{"a"}, "", "a"},
		{"/a/0/b", []string{"a", "0", "b"}, "/a/0", "b"},
		{"/a~1b/m~0n/~01", []string{"a/b", "m~n", "~1"}, "/a~1b/m~0n", "~1"},
		{"/a//", []string{"a", "", ""}, "/a/", ""},
	} {
		if got := slices.Collect(PointerParts(tt.pointer)); !slices.Equal(got, tt.parts) {
			t.Errorf("parts of %q: got %q, want %q", tt.pointer, got, tt.parts)
		}
		if got := Pointer(tt.parts); got != tt.pointer {
			t.Errorf("pointer of %q: got %q, want %q", tt.parts, got, tt.pointer)
		}
		if parent, name := SplitPointer(tt.pointer); parent != tt.parent || name != tt.name {
			t.Errorf("split %q: got %q and %q, want %q and %q", tt.pointer, parent, name, tt.parent, tt.name)
		}
	}
	for part := range PointerParts("/a/b") {
		if part != "a" {
			t.Errorf("after the end of the loop: %q", part)
		}
		break
	}
	if got := Dotted("/a/0/b~1c"); got != "a[0].b/c" {
		t.Errorf("got %q", got)
	}
	if got := PointerToItem("/nodes", 12); got != "/nodes/12" {
		t.Errorf("got %q", got)
	}
}
