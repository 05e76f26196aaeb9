// Package redact keeps secrets of the configuration out of whatever leaves the program: errors, results of realms, what is stored
// of them, the log and what commands print. One [Redactor] knows the secrets of all realms; package main makes it, package realm adds
// what it reads from an envFile, and both pass texts through it. It has no hooks and imports no other room.
//
// # What is a secret
//
// Values come from env, envFile, args, headers and URLs, and from variables that the configuration names (find.go). A value is
//
//   - a secret, if its name says so (names.go: password, API key, token, …) and it is neither a common word nor a path, or if it looks
//     random or begins like a known kind of key, whatever its name is;
//   - private, if it is none of that but not ordinary either: no number, path, address, version or single word;
//   - else ordinary, and never replaced. So is what is shorter than six characters, and a number of less than eight digits.
//
// Secrets are replaced in everything. Private values are replaced in texts (errors, stderr, the log), and not in data (results and
// definitions of tools), which would no longer be what the realm has answered.
//
// A secret is replaced also in parts and other forms (forms.go): what follows a scheme such as Basic or Bearer, user and
// password inside Basic, values in JSON, in a connection string or a query, the parts of a JWT, the lines of a key file; escaped as in
// URLs, JSON and HTML, in hexadecimal digits, and in base64 with anything around it. In a text, the beginning of a secret at the end of
// a line, and its rest at the beginning of the next, are replaced too.
package redact

import (
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Mark replaces a secret.
const Mark = "«redacted»"

// Redactor replaces known secrets. Its methods are safe for concurrent use. A nil Redactor knows none.
type Redactor struct {
	mu    sync.Mutex
	known map[string]level // plain values
	sets  atomic.Pointer[sets]
}

// sets is what is replaced. It is immutable.
type sets struct {
	text, data *matcher
}

// New returns a Redactor without secrets.
func New() *Redactor { return &Redactor{} }

// Add adds secrets. What was added before stays known: a realm may still repeat it.
func (r *Redactor) Add(secrets *Secrets) {
	if r == nil || len(secrets.found) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[string]level{}
	}
	grown := false
	for value, l := range secrets.found {
		if l > r.known[value] {
			r.known[value], grown = l, true
		}
	}
	if !grown {
		return
	}
	var all, certain, plain []string
	for value, l := range r.known {
		forms := formsOf(value)
		all = append(all, forms...)
		if l == secret {
			certain, plain = append(certain, forms...), append(plain, value)
		}
	}
	r.sets.Store(&sets{text: newMatcher(all, plain), data: newMatcher(certain, nil)})
}

// Text replaces secrets and private values in a text for a person, a model or the log.
func (r *Redactor) Text(s string) string {
	if r == nil {
		return s
	}
	if set := r.sets.Load(); set != nil {
		return set.text.replaceLines(s)
	}
	return s
}

// Data replaces secrets in a text that is data.
func (r *Redactor) Data(s string) string {
	if r == nil {
		return s
	}
	if set := r.sets.Load(); set != nil {
		return set.data.replace(s)
	}
	return s
}

// Writer redacts what is written to w as [Redactor.Text]. Each Write should have whole lines: a secret that is split between two is
// found only if they are split at the end of a line.
func (r *Redactor) Writer(w io.Writer) io.Writer { return &writer{r, w} }

type writer struct {
	r *Redactor
	w io.Writer
}

func (w *writer) Write(p []byte) (int, error) {
	text := string(p)
	clean := w.r.Text(text)
	if clean == text {
		return w.w.Write(p)
	}
	if _, err := io.WriteString(w.w, clean); err != nil {
		return 0, err
	}
	return len(p), nil
}

// matcher replaces any of a set of strings.
type matcher struct {
	byHead map[uint32][]string // by their first four bytes; longest first
	pairs  [1 << 13]uint8      // a bit for each pair of first bytes: most positions of a text are passed over by it
	plain  []string            // values of which parts at the ends of lines are replaced
}

// MinLength is the length in bytes from which a value may be a secret.
const MinLength = 6

func newMatcher(values, plain []string) *matcher {
	m := &matcher{byHead: map[uint32][]string{}, plain: plain}
	for _, v := range values {
		if len(v) < MinLength {
			continue
		}
		head := headOf(v)
		m.byHead[head] = append(m.byHead[head], v)
		pair := uint(v[0])<<8 | uint(v[1])
		m.pairs[pair>>3] |= 1 << (pair & 7)
	}
	for head, list := range m.byHead {
		slices.SortFunc(list, func(a, b string) int {
			if len(a) != len(b) {
				return len(b) - len(a)
			}
			return strings.Compare(a, b)
		})
		m.byHead[head] = slices.Compact(list)
	}
	return m
}

func headOf(s string) uint32 {
	return uint32(s[0])<<24 | uint32(s[1])<<16 | uint32(s[2])<<8 | uint32(s[3])
}

// at is the length of the longest value at position i of s; 0: there is none.
func (m *matcher) at(s string, i int) int {
	if pair := uint(s[i])<<8 | uint(s[i+1]); m.pairs[pair>>3]&(1<<(pair&7)) == 0 {
		return 0
	}
	for _, v := range m.byHead[headOf(s[i:])] {
		if strings.HasPrefix(s[i:], v) {
			return len(v)
		}
	}
	return 0
}

// in reports whether a value is in b.
func (m *matcher) in(b []byte) bool {
	for i := 0; i+MinLength <= len(b); i++ {
		pair := uint(b[i])<<8 | uint(b[i+1])
		if m.pairs[pair>>3]&(1<<(pair&7)) == 0 {
			continue
		}
		for _, v := range m.byHead[uint32(pair)<<16|uint32(b[i+2])<<8|uint32(b[i+3])] {
			if len(b)-i >= len(v) && string(b[i:i+len(v)]) == v {
				return true
			}
		}
	}
	return false
}

// replace replaces every value. A text without one is returned as it is, and costs no allocation.
func (m *matcher) replace(s string) string {
	var out strings.Builder
	from := 0
	for i := 0; i+MinLength <= len(s); {
		n := m.at(s, i)
		if n == 0 {
			i++
			continue
		}
		out.WriteString(s[from:i])
		out.WriteString(Mark)
		i += n
		from = i
	}
	if from == 0 {
		return s
	}
	out.WriteString(s[from:])
	return out.String()
}

// replaceLines replaces also a value that is cut at the ends of lines.
func (m *matcher) replaceLines(s string) string {
	s = m.replace(s)
	lines := strings.Split(s, "\n")
	changed := false
	for i, line := range lines {
		body := strings.TrimRight(line, "\r")
		if cut := m.withoutParts(body); cut != body {
			lines[i], changed = cut+line[len(body):], true
		}
	}
	if !changed {
		return s
	}
	return strings.Join(lines, "\n")
}

// minPart is the length from which a part of a value is replaced at the end of a line, if it is also a third of the value.
const minPart = 8

// withoutParts replaces the beginning of a value at the end of a line, and the end of one at the beginning.
func (m *matcher) withoutParts(line string) string {
	if len(line) < minPart {
		return line
	}
	for _, v := range m.plain {
		least := max(minPart, len(v)/3)
		for n := min(len(v)-1, len(line)); n >= least; n-- {
			if strings.HasSuffix(line, v[:n]) {
				line = line[:len(line)-n] + Mark
				break
			}
		}
		for n := min(len(v)-1, len(line)); n >= least; n-- {
			if strings.HasPrefix(line, v[len(v)-n:]) {
				line = Mark + line[n:]
				break
			}
		}
	}
	return line
}
