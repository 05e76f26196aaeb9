package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// Parse reads a plan in JSON or YAML, or a JSON string that holds either, and brings it into canonical form: aliases
// and shorthands become warnings with the fix that writes them out. The plan is nil when nothing useful could be read;
// a plan beside findings that are errors is there for [Compile] to find the rest, and must not run. Paths of findings
// are JSON pointers into the plan; each fix assumes that the fixes of the findings before it were applied.
func Parse(source []byte, lim Limits) (*schemas.Plan, []schemas.Finding) {
	lim = lim.filled()
	d := &decoder{lim: lim, out: findings{max: lim.MaxFindings}, table: planFields}
	t, ok := d.read(source, true)
	if !ok {
		return nil, d.out.result()
	}
	p := d.plan(&t)
	return p, d.out.result()
}

// read turns the source into a tree whose top is an object.
func (d *decoder) read(source []byte, mayBeText bool) (document.Tree, bool) {
	if len(source) > d.lim.MaxBytes {
		d.out.errorf(codeTooLarge, "", "the plan has %d bytes; at most %d are allowed", len(source), d.lim.MaxBytes)
		return document.Tree{}, false
	}
	trimmed := bytes.TrimSpace(bytes.TrimPrefix(source, []byte("\xef\xbb\xbf")))
	switch {
	case len(trimmed) == 0:
		d.out.errorf(codeEmptyPlan, "", "the plan is empty")
		return document.Tree{}, false
	case trimmed[0] == '"' && json.Valid(trimmed):
		if !mayBeText {
			d.out.errorf(codeWrongType, "", "the plan is text inside text; give it as an object")
			return document.Tree{}, false
		}
		return d.read([]byte(document.Unquote(string(trimmed))), false)
	case !looksLikeJSON(trimmed):
		var ok bool
		if trimmed, ok = d.fromYAML(source); !ok {
			return document.Tree{}, false
		}
	}
	if depth := bracketDepth(trimmed); depth > d.lim.MaxDepth {
		d.out.errorf(codeTooDeep, "", "the plan is nested %d levels deep; at most %d are allowed", depth, d.lim.MaxDepth)
		return document.Tree{}, false
	}
	if err := json.Unmarshal(trimmed, new(json.RawMessage)); err != nil {
		d.syntax(source, trimmed, err)
		return document.Tree{}, false
	}
	t, err := document.Parse(string(trimmed))
	if err != nil || t.Kind != '{' {
		d.out.errorf(codeWrongType, "", "a plan is an object with nodes, got %s", t.TypeName())
		return document.Tree{}, false
	}
	if at, name := duplicateKey(&t, ""); name != "" {
		d.out.errorf(codeDuplicateKey, schemas.PointerTo(at, name), "the key %q stands twice in one object; keep one of them", expr.Shorten(name))
		return document.Tree{}, false
	}
	return t, true
}

// looksLikeJSON tells JSON from YAML: an object begins with a quoted key, and a list is never a plan.
func looksLikeJSON(s []byte) bool {
	switch s[0] {
	case '{':
		rest := bytes.TrimLeft(s[1:], " \t\r\n")
		return len(rest) == 0 || rest[0] == '"' || rest[0] == '}' || rest[0] == '{' || rest[0] == '['
	case '[', '"':
		return true
	}
	return false
}

// bracketDepth is the deepest nesting of JSON text, valid or not, in one pass.
func bracketDepth(s []byte) int {
	depth, deepest, inside := 0, 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case inside && c == '\\':
			i++
		case c == '"':
			inside = !inside
		case inside:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}

// syntax reports a JSON error with its line and column.
func (d *decoder) syntax(source, trimmed []byte, err error) {
	var bad *json.SyntaxError
	if !errors.As(err, &bad) {
		d.out.errorf(codeSyntax, "", "not valid JSON: %v", err)
		return
	}
	offset := int(bad.Offset) - 1
	if start := bytes.Index(source, trimmed); start > 0 {
		offset += start
	} else {
		source = trimmed
	}
	offset = max(0, min(offset, len(source)))
	line := 1 + bytes.Count(source[:offset], []byte("\n"))
	column := len([]rune(string(source[bytes.LastIndexByte(source[:offset], '\n')+1:offset]))) + 1
	d.out.errorf(codeSyntax, "", "line %d, column %d: not valid JSON: %s", line, column, strings.TrimPrefix(bad.Error(), "json: "))
}

// duplicateKey finds an object that has a key twice.
func duplicateKey(t *document.Tree, at string) (where, name string) {
	if t.Kind == '{' && len(t.Names) > 1 {
		if len(t.Names) <= 16 {
			for i, a := range t.Names {
				for _, b := range t.Names[:i] {
					if a == b {
						return at, a
					}
				}
			}
		} else {
			seen := make(map[string]bool, len(t.Names))
			for _, name := range t.Names {
				if seen[name] {
					return at, name
				}
				seen[name] = true
			}
		}
	}
	for i := range t.Items {
		if k := t.Items[i].Kind; k != '{' && k != '[' {
			continue
		}
		part := fmt.Sprint(i)
		if t.Kind == '{' {
			part = t.Names[i]
		}
		if where, name := duplicateKey(&t.Items[i], schemas.PointerTo(at, part)); name != "" {
			return where, name
		}
	}
	return "", ""
}
