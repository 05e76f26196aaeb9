package document

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// looseJSON reads JSON as other languages print it: comments, commas after the last element, other quotes, keys without quotes, None, and
// what a slip of the pen leaves, where it has one reading alone. It completes nothing that is missing at the end.
type looseJSON struct {
	text  string
	at    int
	out   []byte
	depth int
	max   int      // levels of nesting
	took  []string // what was read otherwise, once each
	bare  bool     // a key had no quotes
	quote bool     // a text had other quotes than double ones
	none  int      // the place of a None from 1 on
}

// looseError is where a text cannot be read.
type looseError struct {
	at    int
	say   string
	ended bool // it ends too early
	deep  bool // it is nested too deep
	alien bool // a value without quotes: the text may be YAML
}

// readLoose returns the JSON that a text means, and what was read otherwise.
func readLoose(text string, maxDepth int) (out string, took []string, fault *looseError) {
	l := &looseJSON{text: text, max: maxDepth}
	defer func() {
		r := recover()
		if e, ok := r.(*looseError); ok {
			fault = e
		} else if r != nil {
			panic(r)
		}
	}()
	l.space()
	l.value()
	l.space()
	if rest := strings.TrimSpace(l.text[l.at:]); rest != "" {
		if strings.Trim(rest, "}]; \t\r\n") != "" {
			l.fail("the text goes on after its end")
		}
		l.note("brackets too many at the end are taken off")
	}
	if l.none > 0 && l.bare && !l.quote { // a word of YAML
		l.at = l.none - 1
		panic(&looseError{at: l.at, say: "None needs quotes, or is written null", alien: true})
	}
	return string(l.out), l.took, nil
}

func (l *looseJSON) note(say string) {
	for _, known := range l.took {
		if known == say {
			return
		}
	}
	l.took = append(l.took, say)
}

func (l *looseJSON) fail(format string, args ...any) {
	panic(&looseError{at: l.at, say: fmt.Sprintf(format, args...)})
}

func (l *looseJSON) ends(within string) {
	panic(&looseError{at: len(l.text), say: "the text ends within " + within + ": it is incomplete; send it whole", ended: true})
}

func (l *looseJSON) peek() rune {
	r, _ := utf8.DecodeRuneInString(l.text[l.at:])
	return r
}

// space skips spaces and comments and reports whether a line ended in between.
func (l *looseJSON) space() (line bool) {
	for l.at < len(l.text) {
		rest := l.text[l.at:]
		switch c := l.peek(); {
		case c == '\n':
			line = true
			l.at++
		case c == '\ufeff' || unicode.IsSpace(c):
			l.at += utf8.RuneLen(c)
		case strings.HasPrefix(rest, "//"), c == '#':
			l.note("comments are taken off")
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				end = len(rest)
			}
			l.at += end
		case strings.HasPrefix(rest, "/*"):
			l.note("comments are taken off")
			end := strings.Index(rest, "*/")
			if end < 0 {
				l.ends("a comment")
			}
			line = line || strings.Contains(rest[:end], "\n")
			l.at += end + 2
		default:
			return line
		}
	}
	return line
}

func (l *looseJSON) value() {
	if l.at >= len(l.text) {
		l.ends("a value")
	}
	switch c := l.peek(); {
	case c == '{':
		l.container('}')
	case c == '[':
		l.container(']')
	case closing[c] != "":
		l.string()
	case c == '-' || '0' <= c && c <= '9':
		l.number()
	case strings.HasPrefix(l.text[l.at:], "..."), c == '…':
		l.fail("... stands for something that was left out: write all nodes and values, the whole plan")
	default:
		l.word()
	}
}

// words are the values that are written as a word, and what they are in JSON.
var words = map[string]string{
	"true": "true", "false": "false", "null": "null", "True": "true", "False": "false", "None": "null", "undefined": "null",
}

func (l *looseJSON) word() {
	word := identifier(l.text[l.at:])
	value, known := words[word]
	if !known {
		say := "a value is wanted: a text stands in double quotes"
		if word != "" && len(l.text) > l.at+len(word) && strings.ContainsRune(`"'`, rune(l.text[l.at+len(word)])) {
			say = fmt.Sprintf("%s before a text has no meaning here; a value in a text is written ${…}", word)
		}
		panic(&looseError{at: l.at, say: say, alien: word != ""})
	}
	if word != value {
		l.note("True, False and None are taken as true, false and null")
	}
	if word == "None" {
		l.none = l.at + 1
	}
	l.at += len(word)
	l.out = append(l.out, value...)
}

func identifier(text string) string {
	for i, r := range text {
		if r != '_' && r != '$' && !unicode.IsLetter(r) && (i == 0 || r != '-' && !unicode.IsDigit(r)) {
			return text[:i]
		}
	}
	return text
}

