package redact

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// formsOf is a value and the forms in which it is passed on: escaped as in URLs, in JSON (also as PHP and Python write it) and in HTML, in
// hexadecimal digits, and in base64, also with other text before and after it.
func formsOf(v string) []string {
	forms := []string{v}
	add := func(form string) {
		if form != v {
			forms = append(forms, form)
		}
	}
	for _, escaped := range []string{url.QueryEscape(v), url.PathEscape(v)} {
		add(escaped)
		add(lowerEscapes(escaped))
	}
	for _, escaped := range inJSON(v) {
		add(escaped)
		for _, twice := range inJSON(escaped) {
			add(twice)
		}
	}
	add(strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(v))
	add(html.EscapeString(v))
	digits := hex.EncodeToString([]byte(v))
	add(digits)
	add(strings.ToUpper(digits))
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			if form := inBase64(encoding, v, before); len(form) > MinLength {
				add(form)
			}
		}
	}
	return forms
}

// inJSON lists the ways in which programs write v as the inside of a JSON string: as Go does, which escapes <, > and & too, with / escaped,
// and with all that is not ASCII escaped.
func inJSON(v string) []string {
	quoted, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	plain := string(quoted[1 : len(quoted)-1])
	list := []string{plain}
	slash := strings.ReplaceAll(plain, "/", `\/`)
	for _, form := range []string{slash, ascii(plain), ascii(slash)} {
		if !slices.Contains(list, form) {
			list = append(list, form)
		}
	}
	return list
}

// ascii escapes what is not ASCII as UTF-16.
func ascii(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// inBase64 is what is the same in every base64 text that has v after so many bytes (modulo 3): the characters of which all bits are
// of v.
func inBase64(encoding *base64.Encoding, v string, before int) string {
	text := encoding.EncodeToString([]byte(strings.Repeat("\x00", before) + v))
	first := (before*8 + 5) / 6
	last := (before + len(v)) * 8 / 6
	return text[first:last]
}

// lowerEscapes writes %2F as %2f.
func lowerEscapes(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], strings.ToLower(string(b[i+1:i+3])))
		}
	}
	return string(b)
}
