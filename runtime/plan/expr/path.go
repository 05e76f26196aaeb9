package expr

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
)

// Path is a plain path, such as nodes.order.output.items[0].sku: a root and constant steps. It is read directly from
// JSON text, without the expression language.
type Path struct {
	Root  string
	Steps []Step
	As    string // the name that the plan gives the root in place of its own; empty: none
}

// Step goes into an object by key or into a list by index.
type Step struct {
	Key   string
	Index int // -1: by key
}

// ParsePath reads text as a plain path; ok is false when it is anything more.
func ParsePath(text string) (p Path, ok bool) {
	i := 0
	name := func() (string, bool) {
		start := i
		if i >= len(text) || !isNameStart(text[i]) {
			return "", false
		}
		for i < len(text) && isNamePart(text[i]) {
			i++
		}
		return text[start:i], true
	}
	if p.Root, ok = name(); !ok {
		return Path{}, false
	}
	switch p.Root {
	case "true", "false", "null":
		return Path{}, false
	}
	if n := strings.Count(text, ".") + strings.Count(text, "["); n > 0 {
		p.Steps = make([]Step, 0, n)
	}
	for i < len(text) {
		switch text[i] {
		case '.':
			i++
			key, ok := name()
			if !ok {
				return Path{}, false
			}
			p.Steps = append(p.Steps, Step{Key: key, Index: -1})
		case '[':
			s, end, ok := parseIndex(text[i:])
			if !ok {
				return Path{}, false
			}
			p.Steps = append(p.Steps, s)
			i += end
		default:
			return Path{}, false
		}
	}
	return p, true
}

// parseIndex reads [3], ["key"] or ['key'] at the start of text; keys with escapes are left to the expression language.
func parseIndex(text string) (s Step, end int, ok bool) {
	end = strings.IndexByte(text, ']')
	if end < 2 {
		return Step{}, 0, false
	}
	body := text[1:end]
	if isQuote(body[0]) {
		last := strings.IndexByte(text[2:], body[0])
		if last < 0 {
			return Step{}, 0, false
		}
		key := text[2 : 2+last]
		if strings.ContainsAny(key, "\\\n") || 3+last >= len(text) || text[3+last] != ']' {
			return Step{}, 0, false
		}
		return Step{Key: key, Index: -1}, last + 4, true
	}
	n, err := strconv.Atoi(body)
	if err != nil || n < 0 || body[0] == '+' {
		return Step{}, 0, false
	}
	return Step{Index: n}, end + 1, true
}

// String writes the path in its shortest form.
func (p Path) String() string { return cmp.Or(p.As, p.Root) + StepsString(p.Steps) }

// StepsString writes steps as they follow a root: .output.items[0].
func StepsString(steps []Step) string {
	var b strings.Builder
	for _, s := range steps {
		switch {
		case s.Index >= 0:
			fmt.Fprintf(&b, "[%d]", s.Index)
		case IsName(s.Key):
			b.WriteString("." + s.Key)
		default:
			b.WriteString("[" + strconv.Quote(s.Key) + "]")
		}
	}
	return b.String()
}

// IsName reports whether s can follow a dot in a path.
func IsName(s string) bool {
	if s == "" || !isNameStart(s[0]) {
		return false
	}
	for i := range len(s) {
		if !isNamePart(s[i]) {
			return false
		}
	}
	return true
}

// UpTo is the path without the steps from i on; it shares the others.
func (p Path) UpTo(i int) Path {
	p.Steps = p.Steps[:i:i]
	return p
}

// Then is the path with one more step, by key.
func (p Path) Then(key string) Path {
	p.Steps = append(slices.Clone(p.Steps), Step{Key: key, Index: -1})
	return p
}

// In follows the steps of the path into a value; nil: they do not lead anywhere.
func (p Path) In(t *document.Tree) *document.Tree {
	for _, s := range p.Steps {
		t = s.In(t)
	}
	return t
}

// NodeID is the node that the path reads; empty when it reads none.
func (p Path) NodeID() string {
	if p.Root == "nodes" && len(p.Steps) > 0 && p.Steps[0].Index < 0 {
		return p.Steps[0].Key
	}
	return ""
}
