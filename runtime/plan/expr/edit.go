package expr

import (
	"slices"
	"strings"
)

// Dashed writes a path whose names hold dashes with brackets.
func Dashed(text string) (string, bool) {
	root, rest, ok := strings.Cut(text, ".")
	if !ok || !slices.Contains(Roots, root) || !strings.Contains(rest, "-") {
		return "", false
	}
	p := Path{Root: root}
	for _, key := range strings.Split(rest, ".") {
		if !IsName(strings.ReplaceAll(key, "-", "_")) {
			return "", false
		}
		p = p.Then(key)
	}
	return p.String(), true
}

// WordAt is the name that begins at a byte of an expression; empty: none does.
func WordAt(text string, at int) string {
	if at < 0 || at >= len(text) {
		return ""
	}
	end := at
	for end < len(text) && isNamePart(text[end]) {
		end++
	}
	return text[at:end]
}

// ReplaceWord replaces the first occurrence that is a whole word.
func ReplaceWord(text, word, with string) string {
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return text
		}
		i += from
		end := i + len(word)
		if (i == 0 || !isNamePart(text[i-1])) && (end == len(text) || !isNamePart(text[end])) {
			return text[:i] + with + text[end:]
		}
		from = end
	}
}

// RenameRoot gives a name of an expression another name, wherever it stands for itself and not for a key.
func RenameRoot(expression, from, to string) string {
	var b strings.Builder
	l, done, before := lexer{text: expression}, 0, token{}
	for t := l.next(); t.kind != tokenEnd && t.kind != tokenBroken; t = l.next() {
		if t.kind == tokenIdent && t.text == from && before.text != "." && before.text != "?" {
			b.WriteString(expression[done:t.at] + to)
			done = t.at + len(from)
		}
		before = t
	}
	return b.String() + expression[done:]
}

// RenameRoots is RenameRoot in each ${…} of a text; one that has none is an expression.
func RenameRoots(text, from, to string) string {
	segments, fault := Split(text)
	if fault != nil {
		return text
	}
	var b strings.Builder
	done := 0
	for _, s := range segments {
		if s.Expression {
			b.WriteString(text[done:s.At] + RenameRoot(s.Text, from, to))
			done = s.At + len(s.Text)
		}
	}
	if done == 0 {
		return RenameRoot(text, from, to)
	}
	return b.String() + text[done:]
}

// ReplaceExpression replaces the first ${…} that holds an expression, with its braces.
func ReplaceExpression(s, expression, with string) string {
	for from := 0; ; {
		i := strings.Index(s[from:], "${")
		if i < 0 {
			return s
		}
		start := from + i
		end, ok := expressionEnd(s, start+2)
		switch {
		case start > 0 && s[start-1] == '$' || !ok:
			from = start + 2
		case strings.TrimSpace(s[start+2:end]) == expression:
			return s[:start] + with + s[end+1:]
		default:
			from = end + 1
		}
	}
}

// RenameNode renames nodes.from, nodes["from"] and nodes['from'] in a string with expressions.
func RenameNode(s, from, to string) string {
	for _, quoted := range []string{`"` + from + `"`, `'` + from + `'`} {
		s = strings.ReplaceAll(s, "nodes["+quoted+"]", "nodes."+to)
	}
	var b strings.Builder
	for {
		i := strings.Index(s, "nodes."+from)
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		end := i + len("nodes.") + len(from)
		ends := end == len(s) || !isNamePart(s[end]) && s[end] != '-'
		starts := i == 0 || !isNamePart(s[i-1]) && s[i-1] != '.'
		if starts && ends {
			b.WriteString(s[:i] + "nodes." + to)
		} else {
			b.WriteString(s[:end])
		}
		s = s[end:]
	}
}
