package plan

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/runplane/runplane/schemas"
)

// tree is a JSON value over its own text: each part keeps the bytes it was written with, so that large numbers, key
// order and whole sub-values are copied, never re-encoded.
type tree struct {
	kind  byte // { [ " 0 t f n
	raw   string
	names []string // keys of an object, in order
	items []tree   // values of an object or items of a list
}

var errNotJSON = errors.New("not valid JSON")

// parseTree reads one JSON value. The only errors are that it is no JSON or nested more than 10,000 levels.
func parseTree(text string) (tree, error) {
	if !json.Valid([]byte(text)) {
		return tree{}, errNotJSON
	}
	p := treeParser{text: text}
	p.space()
	return p.value(), nil
}

// treeParser walks text that is known to be valid.
type treeParser struct {
	text string
	at   int
}

func (p *treeParser) space() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

func (p *treeParser) value() tree {
	start := p.at
	t := tree{kind: p.text[p.at]}
	switch t.kind {
	case '{':
		p.container(func() {
			t.names = append(t.names, unquote(p.stringToken()))
			p.space()
			p.at++ // the colon
			p.space()
			t.items = append(t.items, p.value())
		})
	case '[':
		p.container(func() { t.items = append(t.items, p.value()) })
	case '"':
		p.stringToken()
	case 't', 'n':
		p.at += 4
	case 'f':
		p.at += 5
	default:
		t.kind = '0'
		for p.at < len(p.text) && strings.IndexByte("+-.0123456789eE", p.text[p.at]) >= 0 {
			p.at++
		}
	}
	t.raw = p.text[start:p.at]
	return t
}

// container walks the entries between the brackets at the position.
func (p *treeParser) container(entry func()) {
	p.at++
	p.space()
	for p.text[p.at] != '}' && p.text[p.at] != ']' {
		entry()
		p.space()
		if p.text[p.at] == ',' {
			p.at++
			p.space()
		}
	}
	p.at++
}

func (p *treeParser) stringToken() string {
	start := p.at
	for p.at++; p.text[p.at] != '"'; p.at++ {
		if p.text[p.at] == '\\' {
			p.at++
		}
	}
	p.at++
	return p.text[start:p.at]
}

// text is the decoded string; only for kind '"'.
func (t *tree) text() string { return unquote(t.raw) }

// get finds a key of an object; the last one wins, as everywhere else in JSON.
func (t *tree) get(name string) *tree {
	for i := len(t.names) - 1; i >= 0; i-- {
		if t.names[i] == name {
			return &t.items[i]
		}
	}
	return nil
}

// put replaces the key or adds it at the end.
func (t *tree) put(name string, v tree) {
	if old := t.get(name); old != nil {
		*old = v
		return
	}
	t.names, t.items = append(t.names, name), append(t.items, v)
}

// drop takes the first field of a name out of an object.
func (t *tree) drop(name string) {
	if i := slices.Index(t.names, name); i >= 0 {
		t.names = append(t.names[:i:i], t.names[i+1:]...)
		t.items = append(t.items[:i:i], t.items[i+1:]...)
	}
}

// find goes to a JSON pointer within the value; nil: there is nothing.
func (t *tree) find(pointer string) *tree {
	for part := range schemas.PointerParts(pointer) {
		if t == nil {
			return nil
		}
		switch t.kind {
		case '{':
			t = t.get(part)
		case '[':
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(t.items) {
				return nil
			}
			t = &t.items[i]
		default:
			return nil
		}
	}
	return t
}

// typeName is the word for the value's type in messages.
func (t *tree) typeName() string {
	switch t.kind {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case 't', 'f':
		return "a boolean"
	default:
		return "null"
	}
}

// jsonType is the JSON Schema type of the value.
func (t *tree) jsonType() string {
	switch t.kind {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case '0':
		if strings.ContainsAny(t.raw, ".eE") {
			return "number"
		}
		return "integer"
	case 't', 'f':
		return "boolean"
	default:
		return "null"
	}
}

// decode turns the value into Go's maps, slices, strings, booleans, nil, int64 and float64. An integer that fits is an
// int64, every other number a float64; a number beyond both is an infinity, and no JSON any more.
func (t *tree) decode() any {
	switch t.kind {
	case '{':
		m := make(map[string]any, len(t.items))
		for i := range t.items {
			m[t.names[i]] = t.items[i].decode()
		}
		return m
	case '[':
		list := make([]any, len(t.items))
		for i := range t.items {
			list[i] = t.items[i].decode()
		}
		return list
	case '"':
		return t.text()
	case 't', 'f':
		return t.kind == 't'
	case '0':
		if n, err := strconv.ParseInt(t.raw, 10, 64); err == nil {
			return n
		}
		f, _ := strconv.ParseFloat(t.raw, 64) // out of range is ±Inf
		return f
	default:
		return nil
	}
}

// appendTo writes the value in compact form.
func (t *tree) appendTo(dst []byte) []byte {
	switch t.kind {
	case '{':
		dst = append(dst, '{')
		for i := range t.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendQuoted(dst, t.names[i]), ':')
			dst = t.items[i].appendTo(dst)
		}
		return append(dst, '}')
	case '[':
		dst = append(dst, '[')
		for i := range t.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = t.items[i].appendTo(dst)
		}
		return append(dst, ']')
	default:
		return append(dst, t.raw...)
	}
}

// keys lists the names of an object, sorted.
func (t *tree) keys() []string {
	names := slices.Clone(t.names)
	slices.Sort(names)
	return slices.Compact(names)
}
