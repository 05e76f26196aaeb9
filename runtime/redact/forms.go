package redact

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"strings"
)

// formsOf is a value and the forms in which it is passed on: escaped as in URLs, in JSON and in HTML, in hexadecimal digits, and in
// base64, also with other text before and after it.
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
	if quoted, err := json.Marshal(v); err == nil { // also <, > and & are escaped
		add(string(quoted[1 : len(quoted)-1]))
		twice, err := json.Marshal(string(quoted[1 : len(quoted)-1]))
		if err == nil {
			add(string(twice[1 : len(twice)-1]))
		}
	}
	add(strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(v))
	add(html.EscapeString(v))
	digits := hex.EncodeToString([]byte(v))
	add(digits)
	add(strings.ToUpper(digits))
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			if form := inBase64(encoding, v, before); len(form) >= MinLength+2 {
				add(form)
			}
		}
	}
	return forms
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
