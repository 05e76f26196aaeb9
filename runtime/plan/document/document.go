package document

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/runplane/runplane/schemas"
)

// Document is a tree whose parts have positions in the text that they were read from. Parts that were added later have
// none.
type Document struct {
	Tree
	Lines bool     // the text is YAML, or JSON of several lines, so that line numbers help its reader
	Loose []string // what was read otherwise than it is written, with [Options].Loose

	json    string     // the text; places in JSON are byte offsets in it
	places  []Position // of YAML: what places are indices of
	written map[uint32]string
	numbers map[uint32]string
}

// Options are the limits and the dialect of a text.
type Options struct {
	MaxBytes int  // of the text as JSON, with aliases expanded
	MaxDepth int  // levels of nesting
	Comments bool // JSON may have // and /* */ comments, as the files of editors do
	YAML     bool // a text that is not valid JSON is YAML, even if it looks like JSON
	Loose    bool // what is certain is read although it is not written as JSON or YAML has it
}

// Kind of an [Error].
type Kind string

// The kinds of errors.
const (
	Empty        Kind = "empty"
	Syntax       Kind = "syntax_error"
	DuplicateKey Kind = "duplicate_key"
	TooDeep      Kind = "too_deep"
	TooLarge     Kind = "too_large"
	Interrupted  Kind = "interrupted" // the context ended; the text may be good
)

// Error is why a text cannot be read, and where. Its message holds no values, only names of keys and aliases.
type Error struct {
	Kind    Kind
	At      Position // zero: the text as a whole
	Path    string   // JSON pointer to a duplicate key
	Message string

	theirs string // what the parser said
}

// Error is the message after its line and column.
func (e *Error) Error() string {
	if e.At == (Position{}) {
		return e.Message
	}
	return fmt.Sprintf("line %d, column %d: %s", e.At.Line, e.At.Column, e.Message)
}

// Read reads one document of YAML or JSON. The error is an *Error; if ctx ends before the text is read, its kind is Interrupted.
func Read(ctx context.Context, source []byte, o Options) (*Document, error) {
	source = bytes.TrimPrefix(source, []byte("\xef\xbb\xbf"))
	if o.Comments {
		source = bytes.Clone(source)
		blankComments(source)
	}
	trimmed := bytes.TrimSpace(source)
	if len(trimmed) == 0 {
		return nil, &Error{Kind: Empty, Message: "the document is empty"}
	}
	isJSON := looksLikeJSON(trimmed)
	if o.YAML {
		isJSON = json.Valid(trimmed)
	}
	d := &Document{json: string(source), Lines: bytes.Contains(trimmed, []byte("\n"))}
	if at := invalidByte(d.json); at >= 0 {
		return nil, &Error{Kind: Syntax, At: d.offset(at), Message: fmt.Sprintf("byte %d, 0x%02x, is not UTF-8; save the text as UTF-8", at,
			d.json[at])}
	}
	if o.Loose && (trimmed[0] == '{' || trimmed[0] == '[') && !json.Valid(trimmed) {
		text, took, fault := readLoose(d.json, o.MaxDepth)
		switch {
		case fault != nil && fault.deep: // said below
		case fault == nil:
			d.json, d.Loose, isJSON = text, took, true
		case isJSON || fault.ended:
			return nil, &Error{Kind: Syntax, At: d.offset(fault.at), Message: "not valid JSON: " + fault.say}
		}
	}
	text := d.json
	var places []uint32
	if !isJSON {
		w, err := readYAML(ctx, source, o)
		if mended, took := quoteYAML(d.json); o.Loose && err != nil && len(took) > 0 {
			if again, failed := readYAML(ctx, []byte(mended), o); failed == nil {
				w, err, d.Loose = again, nil, took
			}
		}
		if err != nil {
			return nil, inOurWords(err, d.json)
		}
		d.Lines, d.places, d.written, d.numbers = true, w.positions, w.written, w.numbers
		text, places = string(w.out), w.places
	}
	if depth := Depth(text); depth > o.MaxDepth {
		return nil, &Error{Kind: TooDeep, Message: fmt.Sprintf("nested %d levels deep; at most %d are allowed", depth, o.MaxDepth)}
	}
	if err := json.Unmarshal([]byte(text), new(json.RawMessage)); err != nil {
		return nil, d.syntaxError(err)
	}
	d.Tree = parse(text, places)
	if err := d.duplicate(&d.Tree, ""); err != nil {
		return d, err
	}
	if flaw := schemas.FindFlaw([]byte(text), max(o.MaxDepth, 1)); flaw != nil { // half a character, or a number beyond readers
		e := &Error{Kind: Syntax, Path: flaw.Pointer, Message: flaw.Text, At: d.Locate(flaw.Pointer)}
		if isJSON {
			e.At = d.offset(flaw.Offset)
		}
		return nil, e
	}
	return d, nil
}

