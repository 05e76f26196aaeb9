package document

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/runplane/runplane/schemas"
)

// Tree is a JSON value over its own text: each part keeps the bytes it was written with, so that large numbers, key
// order and whole sub-values are copied, never re-encoded.
type Tree struct {
	Kind  byte     // the first byte of its text: { [ " t f n, or 0 for a number
	at    uint32   // its place in its document, see Document.position; 0: not known
	key   uint32   // the place of its key, if it is a member of an object
	Raw   string   // its text; after a part of an object or a list was changed, use AppendTo
	Names []string // keys of an object, in order
	Items []Tree   // values of an object or items of a list
}

var errNotJSON = errors.New("not valid JSON")

// Parse reads one JSON value. The only errors are that it is not JSON or nested more than 10,000 levels.
func Parse(text string) (Tree, error) {
	if !json.Valid([]byte(text)) {
		return Tree{}, errNotJSON
	}
	p := treeParser{text: text, free: true}
	p.space()
	return p.value(), nil
}

// parse reads text that is known to be valid. places, where given, are those of its keys and values in their order; else
// they are the offsets in the text.
func parse(text string, places []uint32) Tree {
	p := treeParser{text: text, places: places}
	p.space()
	return p.value()
}

// treeParser walks text that is known to be valid.
type treeParser struct {
	text   string
	at     int
	places []uint32
	free   bool     // it is part of no document, so that nothing has a place
	names  []string // of the objects around the position: those read so far
	items  []Tree   // likewise, and of lists
}

// place is the place of the key or value at the position.
func (p *treeParser) place() uint32 {
	switch {
	case p.free:
		return 0
	case p.places == nil:
		return uint32(p.at) + 1 // places are shown only for documents, whose size is limited
	}
	next := p.places[0]
	p.places = p.places[1:]
	return next
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

func (p *treeParser) value() Tree {
	start := p.at
	t := Tree{Kind: p.text[p.at], at: p.place()}
	switch t.Kind {
	case '{', '[':
		names, items := len(p.names), len(p.items)
		p.container(func() {
			var key uint32
			if t.Kind == '{' {
				key = p.place()
				p.names = append(p.names, Unquote(p.stringToken()))
				p.space()
				p.at++ // the colon
				p.space()
			}
			item := p.value()
			item.key = key
			p.items = append(p.items, item)
		})
		t.Names, t.Items = slices.Clone(p.names[names:]), slices.Clone(p.items[items:])
		p.names, p.items = p.names[:names], p.items[:items]
	case '"':
		p.stringToken()
	case 't', 'n':
		p.at += 4
	case 'f':
		p.at += 5
	default:
		t.Kind = '0'
		p.number()
	}
	t.Raw = p.text[start:p.at]
	return t
}

func (p *treeParser) number() {
	for p.at < len(p.text) && strings.IndexByte("+-.0123456789eE", p.text[p.at]) >= 0 {
		p.at++
	}
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

// Text is the decoded string; only for kind '"'.
func (t *Tree) Text() string { return Unquote(t.Raw) }

// Get finds a key of an object; the last one wins, as everywhere else in JSON.
func (t *Tree) Get(name string) *Tree {
	for i := len(t.Names) - 1; i >= 0; i-- {
		if t.Names[i] == name {
			return &t.Items[i]
		}
	}
	return nil
}

// Put replaces the key or adds it at the end.
func (t *Tree) Put(name string, v Tree) {
	if old := t.Get(name); old != nil {
		*old = v
		return
	}
	t.Names, t.Items = append(t.Names, name), append(t.Items, v)
}

// Drop removes the first field with the name from an object.
func (t *Tree) Drop(name string) {
	if i := slices.Index(t.Names, name); i >= 0 {
		t.Names = append(t.Names[:i:i], t.Names[i+1:]...)
		t.Items = append(t.Items[:i:i], t.Items[i+1:]...)
	}
}

// As is another scalar, or an empty container, in the place of the value.
func (t *Tree) As(kind byte, raw string) Tree {
	return Tree{Kind: kind, Raw: raw, at: t.at, key: t.key}
}

// Wrap turns the value into an object that has the old value under a name.
func (t *Tree) Wrap(name string) {
	*t = Tree{Kind: '{', at: t.at, key: t.key, Names: []string{name}, Items: []Tree{*t}}
}

// WrapInList turns the value into a list of the old value.
func (t *Tree) WrapInList() { *t = Tree{Kind: '[', at: t.at, key: t.key, Items: []Tree{*t}} }

// Find goes to a JSON pointer within the value; nil: there is nothing.
func (t *Tree) Find(pointer string) *Tree {
	for part := range schemas.PointerParts(pointer) {
		if t == nil {
			return nil
		}
		switch t.Kind {
		case '{':
			t = t.Get(part)
		case '[':
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(t.Items) {
				return nil
			}
			t = &t.Items[i]
		default:
			return nil
		}
	}
	return t
}

// TypeName is the value's type as messages write it, such as "a list".
func (t *Tree) TypeName() string {
	switch t.Kind {
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

// JSONType is the JSON Schema type of the value.
func (t *Tree) JSONType() string {
	switch t.Kind {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case '0':
		if strings.ContainsAny(t.Raw, ".eE") {
			return "number"
		}
		return "integer"
	case 't', 'f':
		return "boolean"
	default:
		return "null"
	}
}

// Decode turns the value into Go's maps, slices, strings, booleans, nil, int64 and float64. An integer that fits is an
// int64, every other number a float64; a number beyond both is an infinity, which JSON cannot hold.
func (t *Tree) Decode() any {
	switch t.Kind {
	case '{':
		m := make(map[string]any, len(t.Items))
		for i := range t.Items {
			m[t.Names[i]] = t.Items[i].Decode()
		}
		return m
	case '[':
		list := make([]any, len(t.Items))
		for i := range t.Items {
			list[i] = t.Items[i].Decode()
		}
		return list
	case '"':
		return t.Text()
	case 't', 'f':
		return t.Kind == 't'
	case '0':
		return number(t.Raw)
	default:
		return nil
	}
}

// number is an int64 where it fits, else a float64.
func number(text string) any {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	f, _ := strconv.ParseFloat(text, 64) // out of range is ±Inf
	return f
}

// AppendTo writes the value in compact form.
func (t *Tree) AppendTo(dst []byte) []byte {
	switch t.Kind {
	case '{':
		dst = append(dst, '{')
		for i := range t.Items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(AppendQuoted(dst, t.Names[i]), ':')
			dst = t.Items[i].AppendTo(dst)
		}
		return append(dst, '}')
	case '[':
		dst = append(dst, '[')
		for i := range t.Items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = t.Items[i].AppendTo(dst)
		}
		return append(dst, ']')
	default:
		return append(dst, t.Raw...)
	}
}

// Keys lists the names of an object, sorted.
func (t *Tree) Keys() []string {
	names := slices.Clone(t.Names)
	slices.Sort(names)
	return slices.Compact(names)
}
