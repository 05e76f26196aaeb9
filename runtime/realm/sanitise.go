package realm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ansi matches escape sequences of terminals.
var ansi = regexp.MustCompile(`\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])|\x{9b}[0-9;:?]*[@-~]`)

// hidden reports whether a character is invisible to a person but not to a model: controls, zero-width and direction marks, tags,
// variation selectors, private use.
func hidden(r rune) bool {
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

// clean removes hidden characters and escape sequences from a text of a realm and cuts it to limit bytes, so that it can be
// shown to a model or a person.
func clean(s string, limit int) string {
	if strings.IndexFunc(s, hidden) >= 0 {
		s = strings.Map(func(r rune) rune {
			if hidden(r) {
				return -1
			}
			return r
		}, ansi.ReplaceAllString(s, ""))
	}
	return cut(s, limit)
}

// cut shortens s to at most limit bytes, at the boundary of a character, and marks it as cut.
func cut(s string, limit int) string {
	const mark = "… (cut)"
	if len(s) <= limit {
		return s
	}
	end := max(0, limit-len(mark))
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + mark
}

// printable is a text for the log: one line, at most limit bytes, hidden characters escaped.
func printable(b []byte, limit int) string {
	var out strings.Builder
	for _, r := range string(b[:min(len(b), limit)]) {
		switch {
		case r == '\t':
			out.WriteByte(' ')
		case r == '\n' || hidden(r):
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			out.WriteRune(r)
		}
	}
	if len(b) > limit {
		out.WriteString("…")
	}
	return out.String()
}

// cleanJSON cleans every string in a JSON document; a document without hidden characters keeps its bytes.
func cleanJSON(raw json.RawMessage, limit int) json.RawMessage {
	if len(raw) == 0 || !mayHaveHidden(raw) {
		return raw
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	out, err := json.Marshal(cleanValue(v, limit))
	if err != nil {
		return nil
	}
	return out
}

// mayHaveHidden reports whether raw JSON may contain a hidden character, literally or escaped.
func mayHaveHidden(raw []byte) bool {
	return bytes.Contains(raw, []byte(`\u`)) || bytes.ContainsFunc(raw, func(r rune) bool { return r > 0x7e && hidden(r) })
}

func cleanValue(v any, limit int) any {
	switch v := v.(type) {
	case string:
		return clean(v, limit)
	case []any:
		for i := range v {
			v[i] = cleanValue(v[i], limit)
		}
	case map[string]any:
		for k, item := range v {
			v[k] = cleanValue(item, limit)
		}
	}
	return v
}

// textWarnings returns warnings about a definition: hidden characters, which are removed, and texts that are far too long.
func textWarnings(d definition, limit int) (found []string) {
	for _, text := range []struct{ where, what string }{{"title", d.Title}, {"description", d.Description}} {
		if strings.ContainsFunc(text.what, hidden) {
			found = append(found, "hidden characters were removed from its "+text.where)
		}
		if len(text.what) > limit {
			found = append(found, fmt.Sprintf("its %s had %d bytes and was cut", text.where, len(text.what)))
		}
	}
	for _, doc := range []struct {
		where string
		raw   json.RawMessage
	}{{"input schema", d.InputSchema}, {"output schema", d.OutputSchema}, {"annotations", d.Annotations}} {
		if hasHidden(doc.raw) {
			found = append(found, "hidden characters were removed from its "+doc.where)
		}
	}
	return found
}

// hasHidden reports whether a string or name in a JSON document has hidden characters.
func hasHidden(raw json.RawMessage) bool {
	if len(raw) == 0 || !mayHaveHidden(raw) {
		return false
	}
	for d := json.NewDecoder(bytes.NewReader(raw)); ; {
		token, err := d.Token()
		if err != nil {
			return false // the end, or invalid JSON, which is detected elsewhere
		}
		if s, ok := token.(string); ok && strings.ContainsFunc(s, hidden) {
			return true
		}
	}
}

// redactor replaces configured values, which are often secrets, in texts for logs and errors.
func redactor(values ...map[string]string) *strings.Replacer {
	var secrets []string
	for _, m := range values {
		for _, v := range m {
			if v = strings.TrimSpace(strings.TrimPrefix(v, "Bearer ")); len(v) >= minSecret {
				secrets = append(secrets, v)
			}
		}
	}
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) }) // longer ones first, which may contain shorter ones
	var pairs []string
	for _, v := range secrets {
		pairs = append(pairs, v, "***")
	}
	return strings.NewReplacer(pairs...)
}

// minSecret is the length from which a configured value is replaced; shorter ones ("1", "true") are ordinary words.
const minSecret = 6