// Number is a text that YAML would read as another number than its digits say.
type Number struct{ Pointer, Text, Number string }

// Numbers are the texts of a document that YAML would change; with [Options].Loose they are texts.
func (d *Document) Numbers() (all []Number) {
	var walk func(t *Tree, at string)
	walk = func(t *Tree, at string) {
		if number, ok := d.numbers[t.at]; ok && t.Kind == '"' {
			all = append(all, Number{at, t.Text(), number})
		}
		for i := range t.Items {
			if t.Kind == '{' {
				walk(&t.Items[i], schemas.PointerTo(at, t.Names[i]))
			} else {
				walk(&t.Items[i], schemas.PointerToItem(at, i))
			}
		}
	}
	if len(d.numbers) > 0 {
		walk(&d.Tree, "")
	}
	return all
}

// invalidByte is the place of the first byte that is not UTF-8; -1: there is none.
func invalidByte(s string) int {
	if utf8.ValidString(s) {
		return -1
	}
	for i, r := range s {
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd") {
			return i
		}
	}
	return -1
}

// looksLikeJSON reports whether a text is meant as JSON and not YAML: an object begins with a quoted key within braces.
func looksLikeJSON(s []byte) bool {
	switch s[0] {
	case '{':
		rest := bytes.TrimLeft(s[1:], " \t\r\n")
		return len(rest) == 0 || rest[0] == '"' || rest[0] == '}' || rest[0] == '{' || rest[0] == '['
	case '[':
		return true
	case '"':
		rest := bytes.TrimLeft(s[pastString(s, 0):], " \t")
		return len(rest) == 0 || rest[0] != ':'
	}
	return false
}

// Depth is the deepest nesting of JSON text, valid or not, in one pass.
func Depth[T ~string | ~[]byte](s T) int {
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

func (d *Document) syntaxError(err error) error {
	var bad *json.SyntaxError
	if !errors.As(err, &bad) {
		return &Error{Kind: Syntax, Message: fmt.Sprintf("not valid JSON: %v", err)}
	}
	return &Error{Kind: Syntax, At: d.offset(int(bad.Offset) - 1), Message: "not valid JSON: " + said(bad.Error(), jsonFaults)}
}

// duplicate finds an object that has a key twice.
func (d *Document) duplicate(t *Tree, at string) error {
	if t.Kind == '{' && len(t.Names) > 1 {
		if i := repeated(t.Names); i >= 0 {
			return &Error{
				Kind: DuplicateKey, At: d.KeyPosition(&t.Items[i]), Path: schemas.PointerTo(at, t.Names[i]),
				Message: duplicateKey(t.Names[i]),
			}
		}
	}
	for i := range t.Items {
		if k := t.Items[i].Kind; k != '{' && k != '[' {
			continue
		}
		below := schemas.PointerToItem(at, i)
		if t.Kind == '{' {
			below = schemas.PointerTo(at, t.Names[i])
		}
		if err := d.duplicate(&t.Items[i], below); err != nil {
			return err
		}
	}
	return nil
}

func duplicateKey(name string) string {
	return fmt.Sprintf("duplicate key %.80q in one object; keep one of them", name)
}

// repeated is the index of the first name that is in the list twice; -1: none.
func repeated(names []string) int {
	if len(names) <= 16 {
		for i, a := range names {
			for _, b := range names[:i] {
				if a == b {
					return i
				}
			}
		}
		return -1
	}
	seen := make(map[string]bool, len(names))
	for i, name := range names {
		if seen[name] {
			return i
		}
		seen[name] = true
	}
	return -1
}

// Within reads JSON that stands as a text within a document, also as other languages print it; ok reports whether it is that, and no key stands
// twice. Its parts have no positions.
func Within(text string, maxDepth int) (t Tree, ok bool) {
	if !json.Valid([]byte(text)) {
		read, _, fault := readLoose(text, maxDepth)
		if fault != nil {
			return Tree{}, false
		}
		text = read
	}
	if Depth(text) > maxDepth || schemas.FindFlaw([]byte(text), max(maxDepth, 1)) != nil {
		return Tree{}, false
	}
	t, err := Parse(text)
	return t, err == nil && new(Document).duplicate(&t, "") == nil
}
