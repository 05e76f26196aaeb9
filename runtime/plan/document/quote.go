package document

import (
	"encoding/json"
	"strings"
)

// Unquote decodes a JSON string token.
func Unquote(token string) string {
	if body := token[1 : len(token)-1]; strings.IndexByte(body, '\\') < 0 {
		return body
	}
	var s string
	if err := json.Unmarshal([]byte(token), &s); err != nil {
		return token
	}
	return s
}

// Quote encodes s as a JSON string; <, > and & stay as they are.
func Quote(s string) string { return string(AppendQuoted(nil, s)) }

// AppendQuoted appends s as a JSON string.
func AppendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	dst = AppendEscaped(dst, s)
	return append(dst, '"')
}

// AppendEscaped appends s as the inside of a JSON string. Bytes that are not UTF-8 become U+FFFD.
func AppendEscaped(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	if !isASCII(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(dst, s[start:]...)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
