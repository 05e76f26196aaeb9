package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text that a server, a client or an agent wrote is cleaned and cut here before it is shown to a model or a person.

// Ellipsis is the usual mark of [Cut].
const Ellipsis = "…"

// terminalEscape is an escape sequence of a terminal, such as a colour.
var terminalEscape = regexp.MustCompile(`\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])|\x{9b}[0-9;:?]*[@-~]`)

// Hidden reports whether a reader does not see r and a model does: controls except tab and newline, zero-width and direction
// marks, tags, variation selectors, private use, and bytes that are not UTF-8.
func Hidden(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r), r == utf8.RuneError:
		return true
	case r >= 0xFE00 && r <= 0xFE0F, r >= 0xE0100 && r <= 0xE01EF, r == 0x115F, r == 0x1160, r == 0x3164, r == 0x2028, r == 0x2029:
		return true
	}
	return false
}

// HasHidden reports whether a text has characters that a reader does not see.
func HasHidden(s string) bool { return strings.ContainsFunc(s, Hidden) }

// HasHiddenJSON reports whether a string or a name in a JSON document has them, literally or as an escape.
func HasHiddenJSON(doc []byte) bool {
	if !bytes.Contains(doc, []byte(`\u`)) && !bytes.ContainsFunc(doc, func(r rune) bool { return r > '~' && Hidden(r) }) {
		return false
	}
	for d := json.NewDecoder(bytes.NewReader(doc)); ; {
		token, err := d.Token()
		if err != nil {
			return false // the end, or invalid JSON, which is detected elsewhere
		}
		if s, ok := token.(string); ok && HasHidden(s) {
			return true
		}
	}
}

// CleanJSON cleans every string and name in a JSON document and cuts it to limit bytes with mark; a document without hidden
// characters stays as it is, and one that is not JSON becomes nil.
func CleanJSON(doc []byte, limit int, mark string) []byte {
	if !HasHiddenJSON(doc) {
		return doc
	}
	var v any
	if Decode(doc, &v) != nil {
		return nil
	}
	out, err := Encode(cleanValue(v, limit, mark))
	if err != nil {
		return nil
	}
	return out
}

func cleanValue(v any, limit int, mark string) any {
	switch v := v.(type) {
	case string:
		return Cut(Clean(v), limit, mark)
	case []any:
		for i := range v {
			v[i] = cleanValue(v[i], limit, mark)
		}
	case map[string]any:
		for name, item := range v {
			cleaned := Cut(Clean(name), limit, mark)
			if cleaned != name {
				delete(v, name)
			}
			v[cleaned] = cleanValue(item, limit, mark)
		}
	}
	return v
}

// WithoutEscapes removes terminal escape sequences.
func WithoutEscapes(s string) string { return terminalEscape.ReplaceAllString(s, "") }

// Clean removes terminal escape sequences and hidden characters.
func Clean(s string) string {
	if !strings.ContainsFunc(s, Hidden) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if Hidden(r) {
			return -1
		}
		return r
	}, WithoutEscapes(s))
}

// OneLine is [Clean] with every run of white space as one space.
func OneLine(s string) string { return Clean(strings.Join(strings.Fields(s), " ")) }

// FirstLine is s up to its first line end.
func FirstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// Cut shortens s to at most limit bytes, at the boundary of a character. A text that was shortened ends in mark.
func Cut(s string, limit int, mark string) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:max(0, limit-len(mark))], "") + mark
}

// Quote is a text that a caller gave, as an error repeats it: quoted, cut to limit bytes and with hidden characters as escapes.
func Quote(s string, limit int) string { return strconv.Quote(Cut(s, limit, Ellipsis)) }

// What a text of others may take in a message: names are quoted by %q, other texts, such as the errors of realms, are not.
const (
	maxQuotedText  = 200
	maxMessageText = 16 << 10
)

// Format is fmt.Sprintf for messages that callers see: a text in args, or an error's, is cut, so that a message does not repeat all
// that a caller or a realm sent.
func Format(format string, args ...any) string {
	for i, arg := range args {
		switch arg := arg.(type) {
		case string:
			if len(arg) > maxQuotedText {
				args = slices.Clone(args)
				args[i] = longText(arg)
			}
		case error:
			if text := arg.Error(); len(text) > maxQuotedText {
				args = slices.Clone(args)
				args[i] = longText(text)
			}
		}
	}
	return fmt.Sprintf(format, args...)
}

// longText is a text that is cut when it is formatted.
type longText string

// Format implements fmt.Formatter.
func (t longText) Format(f fmt.State, verb rune) {
	limit := maxMessageText
	if verb == 'q' {
		limit = maxQuotedText
	}
	fmt.Fprintf(f, fmt.FormatString(f, verb), Cut(string(t), limit, Ellipsis))
}

// EscapeHidden writes the hidden characters of a JSON document as escapes, which mean the same to who reads it.
func EscapeHidden(doc []byte) []byte {
	if !bytes.ContainsFunc(doc, Hidden) {
		return doc
	}
	var out bytes.Buffer
	for _, r := range string(doc) {
		switch {
		case !Hidden(r):
			out.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.Bytes()
}

// Visible replaces hidden characters by escapes such as \u202e, so that a person who decides sees what is there. The text stays
// as it is otherwise.
func Visible(s string) string {
	if !strings.ContainsFunc(s, Hidden) {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\x%02x`, s[i])
		case !Hidden(r):
			out.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&out, `\U%08x`, r)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
		i += size
	}
	return out.String()
}

// VisibleLine is [Visible] with line ends and tabs as spaces: one cell of a table.
func VisibleLine(s string) string {
	return Visible(strings.Join(strings.FieldsFunc(s, lineSpace), " "))
}

func lineSpace(r rune) bool { return r == '\n' || r == '\r' || r == '\t' || r == ' ' }

// Because formats a caller's reason as the end of a sentence: ": reason", or nothing for an empty one.
func Because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
