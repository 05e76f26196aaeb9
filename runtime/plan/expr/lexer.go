package expr

import "strings"

// tokenKind of a token of the expression language.
type tokenKind byte

const (
	tokenEnd    tokenKind = iota
	tokenIdent            // a name or a keyword
	tokenString           // a string or bytes literal, with its quotes
	tokenNumber           // a number literal
	tokenSign             // one character of anything else
	tokenBroken           // a string that does not end
)

type token struct {
	kind tokenKind
	text string
	at   int // byte offset
}

// lexer splits expression text into tokens without understanding it: enough to find where an expression ends and which
// nodes it names.
type lexer struct {
	text string
	at   int
}

func (l *lexer) next() token {
	l.skip()
	start := l.at
	if start >= len(l.text) {
		return token{kind: tokenEnd, at: start}
	}
	switch c := l.text[start]; {
	case isNameStart(c):
		for l.at < len(l.text) && isNamePart(l.text[l.at]) {
			l.at++
		}
		word := l.text[start:l.at]
		if l.at < len(l.text) && isQuote(l.text[l.at]) && isStringPrefix(word) {
			return l.quoted(start, strings.ContainsAny(word, "rR"))
		}
		return token{tokenIdent, word, start}
	case isQuote(c):
		return l.quoted(start, false)
	case c >= '0' && c <= '9':
		for l.at < len(l.text) && isNamePart(l.text[l.at]) {
			l.at++
		}
		return token{tokenNumber, l.text[start:l.at], start}
	default:
		l.at++
		return token{tokenSign, l.text[start:l.at], start}
	}
}

// skip passes blanks and comments.
func (l *lexer) skip() {
	for l.at < len(l.text) {
		switch c := l.text[l.at]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f':
			l.at++
		case c == '/' && strings.HasPrefix(l.text[l.at:], "//"):
			end := strings.IndexByte(l.text[l.at:], '\n')
			if end < 0 {
				l.at = len(l.text)
				return
			}
			l.at += end
		default:
			return
		}
	}
}

// quoted reads a literal whose opening quote is at the position and whose token began at start.
func (l *lexer) quoted(start int, raw bool) token {
	quote := l.text[l.at : l.at+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(l.text[l.at:], triple) {
		quote = triple
	}
	for l.at += len(quote); l.at < len(l.text); l.at++ {
		switch {
		case strings.HasPrefix(l.text[l.at:], quote):
			l.at += len(quote)
			return token{tokenString, l.text[start:l.at], start}
		case l.text[l.at] == '\\' && !raw:
			l.at++
		}
	}
	l.at = len(l.text)
	return token{tokenBroken, l.text[start:], start}
}

func isNameStart(c byte) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isNamePart(c byte) bool { return isNameStart(c) || '0' <= c && c <= '9' }

func isQuote(c byte) bool { return c == '"' || c == '\'' }

func isStringPrefix(word string) bool {
	switch strings.ToLower(word) {
	case "r", "b", "rb", "br":
		return true
	}
	return false
}

// namedNodes lists the ids that an expression names as nodes.id, nodes.?id, nodes["id"] or nodes[?"id"], each once, in
// order. It reads tokens alone; Check makes sure that the language itself sees exactly the same ids.
func namedNodes(text string) []string {
	var ids []string
	l := lexer{text: text}
	afterDot := false
	for t := l.next(); t.kind != tokenEnd; t = l.next() {
		if t.kind == tokenIdent && t.text == "nodes" && !afterDot {
			back := l
			if id, ok := l.member(); ok {
				ids = appendOnce(ids, id)
			} else {
				l = back
			}
		}
		afterDot = t.kind == tokenSign && (t.text == "." || t.text == "?" && afterDot)
	}
	return ids
}

// member reads one member access with a constant name.
func (l *lexer) member() (string, bool) {
	open := l.next()
	t := l.next()
	if t.kind == tokenSign && t.text == "?" {
		t = l.next()
	}
	switch {
	case open.kind == tokenSign && open.text == "." && t.kind == tokenIdent:
		return t.text, true
	case open.kind == tokenSign && open.text == "[" && t.kind == tokenString && isQuote(t.text[0]):
		if end := l.next(); end.text == "]" {
			return strings.Trim(t.text, t.text[:1]), true
		}
	}
	return "", false
}

func appendOnce(list []string, s string) []string {
	for _, have := range list {
		if have == s {
			return list
		}
	}
	return append(list, s)
}
