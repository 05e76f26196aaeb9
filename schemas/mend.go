package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Mend repairs a JSON document that another server sent, so that every reader can read it and reads the same. Bytes that are not
// UTF-8 and halves of characters become U+FFFD; of a name that an object has twice the last value counts, as most readers have it;
// names that only the repair made equal are numbered. The notes say what was done. A document without flaws is returned as it is,
// without notes. A flaw is returned for a document that cannot be repaired: it is nested too deep (maxDepth 0: DefaultMaxDepth),
// has a number that readers cannot represent, or is not JSON.
func Mend(doc []byte, maxDepth int) (mended []byte, notes []string, flaw *Flaw) {
	if maxDepth <= 0 {
		maxDepth = DefaultMaxDepth
	}
	first := FindFlaw(doc, maxDepth)
	if first == nil {
		return doc, nil, nil
	}
	if first.Kind == FlawDepth || first.Kind == FlawNumber {
		return nil, nil, first
	}
	if !json.Valid(doc) {
		return nil, nil, &Flaw{Kind: first.Kind, Offset: first.Offset, Pointer: first.Pointer, Text: "it is not JSON"}
	}
	m := mender{in: doc, out: make([]byte, 0, len(doc)+64), max: maxDepth}
	m.value(0)
	if m.flaw != nil {
		m.flaw.Pointer = pointerAt(doc, m.flaw.Offset, maxDepth)
		return nil, nil, m.flaw
	}
	at := ""
	if first.Pointer != "" {
		at = ", first at " + first.Pointer
	}
	for _, done := range []struct {
		count int
		what  string
	}{
		{m.bytes, "bytes that are not UTF-8 were replaced by U+FFFD"},
		{m.halves, "escapes of half a character were replaced by U+FFFD"},
		{m.dropped, "values were dropped because their object has the name again"},
		{m.renamed, "names that were equal after that were numbered"},
	} {
		if done.count > 0 {
			notes = append(notes, strconv.Itoa(done.count)+" "+done.what+at)
			at = ""
		}
	}
	return m.out, notes, nil
}

// mender copies valid JSON and repairs it on the way.
type mender struct {
	in                              []byte
	at                              int
	out                             []byte
	max                             int
	bytes, halves, dropped, renamed int
	flaw                            *Flaw
}

// member is a member of an object in the output.
type member struct {
	name, raw string // raw: the name as it was written, without escapes
	from, to  int
}

func (m *mender) value(depth int) {
	m.space()
	if m.flaw != nil || m.at >= len(m.in) {
		return
	}
	switch c := m.in[m.at]; {
	case c == '{' || c == '[':
		if depth >= m.max {
			m.flaw = depthFlaw(m.at, m.max)
			return
		}
		m.take()
		if c == '{' {
			m.object(depth)
		} else {
			m.array(depth)
		}
	case c == '"':
		m.text()
	case c == '-' || c >= '0' && c <= '9':
		end := numberEnd(m.in, m.at)
		if text := numberFlaw(m.in[m.at:end]); text != "" {
			m.flaw = &Flaw{Kind: FlawNumber, Offset: m.at, Text: text}
			return
		}
		m.out = append(m.out, m.in[m.at:end]...)
		m.at = end
	default: // true, false, null
		for m.at < len(m.in) && m.in[m.at] >= 'a' && m.in[m.at] <= 'z' {
			m.take()
		}
	}
	m.space()
}

func (m *mender) take() {
	m.out = append(m.out, m.in[m.at])
	m.at++
}

func (m *mender) space() {
	for m.at < len(m.in) && (m.in[m.at] == ' ' || m.in[m.at] == '\n' || m.in[m.at] == '\t' || m.in[m.at] == '\r') {
		m.at++
	}
}

func (m *mender) array(depth int) {
	for m.space(); m.at < len(m.in) && m.in[m.at] != ']' && m.flaw == nil; {
		if m.in[m.at] == ',' {
			m.take()
		}
		m.value(depth + 1)
	}
	if m.flaw == nil {
		m.take()
	}
}

// object copies the members of an object and its end. A member whose name comes again is dropped at the end.
func (m *mender) object(depth int) {
	var members []member
	for m.space(); m.at < len(m.in) && m.in[m.at] != '}' && m.flaw == nil; {
		if m.in[m.at] == ',' {
			m.at++
			m.space()
		}
		at, from := len(m.out), m.at
		name := m.text()
		raw := decodedName(m.in[from+1 : m.at-1])
		members = append(members, member{name: name, raw: raw, from: at})
		m.space()
		m.take() // the colon
		m.value(depth + 1)
		members[len(members)-1].to = len(m.out)
		m.out = append(m.out, ',')
	}
	if m.flaw != nil {
		return
	}
	m.at++
	if len(members) > 0 {
		m.out = m.out[:len(m.out)-1]
		m.distinct(members)
	}
	m.out = append(m.out, '}')
}

// distinct makes the names of an object's members distinct.
func (m *mender) distinct(members []member) {
	last, byRaw, equal := map[string]int{}, map[string]int{}, false
	for i, one := range members {
		_, again := last[one.name]
		equal = equal || again
		last[one.name], byRaw[one.raw] = i, i
	}
	if !equal {
		return
	}
	start := members[0].from
	whole := bytes.Clone(m.out[start:])
	m.out = m.out[:start]
	used := map[string]bool{}
	for i, one := range members {
		if byRaw[one.raw] != i {
			m.dropped++
			continue
		}
		if len(m.out) > start {
			m.out = append(m.out, ',')
		}
		text := whole[one.from-start : one.to-start]
		if name := one.name; used[name] {
			for n := 2; used[name] || last[name] > 0; n++ {
				name = fmt.Sprintf("%s (%d)", one.name, n)
			}
			quoted, _ := Encode(name) // a string always encodes
			colon, _, _ := scanString(text, 0)
			m.out = append(append(m.out, quoted...), text[colon:]...)
			used[name] = true
			m.renamed++
			continue
		}
		used[one.name] = true
		m.out = append(m.out, text...)
	}
}

// text copies a string and returns it without escapes.
func (m *mender) text() string {
	from := len(m.out)
	plain := true
	m.take()
	for m.at < len(m.in) && m.in[m.at] != '"' {
		c := m.in[m.at]
		switch {
		case c == '\\' && m.at+1 < len(m.in) && m.in[m.at+1] == 'u':
			plain = false
			size, ok := unicodeEscape(m.in[m.at:])
			if ok {
				m.out = append(m.out, m.in[m.at:m.at+size]...)
			} else {
				m.out = append(m.out, `\ufffd`...)
				m.halves++
			}
			m.at += size
		case c == '\\':
			plain = false
			m.take()
			m.take()
		case c < utf8.RuneSelf:
			m.take()
		default:
			r, size := utf8.DecodeRune(m.in[m.at:])
			if r == utf8.RuneError && size == 1 {
				m.bytes++
			}
			m.out = utf8.AppendRune(m.out, r)
			m.at += size
		}
	}
	m.take()
	if text := m.out[from+1 : len(m.out)-1]; plain {
		return string(text)
	}
	return decodedName(m.out[from+1 : len(m.out)-1])
}
