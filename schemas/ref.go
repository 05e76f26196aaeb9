package schemas

import (
	"net/url"
	"strings"
	"time"
)

// MaxAnswer is how many bytes of JSON an answer has at most, unless its caller asked for more.
const MaxAnswer = 8 << 10

// MaxAsked is how many bytes an answer has at most that was asked for by a view.
const MaxAsked = 32 << 10

// Ref says where all of an answer is read that had no room for it.
type Ref struct {
	Ref       string     `json:"ref" jsonschema:"description=get_node_output reads it"`
	Bytes     int        `json:"bytes" jsonschema:"description=of all of it"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	Hint      string     `json:"hint,omitempty"`
}

// NewRef returns a Ref to what these parts name.
func NewRef(bytes int, parts ...string) *Ref {
	escaped := make([]string, len(parts))
	for i, p := range parts {
		escaped[i] = url.PathEscape(p)
	}
	return &Ref{
		Ref: strings.Join(escaped, "/"), Bytes: bytes,
		Hint: "parts are left out: get_node_output with this ref reads all, or what a pointer names, in pages",
	}
}

// SplitRef returns the parts of a ref; nil: it is none.
func SplitRef(ref string) []string {
	parts := strings.Split(ref, "/")
	for i, p := range parts {
		var err error
		if parts[i], err = url.PathUnescape(p); err != nil {
			return nil
		}
	}
	return parts
}

// Size is the length of a value as JSON.
func Size(v any) int {
	raw, err := Encode(v)
	if err != nil { // it is not sent either
		return 0
	}
	return len(raw)
}

// fit returns the first values that together have at most so many bytes, and how many bytes they have.
func fit[T any](list []T, room int) (fitting []T, used int) {
	for i := range list {
		n := Size(list[i]) + 1
		if used+n > room {
			return list[:i:i], used
		}
		used += n
	}
	return list, used
}
