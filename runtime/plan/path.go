package plan

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
)

// path is a plain path, such as nodes.order.output.items[0].sku: a root and constant steps. It is read directly from
// JSON text, without the expression language.
type path struct {
	root  string
	steps []step
}

// step goes into an object by key or into a list by index.
type step struct {
	key   string
	index int // -1: by key
}

// parsePath reads text as a plain path; ok is false when it is anything more.
func parsePath(text string) (p path, ok bool) {
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
	if p.root, ok = name(); !ok {
		return path{}, false
	}
	switch p.root {
	case "true", "false", "null":
		return path{}, false
	}
	if n := strings.Count(text, ".") + strings.Count(text, "["); n > 0 {
		p.steps = make([]step, 0, n)
	}
	for i < len(text) {
		switch text[i] {
		case '.':
			i++
			key, ok := name()
			if !ok {
				return path{}, false
			}
			p.steps = append(p.steps, step{key: key, index: -1})
		case '[':
			s, end, ok := parseIndex(text[i:])
			if !ok {
				return path{}, false
			}
			p.steps = append(p.steps, s)
			i += end
		default:
			return path{}, false
		}
	}
	return p, true
}

// parseIndex reads [3], ["key"] or ['key'] at the start of text; keys with escapes are left to the expression language.
func parseIndex(text string) (s step, end int, ok bool) {
	end = strings.IndexByte(text, ']')
	if end < 2 {
		return step{}, 0, false
	}
	body := text[1:end]
	if isQuote(body[0]) {
		last := strings.IndexByte(text[2:], body[0])
		if last < 0 {
			return step{}, 0, false
		}
		key := text[2 : 2+last]
		if strings.ContainsAny(key, "\\\n") || 3+last >= len(text) || text[3+last] != ']' {
			return step{}, 0, false
		}
		return step{key: key, index: -1}, last + 4, true
	}
	n, err := strconv.Atoi(body)
	if err != nil || n < 0 || body[0] == '+' {
		return step{}, 0, false
	}
	return step{index: n}, end + 1, true
}

// String writes the path in its shortest form.
func (p path) String() string { return p.root + stepsString(p.steps) }

func stepsString(steps []step) string {
	var b strings.Builder
	for _, s := range steps {
		switch {
		case s.index >= 0:
			fmt.Fprintf(&b, "[%d]", s.index)
		case isName(s.key):
			b.WriteString("." + s.key)
		default:
			b.WriteString("[" + strconv.Quote(s.key) + "]")
		}
	}
	return b.String()
}

func isName(s string) bool {
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

// in follows the steps of the path into a value; nil: they do not lead anywhere.
func (p path) in(t *document.Tree) *document.Tree {
	for _, s := range p.steps {
		t = s.in(t)
	}
	return t
}

// nodeID is the node that the path reads; empty when it reads none.
func (p path) nodeID() string {
	if p.root == "nodes" && len(p.steps) > 0 && p.steps[0].index < 0 {
		return p.steps[0].key
	}
	return ""
}
