package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// DefaultMaxDepth is how deep a JSON document may be nested if nothing is configured: readers in other languages stop at 64 to
// 1,000 levels.
const DefaultMaxDepth = 100

// maxFlawText is how much of a document an error about it repeats.
const maxFlawText = 60

// FlawKind is a way in which a JSON document is valid for this program and not, or not in the same way, for another reader.
type FlawKind string

// The kinds of flaws.
const (
	// FlawBytes: bytes that are not UTF-8.
	FlawBytes FlawKind = "bytes"
	// FlawSurrogate: an escape such as \ud800 that is only one half of a character.
	FlawSurrogate FlawKind = "surrogate"
	// FlawDuplicate: a name that an object has twice; readers disagree which of the values counts.
	FlawDuplicate FlawKind = "duplicate"
	// FlawNumber: a number beyond what readers can represent.
	FlawNumber FlawKind = "number"
	// FlawDepth: nested deeper than the limit.
	FlawDepth FlawKind = "depth"
)

// Flaw is the first flaw of a document.
type Flaw struct {
	Kind    FlawKind
	Offset  int    // of its first byte
	Pointer string // JSON pointer to the value, or to the object with the name
	Text    string // what is wrong, as the rest of a sentence
}

// Error reports the flaw to the sender of the document.
func (f *Flaw) Error() *Error {
	e := Errorf(CodeInvalidArgument, "byte %d of the message: %s", f.Offset, f.Text).WithField(f.Pointer)
	switch f.Kind {
	case FlawBytes:
		return e.WithHint("send UTF-8; encode other bytes as base64")
	case FlawSurrogate:
		return e.WithHint("write both halves of the character, or leave it out")
	case FlawDuplicate:
		return e.WithHint("give each name of an object once")
	case FlawNumber:
		return e.WithHint("send it as a string")
	}
	return e.WithHint("nest less deep, or pass the inner part as a string of JSON; the operator's setting is limits.max_depth")
}

// FindFlaw returns the first flaw of a JSON document; nil: it has none. The syntax is not checked: of a text that is not JSON it
// finds bytes that are not UTF-8, and perhaps other flaws. maxDepth 0: DefaultMaxDepth.
func FindFlaw(doc []byte, maxDepth int) *Flaw {
	if maxDepth <= 0 {
		maxDepth = DefaultMaxDepth
	}
	f := scanFlaw(doc, maxDepth)
	if f != nil {
		f.Pointer = pointerAt(doc, f.Offset, maxDepth)
	}
	return f
}

// flawFrame is an open object or array.
type flawFrame struct {
	object bool
	named  bool            // the name of the next value has been read
	first  int             // of its names in the list of all open objects
	seen   map[string]bool // of an object with many names
}

// nameSpan is a name, without its quotes.
type nameSpan struct{ from, to int }

// manyNames is the number of names from which a map finds duplicates.
const manyNames = 12

func scanFlaw(doc []byte, maxDepth int) *Flaw {
	var frameSpace [12]flawFrame // enough for most messages
	var nameSpace [24]nameSpan
	frames, names := frameSpace[:0], nameSpace[:0] // of all open objects
	for i := 0; i < len(doc); {
		switch c := doc[i]; {
		case c == '"':
			end, escaped, flaw := scanString(doc, i)
			if flaw != nil {
				return flaw
			}
			if n := len(frames) - 1; n >= 0 && frames[n].object && !frames[n].named {
				f := &frames[n]
				if f.named = true; f.isAgain(doc, names[f.first:], nameSpan{i + 1, end - 1}, escaped) {
					return &Flaw{Kind: FlawDuplicate, Offset: i,
						Text: fmt.Sprintf("the object has the name %s twice", Quote(decodedName(doc[i+1:end-1]), maxFlawText))}
				}
				names = append(names, nameSpan{i + 1, end - 1})
			}
			i = end
		case c == '{' || c == '[':
			if len(frames) >= maxDepth {
				return depthFlaw(i, maxDepth)
			}
			frames = append(frames, flawFrame{object: c == '{', first: len(names)})
			i++
		case c == '}' || c == ']':
			if n := len(frames) - 1; n >= 0 {
				names, frames = names[:frames[n].first], frames[:n]
			}
			i++
		case c == ',':
			if n := len(frames) - 1; n >= 0 {
				frames[n].named = false
			}
			i++
		case c == '-' || c >= '0' && c <= '9':
			end := numberEnd(doc, i)
			if text := numberFlaw(doc[i:end]); text != "" {
				return &Flaw{Kind: FlawNumber, Offset: i, Text: text}
			}
			i = end
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRune(doc[i:])
			if r == utf8.RuneError && size == 1 {
				return bytesFlaw(doc, i)
			}
			i += size
		default:
			i++
		}
	}
	return nil
}

func depthFlaw(at, maxDepth int) *Flaw {
	return &Flaw{Kind: FlawDepth, Offset: at, Text: fmt.Sprintf("the JSON is nested deeper than %d levels (limits.max_depth)", maxDepth)}
}

// isAgain reports whether the object has the name already; own are its names so far.
func (f *flawFrame) isAgain(doc []byte, own []nameSpan, name nameSpan, escaped bool) bool {
	raw := doc[name.from:name.to]
	if f.seen == nil && !escaped && len(own) < manyNames { // an escaped name may be equal to one that is written in another way
		for _, other := range own {
			if bytes.Equal(doc[other.from:other.to], raw) {
				return true
			}
		}
		return false
	}
	if f.seen == nil {
		f.seen = make(map[string]bool, 2*len(own))
		for _, other := range own {
			f.seen[decodedName(doc[other.from:other.to])] = true
		}
	}
	decoded := decodedName(raw)
	again := f.seen[decoded]
	f.seen[decoded] = true
	return again
}

