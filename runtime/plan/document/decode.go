package document

import "encoding/json"

// Decode reads one JSON value as [Tree.Decode] gives it, without making a tree.
func Decode(text string) (any, error) {
	if !json.Valid([]byte(text)) {
		return nil, errNotJSON
	}
	p := treeParser{text: text}
	p.space()
	return p.decode(), nil
}

func (p *treeParser) decode() any {
	start := p.at
	switch p.text[p.at] {
	case '{':
		m := map[string]any{}
		p.container(func() {
			key := Unquote(p.stringToken())
			p.space()
			p.at++ // the colon
			p.space()
			m[key] = p.decode()
		})
		return m
	case '[':
		list := []any{}
		p.container(func() { list = append(list, p.decode()) })
		return list
	case '"':
		return Unquote(p.stringToken())
	case 't':
		p.at += 4
		return true
	case 'f':
		p.at += 5
		return false
	case 'n':
		p.at += 4
		return nil
	}
	p.number()
	return number(p.text[start:p.at])
}

// DecodedSize estimates the bytes of memory that Decode takes for a JSON text.
func DecodedSize(text string) int {
	const perObject, perList, perMember, perItem = 336, 48, 64, 32
	size, inside := len(text), false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inside && c == '\\':
			i++
		case c == '"':
			inside = !inside
		case inside:
		case c == '{':
			size += perObject
		case c == '[':
			size += perList
		case c == ':':
			size += perMember
		case c == ',':
			size += perItem
		}
	}
	return size
}
