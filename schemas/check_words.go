package schemas

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// show prints a value as JSON, shortened.
func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "a value"
	}
	return Cut(string(b), 60, Ellipsis)
}

func valueList(values []any) string {
	var parts []string
	for i, v := range values {
		if i == 12 {
			parts = append(parts, fmt.Sprintf("%d more", len(values)-12))
			break
		}
		parts = append(parts, show(v))
	}
	return strings.Join(parts, ", ")
}

func codeList(names []string, limit int) string {
	more := ""
	if len(names) > limit {
		more = fmt.Sprintf(" and %d more", len(names)-limit)
		names = names[:limit]
	}
	return "`" + strings.Join(names, "`, `") + "`" + more
}

// typeWords prints "a string", "an integer or null", "a string, a number or a list".
func typeWords(types []string) string {
	words := make([]string, len(types))
	for i, t := range types {
		switch t {
		case "null":
			words[i] = "null"
		case "array":
			words[i] = "a list"
		case "object", "integer":
			words[i] = "an " + t
		default:
			words[i] = "a " + t
		}
	}
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// pointerName formats a location for readers: `filter.items[2].id`.
func pointerName(location []string) string {
	if len(location) == 0 {
		return "the document"
	}
	return "`" + dotted(location) + "`"
}

func childName(location []string, name string) string {
	return dotted(append(slices.Clone(location), name))
}

func dotted(location []string) string {
	var b strings.Builder
	for i, part := range location {
		part = Cut(part, maxQuotedText, Ellipsis)
		switch _, err := strconv.Atoi(part); {
		case err == nil && i > 0:
			b.WriteString("[" + part + "]")
		case i > 0:
			b.WriteString("." + part)
		default:
			b.WriteString(part)
		}
	}
	return b.String()
}
