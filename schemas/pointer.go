package schemas

import (
	"iter"
	"slices"
	"strconv"
	"strings"
)

// Pointer writes a location, the names on the way, as a JSON pointer (RFC 6901).
func Pointer(location []string) string {
	at := ""
	for _, part := range location {
		at = PointerTo(at, part)
	}
	return at
}

// PointerTo appends one name to a JSON pointer.
func PointerTo(at, name string) string {
	if strings.ContainsAny(name, "~/") {
		name = strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
	}
	return at + "/" + name
}

// PointerToItem appends the index of a list's item to a JSON pointer.
func PointerToItem(at string, i int) string { return at + "/" + strconv.Itoa(i) }

// PointerParts are the names on the way of a JSON pointer, from the outermost inwards; the empty pointer, which is the
// whole document, has none. What stands before the first slash of an invalid pointer is left out.
func PointerParts(pointer string) iter.Seq[string] {
	return func(yield func(string) bool) {
		_, rest, more := strings.Cut(pointer, "/")
		for more {
			var part string
			if part, rest, more = strings.Cut(rest, "/"); !yield(unescapePart(part)) {
				return
			}
		}
	}
}

// Dotted writes a JSON pointer as people do: filter.items[2].id.
func Dotted(pointer string) string { return dotted(slices.Collect(PointerParts(pointer))) }

// SplitPointer takes the last name off a JSON pointer; the empty pointer gives two empty strings.
func SplitPointer(pointer string) (parent, name string) {
	cut := strings.LastIndexByte(pointer, '/')
	if cut < 0 {
		return "", ""
	}
	return pointer[:cut], unescapePart(pointer[cut+1:])
}

func unescapePart(part string) string {
	if !strings.Contains(part, "~") {
		return part
	}
	return strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
}
