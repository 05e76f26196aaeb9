package redact

import (
	"bytes"
	"encoding/json"
	"strings"
)

// JSON replaces secrets in the strings and names of a JSON document. A document without one keeps its bytes; numbers stay as they are.
func (r *Redactor) JSON(raw json.RawMessage) json.RawMessage {
	if r == nil || len(raw) == 0 {
		return raw
	}
	set := r.sets.Load()
	if set == nil || bytes.IndexByte(raw, '\\') < 0 && !set.data.in(raw) {
		return raw
	}
	var out []byte
	from := 0 // what is before is in out
	for i := 0; i < len(raw); {
		if raw[i] != '"' {
			next := bytes.IndexByte(raw[i:], '"')
			if next < 0 {
				break
			}
			i += next
		}
		end, escaped := endOfString(raw, i)
		if end < 0 {
			break // not JSON
		}
		if clean, changed := set.data.literal(raw[i:end], escaped); changed {
			out = append(append(out, raw[from:i]...), clean...)
			from = end
		}
		i = end
	}
	if from == 0 {
		return raw
	}
	return append(out, raw[from:]...)
}

// endOfString is where the string that begins at i ends, after its quote; -1: it does not. escaped reports whether it has an escape.
func endOfString(raw []byte, i int) (end int, escaped bool) {
	for j := i + 1; j < len(raw); j++ {
		switch raw[j] {
		case '\\':
			escaped = true
			j++
		case '"':
			return j + 1, escaped
		}
	}
	return -1, escaped
}

// literal replaces secrets in a string as JSON has it, with its quotes.
func (m *matcher) literal(raw []byte, escaped bool) (clean []byte, changed bool) {
	if len(raw) < MinLength+2 {
		return raw, false
	}
	if !escaped && !m.in(raw) {
		return raw, false
	}
	text := string(raw[1 : len(raw)-1])
	if escaped && json.Unmarshal(raw, &text) != nil {
		return raw, false
	}
	replaced := m.replace(text)
	if replaced == text {
		return raw, false
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(replaced) != nil {
		return raw, false // not reached: a string can be encoded
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), true
}
