package expr

import (
	"fmt"
	"strings"
)

// OneLine cuts a message of a library to one line of limited length.
func OneLine(message string) string {
	message, _, _ = strings.Cut(message, "\n")
	if len(message) > 300 {
		message = strings.ToValidUTF8(message[:297], "") + "…"
	}
	return message
}

// Shorten cuts text for messages to 80 bytes.
func Shorten(text string) string {
	if len(text) > 80 {
		return strings.ToValidUTF8(text[:77], "") + "…"
	}
	return text
}

// NameList prints up to limit names.
func NameList(names []string, limit int) string {
	more := ""
	if len(names) > limit {
		more = fmt.Sprintf(" and %d more", len(names)-limit)
		names = names[:limit]
	}
	short := make([]string, len(names))
	for i, name := range names {
		if len(name) > 60 {
			name = strings.ToValidUTF8(name[:57], "") + "…"
		}
		short[i] = name
	}
	return strings.Join(short, ", ") + more
}