// decodedName returns a name without its escapes.
func decodedName(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw)
	}
	var name string
	quoted := append(append(append(make([]byte, 0, len(raw)+2), '"'), raw...), '"')
	if json.Unmarshal(quoted, &name) != nil {
		return string(raw)
	}
	return name
}

// plainByte reports which bytes of a string need no look.
var plainByte = func() (plain [256]bool) {
	for b := range utf8.RuneSelf {
		plain[b] = b != '"' && b != '\\'
	}
	return plain
}()

// scanString returns the end of the string that begins at i, after its last quote.
func scanString(doc []byte, i int) (end int, escaped bool, flaw *Flaw) {
	for i++; i < len(doc); {
		c := doc[i]
		switch {
		case plainByte[c]:
			for i++; i < len(doc) && plainByte[doc[i]]; {
				i++
			}
		case c == '"':
			return i + 1, escaped, nil
		case c == '\\':
			escaped = true
			if i+1 < len(doc) && doc[i+1] == 'u' {
				size, ok := unicodeEscape(doc[i:])
				if !ok {
					return 0, false, &Flaw{Kind: FlawSurrogate, Offset: i,
						Text: fmt.Sprintf("the escape %s is one half of a character (a surrogate without its pair)", doc[i:i+6])}
				}
				i += size
			} else if i++; i < len(doc) && doc[i] < utf8.RuneSelf { // any other byte is looked at; it is no escape
				i++
			}
		default:
			r, size := utf8.DecodeRune(doc[i:])
			if r == utf8.RuneError && size == 1 {
				return 0, false, bytesFlaw(doc, i)
			}
			i += size
		}
	}
	return len(doc) + 1, escaped, nil // not JSON
}

// unicodeEscape returns the length of the escape, or pair of escapes, at the beginning of b; ok is false for half a pair.
func unicodeEscape(b []byte) (size int, ok bool) {
	first, valid := hexRune(b)
	if !valid || !utf16.IsSurrogate(first) {
		return min(6, len(b)), true // an invalid escape is not JSON
	}
	if len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
		if second, valid := hexRune(b[6:]); valid && utf16.DecodeRune(first, second) != utf8.RuneError {
			return 12, true
		}
	}
	return 6, false
}

func hexRune(b []byte) (r rune, ok bool) {
	if len(b) < 6 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 32)
	return rune(n), err == nil
}

func bytesFlaw(doc []byte, at int) *Flaw {
	return &Flaw{Kind: FlawBytes, Offset: at, Text: fmt.Sprintf("0x%02x is not UTF-8", doc[at])}
}

func numberEnd(doc []byte, i int) int {
	for i < len(doc) {
		switch c := doc[i]; {
		case c >= '0' && c <= '9', c == '+', c == '-', c == '.', c == 'e', c == 'E':
			i++
		default:
			return i
		}
	}
	return i
}

// numberFlaw returns why readers cannot represent a number; empty: they can, though some round it.
func numberFlaw(n []byte) string {
	if len(n) < 300 && bytes.IndexByte(n, 'e') < 0 && bytes.IndexByte(n, 'E') < 0 {
		return ""
	}
	if len(n) > maxNumberLength {
		return fmt.Sprintf("the number has %d characters (limit %d)", len(n), maxNumberLength)
	}
	f, err := strconv.ParseFloat(string(n), 64)
	if err == nil && f == 0 && bytes.ContainsAny(mantissa(n), "123456789") {
		return fmt.Sprintf("the number %s is nearer to 0 than JSON readers can represent (limit 5e-324)", Cut(string(n), maxFlawText, Ellipsis))
	}
	if err != nil && json.Valid(n) {
		return fmt.Sprintf("the number %s is beyond what JSON readers can represent (limit 1.8e308)", Cut(string(n), maxFlawText, Ellipsis))
	}
	return ""
}

// mantissa is a number up to its exponent.
func mantissa(n []byte) []byte {
	if i := bytes.IndexAny(n, "eE"); i >= 0 {
		return n[:i]
	}
	return n
}

// pointerAt returns the JSON pointer of the value at an offset of a document.
func pointerAt(doc []byte, offset, maxDepth int) string {
	type level struct {
		object bool
		named  bool
		name   string
		index  int
	}
	var levels []level
	for i := 0; i < offset && i < len(doc); {
		n := len(levels) - 1
		switch c := doc[i]; c {
		case '"':
			end, _, flaw := scanString(doc, i)
			if flaw != nil || end > offset || end > len(doc) {
				i = offset
				continue
			}
			if n >= 0 && levels[n].object && !levels[n].named {
				levels[n].name, levels[n].named = decodedName(doc[i+1:end-1]), true
			}
			i = end
			continue
		case '{', '[':
			if len(levels) <= maxDepth {
				levels = append(levels, level{object: c == '{'})
			}
		case '}', ']':
			levels = levels[:max(0, n)]
		case ',':
			if n >= 0 {
				levels[n].named = false
				levels[n].index++
			}
		}
		i++
	}
	at := ""
	for _, l := range levels {
		switch {
		case !l.object:
			at = PointerToItem(at, l.index)
		case l.named:
			at = PointerTo(at, Cut(l.name, maxFlawText, Ellipsis))
		}
	}
	return Cut(strings.ToValidUTF8(at, "\ufffd"), 4*maxFlawText, Ellipsis) // of a text that is not JSON, a name may have other bytes
}
