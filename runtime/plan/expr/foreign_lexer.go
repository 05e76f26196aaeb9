package expr

import "strings"

// Tokens that only other languages have.
const (
	tokenTemplate tokenKind = iota + tokenBroken + 1 // `…${x}…` of JavaScript, f"…{x}…" of Python
	tokenRegex                                       // /…/ of JavaScript
)

// foreignSigns are the signs of more than one character, the longest first.
var foreignSigns = []string{
	"===", "!==", "...", "**", "//", "=>", "==", "!=", "<=", ">=", "<>", "&&", "||", "??", "?.", "=~", "{{", "}}",
}

// foreignTokens reads a text with the tokens of the languages that authors know. comments: // begins a comment, as here; otherwise it is
// a sign. ok is false where the text cannot be read.
func foreignTokens(text string, comments bool) (all []token, ok bool) {
	l := lexer{text: text}
	operand := true // a value may begin here, so that / begins a regular expression
	for {
		l.blanks(comments)
		t := l.foreign(operand)
		switch t.kind {
		case tokenBroken:
			return nil, false
		case tokenEnd:
			return append(all, t), true
		case tokenSign:
			operand = t.text != ")" && t.text != "]" && t.text != "}" && t.text != "}}"
		default:
			operand = t.kind == tokenIdent && isForeignWord(t.text)
		}
		all = append(all, t)
	}
}

// blanks passes blanks, and comments where they are meant. A comment is one where a line follows it, too.
func (l *lexer) blanks(comments bool) {
	for l.at < len(l.text) {
		switch c := l.text[l.at]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f':
			l.at++
		case strings.HasPrefix(l.text[l.at:], "//") && (comments || strings.Contains(l.text[l.at:], "\n")):
			if end := strings.IndexByte(l.text[l.at:], '\n'); end >= 0 {
				l.at += end
			} else {
				l.at = len(l.text)
			}
		default:
			return
		}
	}
}

func (l *lexer) foreign(operand bool) token {
	start := l.at
	rest := l.text[start:]
	switch {
	case rest == "":
		return token{kind: tokenEnd, at: start}
	case rest[0] == '`':
		return l.template(start, 1)
	case len(rest) > 1 && (rest[0] == 'f' || rest[0] == 'F') && isQuote(rest[1]):
		l.at++
		t := l.quoted(start, false)
		if t.kind == tokenString {
			t.kind = tokenTemplate
		}
		return t
	case rest[0] == '$' || rest[0] == '@':
		if l.at++; strings.HasPrefix(rest, "$$") { // the context of Step Functions
			l.at++
		}
		for l.at < len(l.text) && isNamePart(l.text[l.at]) {
			l.at++
		}
		return token{tokenIdent, l.text[start:l.at], start}
	case rest[0] >= '0' && rest[0] <= '9':
		return l.number(start)
	case isNameStart(rest[0]) || isQuote(rest[0]):
		return l.next()
	case operand && rest[0] == '/' && !strings.HasPrefix(rest, "//"):
		return l.regex(start)
	}
	for _, sign := range foreignSigns {
		if strings.HasPrefix(rest, sign) {
			l.at += len(sign)
			return token{tokenSign, sign, start}
		}
	}
	l.at++
	return token{tokenSign, rest[:1], start}
}

// template reads a literal in backticks; what stands in its ${…} may hold any of its own.
func (l *lexer) template(start, open int) token {
	depth := 0
	for l.at += open; l.at < len(l.text); l.at++ {
		switch c := l.text[l.at]; {
		case c == '\\':
			l.at++
		case strings.HasPrefix(l.text[l.at:], "${"):
			depth++
		case c == '}' && depth > 0:
			depth--
		case c == '`' && depth == 0:
			l.at++
			return token{tokenTemplate, l.text[start:l.at], start}
		}
	}
	return token{tokenBroken, l.text[start:], start}
}

func (l *lexer) regex(start int) token {
	class := false
	for l.at++; l.at < len(l.text); l.at++ {
		switch c := l.text[l.at]; {
		case c == '\\':
			l.at++
		case c == '\n':
			return token{tokenBroken, l.text[start:], start}
		case c == '[':
			class = true
		case c == ']':
			class = false
		case c == '/' && !class:
			for l.at++; l.at < len(l.text) && isNamePart(l.text[l.at]); {
				l.at++
			}
			return token{tokenRegex, l.text[start:l.at], start}
		}
	}
	return token{tokenBroken, l.text[start:], start}
}

// number reads a number with its fraction and exponent.
func (l *lexer) number(start int) token {
	digits := func() {
		for l.at < len(l.text) && isNamePart(l.text[l.at]) {
			l.at++
		}
	}
	digits()
	if l.at+1 < len(l.text) && l.text[l.at] == '.' && l.text[l.at+1] >= '0' && l.text[l.at+1] <= '9' {
		l.at++
		digits()
	}
	if last := l.text[l.at-1]; (last == 'e' || last == 'E') && !strings.HasPrefix(l.text[start:l.at], "0x") &&
		l.at+1 < len(l.text) && (l.text[l.at] == '+' || l.text[l.at] == '-') {
		l.at++
		digits()
	}
	return token{tokenNumber, l.text[start:l.at], start}
}

// isForeignWord reports whether a word is an operator somewhere, so that a value follows it.
func isForeignWord(word string) bool {
	switch word {
	case "AND", "OR", "NOT", "and", "or", "not", "in", "is", "if", "else", "return", "for", "lambda", "typeof", "await", "new":
		return true
	}
	return false
}
