package document

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/runplane/runplane/schemas"
)

// Position is a line and a column in characters, both from 1. The zero value is unknown.
type Position struct{ Line, Column int }

// String is line:column.
func (p Position) String() string { return fmt.Sprintf("%d:%d", p.Line, p.Column) }

// Position is where a part of the document begins; zero: it is not known.
func (d *Document) Position(t *Tree) Position { return d.position(t.at) }

// KeyPosition is where the key of a member begins, given its value; for an item of a list it is where the item begins.
func (d *Document) KeyPosition(t *Tree) Position {
	if t.key == 0 {
		return d.position(t.at)
	}
	return d.position(t.key)
}

// Locate is the position of the part that a JSON pointer leads to: of its key, or of the item of a list. If the document
// has no such part, it is the position of the nearest part around it.
func (d *Document) Locate(pointer string) Position {
	t := &d.Tree
	found := d.Position(t)
	for part := range schemas.PointerParts(pointer) {
		var next *Tree
		switch t.Kind {
		case '{':
			next = t.Get(part)
		case '[':
			if i, err := strconv.Atoi(part); err == nil && i >= 0 && i < len(t.Items) {
				next = &t.Items[i]
			}
		}
		if next == nil {
			break
		}
		t = next
		if p := d.KeyPosition(t); p != (Position{}) {
			found = p
		}
	}
	return found
}

// Written is a scalar as it is spelled in the text, which may differ from JSON: 0x10, True, 1_000. Strings are without
// their quotes.
func (d *Document) Written(t *Tree) string {
	if text, ok := d.written[t.at]; ok {
		return text
	}
	if t.Kind == '"' {
		return t.Text()
	}
	return t.Raw
}

func (d *Document) position(place uint32) Position {
	switch {
	case place == 0:
		return Position{}
	case d.places != nil:
		return d.places[place-1]
	}
	return d.offset(int(place) - 1)
}

// offset is the position of a byte of the JSON text.
func (d *Document) offset(at int) Position {
	before := d.json[:max(0, min(at, len(d.json)))]
	line := before[strings.LastIndexByte(before, '\n')+1:]
	return Position{1 + strings.Count(before, "\n"), 1 + utf8.RuneCountInString(line)}
}
