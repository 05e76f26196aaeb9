package document

import (
	"regexp"
	"strings"
)

// YAML reads some texts without quotes as something else, and refuses others. Those that it refuses have one reading alone: they get quotes.

// plainField is a line with a field, and what follows its colon.
var plainField = regexp.MustCompile(`^([\t ]*(?:- +)*[A-Za-z_][\w.-]*: +)(\S.*?)\s*$`)

// quoteYAML puts quotes around the texts that YAML refuses without, and spaces in the place of tabs before lines. took says what it did;
// none: nothing is to be done.
func quoteYAML(source string) (mended string, took []string) {
	var b strings.Builder
	tabs, quoted := false, false
	block, open := -1, byte(0) // a text of several lines, which stays: more indented than block, or up to the quote open
	for line := range strings.Lines(source) {
		body := strings.TrimLeft(line, " \t")
		indent := line[:len(line)-len(body)]
		width := len(strings.ReplaceAll(indent, "\t", "  "))
		if block >= 0 && (strings.TrimSpace(body) == "" || width > block) {
			b.WriteString(line)
			continue
		}
		block = -1
		if open != 0 {
			open = openQuote(line, open)
			b.WriteString(line)
			continue
		}
		if m := blockBegins(body); m != nil {
			block = width + len(m[1])
			if m[2] == "" { // the item of a list
				block = width + max(0, strings.LastIndexByte(m[1], '-'))
			}
		}
		open = openQuote(line, 0)
		if strings.Contains(indent, "\t") {
			indent, tabs = strings.ReplaceAll(indent, "\t", "  "), true
		}
		fixed := quoteReferences(body)
		if m := plainField.FindStringSubmatch(strings.TrimRight(fixed, "\r\n")); m != nil && needsQuotes(m[2], source) {
			fixed = m[1] + Quote(m[2]) + "\n"
		}
		quoted = quoted || fixed != body
		b.WriteString(indent + fixed)
	}
	if tabs {
		took = append(took, "tabs before lines are taken as two spaces")
	}
	if quoted {
		took = append(took, "texts that need quotes are put into quotes")
	}
	return b.String(), took
}

// blockHeader is a line after which a block of text begins: what stands before its key, and the key.
var blockHeader = regexp.MustCompile(`^((?:-[ \t]+)*)([^#\s].*?:[ \t]+)?(?:[!&]\S+[ \t]+)*[|>][-+\d]{0,2}(?:[ \t]+#.*)?$`)

// blockBegins returns the parts of a line after which a block of text begins; nil: none does.
func blockBegins(body string) []string {
	if !strings.ContainsAny(body, "|>") { // as in nearly all lines
		return nil
	}
	return blockHeader.FindStringSubmatch(strings.TrimRight(body, " \t\r\n"))
}

// openQuote is the quote that is open at the end of a line, given the one that is open where it begins; 0: none.
func openQuote(line string, inside byte) byte {
	last := byte(':')
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case inside == '"' && c == '\\', inside == '\'' && strings.HasPrefix(line[i:], "''"):
			i++
		case inside != 0 && c == inside:
			inside = 0
		case inside != 0:
		case c == '#' && (i == 0 || line[i-1] == ' '):
			return 0
		case (c == '"' || c == '\'') && strings.IndexByte(":,[{-", last) >= 0:
			inside = c
		}
		if c > ' ' {
			last = c
		}
	}
	return inside
}

// needsQuotes reports whether YAML refuses a text without quotes. A # after a space begins a comment, so that such a text has two readings.
func needsQuotes(text, source string) bool {
	if strings.Contains(text, " #") || strings.Contains(text, "{{") {
		return false
	}
	switch text[0] {
	case '"', '\'', '{', '[', '|', '>', '&', '!', '#':
		return false
	case '@', '`', '%':
		return true
	case '*':
		return !strings.Contains(source, "&"+strings.TrimPrefix(text, "*"))
	}
	return strings.Contains(text, ": ") || strings.HasSuffix(text, ":")
}

// quoteReferences puts ${…} between braces or brackets into quotes, where nothing else is part of its text.
func quoteReferences(line string) string {
	if !strings.Contains(line, "${") || !strings.ContainsAny(line, "[{") {
		return line
	}
	var b strings.Builder
	inside := byte(0)
	for i := 0; i < len(line); i++ {
		c := line[i]
		before := strings.TrimRight(b.String(), " ")
		switch {
		case inside != 0:
			if c == '\\' && inside == '"' && i+1 < len(line) {
				b.WriteByte(c)
				i++
				c = line[i]
			} else if c == inside {
				inside = 0
			}
		case c == '"' || c == '\'':
			inside = c
		case c == '#' && (i == 0 || line[i-1] == ' '):
			b.WriteString(line[i:])
			return b.String()
		case strings.HasPrefix(line[i:], "${") && before != "" && strings.IndexByte(":,[", before[len(before)-1]) >= 0:
			size := referenceSize(line[i:])
			rest := strings.TrimLeft(line[i+size:], " \t")
			if size > 0 && (rest == "" || strings.IndexByte(",}]\r\n", rest[0]) >= 0) && !strings.Contains(line[i:i+size], " #") {
				b.WriteString(Quote(line[i : i+size]))
				i += size - 1
				continue
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}

// referenceSize is the length of the ${…} that a text begins with; 0: it does not end on the line.
func referenceSize(text string) int {
	depth, inside := 0, byte(0)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\n':
			return 0
		case inside != 0:
			if c == inside {
				inside = 0
			}
		case c == '"' || c == '\'':
			inside = c
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}