func (l *looseJSON) number() {
	end := l.at
	for end < len(l.text) && (l.text[end] == '_' || identifier(l.text[end:]) != "" || strings.IndexByte("+-.0123456789", l.text[end]) >= 0) {
		end++
	}
	number := l.text[l.at:end]
	if !plainNumber.MatchString(number) {
		panic(&looseError{at: l.at, say: fmt.Sprintf("%.20q is no number of JSON; a text stands in double quotes", number), alien: true})
	}
	l.out = append(l.out, number...)
	l.at = end
}

// container reads an object or a list.
func (l *looseJSON) container(end byte) {
	if l.depth++; l.depth > l.max {
		panic(&looseError{at: l.at, deep: true})
	}
	what := map[byte]string{'}': "an object", ']': "a list"}[end]
	l.out = append(l.out, l.text[l.at])
	l.at++
	for first := true; ; first = false {
		l.space()
		if l.at >= len(l.text) {
			l.ends(what)
		}
		if l.text[l.at] == end {
			break
		}
		if !first {
			l.out = append(l.out, ',')
		}
		if end == '}' {
			l.key()
		}
		l.value()
		line := l.space()
		if l.at >= len(l.text) {
			l.ends(what)
		}
		switch next := l.text[l.at]; {
		case next == ',':
			l.at++
			if l.space(); l.at < len(l.text) && l.text[l.at] == end {
				l.note("commas after the last element are taken off")
			}
		case next == end:
		case line && (end == '}' && closing[l.peek()] != "" || end == ']' && next == '{'):
			l.note("commas that are missing between two lines are added")
		default:
			l.fail("a comma or %c is missing", end)
		}
	}
	l.at++
	l.out = append(l.out, end)
	l.depth--
}

func (l *looseJSON) key() {
	start := l.at
	if closing[l.peek()] != "" {
		l.string()
	} else {
		name := identifier(l.text[l.at:])
		if name == "" {
			if strings.HasPrefix(l.text[l.at:], "...") || l.peek() == '…' {
				l.fail("... stands for something that was left out: write all nodes and values, the whole plan")
			}
			l.fail("a key in double quotes is wanted")
		}
		l.bare = true
		l.note("keys without quotes are put into quotes")
		l.out = AppendQuoted(l.out, name)
		l.at += len(name)
	}
	l.space()
	switch rest := l.text[l.at:]; {
	case rest == "":
		l.ends("an object")
	case strings.HasPrefix(rest, "=>"):
		l.note("=> is taken as a colon")
		l.at += 2
	case rest[0] == ':':
		l.at++
	default:
		panic(&looseError{at: start, say: "a colon is missing after a key", alien: l.bare})
	}
	l.out = append(l.out, ':')
	l.space()
}

// closing are the quotes at the end of a text, by the one at its front.
var closing = map[rune]string{'"': `"`, '\'': "'", '`': "`", '“': "”“\"", '”': "”\"", '„': "“”", '‘': "’", '’': "’", '«': "»"}

// string reads a text in any quotes.
func (l *looseJSON) string() {
	open := l.peek()
	if open != '"' {
		l.quote = true
		if open == '\'' || open == '`' {
			l.note("single quotes are taken as double ones")
		} else {
			l.note("typographic quotes are taken as plain ones")
		}
	}
	l.at += utf8.RuneLen(open)
	l.out = append(l.out, '"')
	for {
		if l.at >= len(l.text) {
			l.ends("a text")
		}
		r := l.peek()
		size := utf8.RuneLen(r)
		switch {
		case r == '\\':
			l.escape()
			continue
		case strings.ContainsRune(closing[open], r) && l.closes(open, size):
			l.at += size
			l.out = append(l.out, '"')
			return
		case r < ' ':
			if r == '\n' {
				l.note("line breaks inside of texts are kept")
			}
			l.out = AppendEscaped(l.out, string(r))
		case r == '"':
			l.out = append(l.out, `\"`...)
		default:
			l.out = append(l.out, l.text[l.at:l.at+size]...)
		}
		l.at += size
	}
}

// closes reports whether a quote is the end of its text: a typographic one may be an apostrophe.
func (l *looseJSON) closes(open rune, size int) bool {
	if strings.ContainsRune("\"'`", open) {
		return true
	}
	rest := strings.TrimLeft(l.text[l.at+size:], " \t\r\n")
	return rest == "" || strings.ContainsRune(",:}]", rune(rest[0]))
}

func (l *looseJSON) escape() {
	rest := l.text[l.at:]
	if len(rest) < 2 {
		l.ends("a text")
	}
	size := 2
	switch c := rest[1]; {
	case strings.IndexByte(`"\/bfnrt`, c) >= 0:
		l.out = append(l.out, rest[:2]...)
	case c == '\'' || c == '`':
		l.out = append(l.out, c)
	case c == 'u' && len(rest) >= 6 && isHex(rest[2:6]):
		size = 6
		l.out = append(l.out, rest[:6]...)
	case c == 'x' && len(rest) >= 4 && isHex(rest[2:4]):
		size = 4
		l.out = append(append(l.out, `\u00`...), rest[2:4]...)
	default:
		l.fail(`\%c has no meaning in a text of JSON: a backslash is written \\`, c)
	}
	l.at += size
}

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdefABCDEF") == ""
}
