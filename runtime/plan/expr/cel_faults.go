package expr

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
)

// syntaxFaults turns what CEL found into one fault in our words: the first one, because the others follow from it.
func syntaxFaults(text string, issues *cel.Issues) []Fault {
	e := issues.Errors()[0]
	at := offset(text, e.Location.Line(), e.Location.Column())
	return []Fault{{Code: CodeSyntax, At: at, Message: sentence(text, at, e.Message)}}
}

// sentence says what is wrong at a byte of an expression. CEL's message decides only which kind of mistake it is.
func sentence(text string, at int, message string) string {
	name, rest, _ := strings.Cut(strings.TrimPrefix(message, "found no matching overload for "), " applied to ")
	switch {
	case rest != "":
		return misused(strings.Trim(name, "'"), strings.Trim(rest, "'"))
	case strings.Contains(message, "does not support field selection"):
		return fmt.Sprintf("%s has no members: a list gives them with l[0].a or l.map(x, x.a)", typeWords(quotedIn(message)))
	case strings.Contains(message, "recursion limit"), strings.Contains(message, "max recursion"):
		return "the expression is nested too deep: move parts of it into `set` nodes"
	case strings.Contains(message, "size exceeds"):
		return "the expression is too long: move parts of it into `set` nodes"
	case strings.Contains(message, "reserved identifier"):
		return fmt.Sprintf("%[1]q is a reserved word: an expression is one value, as in a ? b : c; a member is read as x[%[1]q]", WordAt(text, at))
	case strings.Contains(message, "invalid argument to has"):
		return "has() takes a member, as in has(a.b)"
	case strings.Contains(message, "argument must be a simple name"), strings.Contains(message, "argument is not an identifier"):
		return "a macro takes its variable first, a simple name, as in l.map(x, x.id)"
	case !strings.HasPrefix(message, "Syntax error"):
		return "the types do not go together: " + typeWords(message)
	}
	return syntaxSentence(text, at)
}

// misused says how a function or an operator was not to be used; given are the types of what it was called on and with, as in string.(int).
func misused(name, given string) string {
	on, with, called := strings.Cut(given, ".(")
	if !called {
		with = strings.TrimPrefix(given, "(")
	}
	with = strings.TrimSuffix(with, ")")
	functions, methods := 0, 0
	if f := celEnvironment().Functions()[name]; f != nil && !strings.HasPrefix(name, "_") {
		for _, o := range f.OverloadDecls() {
			if o.IsMemberFunction() {
				methods++
			} else {
				functions++
			}
		}
	}
	switch word := operatorWord(name); {
	case called && methods == 0 && functions > 0:
		return fmt.Sprintf("%s is not called on a value, which is its argument: write %s(a)", word, name)
	case !called && functions == 0 && methods > 0:
		return fmt.Sprintf("%s is called on a value: write a.%s(…)", word, name)
	case called && with == "":
		return fmt.Sprintf("%s cannot be called on %s without arguments", word, typeWords(on))
	case called:
		return fmt.Sprintf("%s cannot be used with %s, called on %s", word, typeWords(with), typeWords(on))
	default:
		return fmt.Sprintf("%s cannot be used with %s", word, typeWords(with))
	}
}

// syntaxSentence says what is wrong with the text at a byte that cannot be read.
func syntaxSentence(text string, at int) string {
	if open := openBracket(text); open != "" && strings.TrimSpace(text[at:]) == "" {
		return fmt.Sprintf("the %s is not closed", open)
	}
	if strings.TrimSpace(text[at:]) == "" {
		return "the expression ends where a value is missing"
	}
	l := lexer{text: text, at: at}
	t := l.next()
	switch {
	case isQuote(t.text[0]) || t.kind == tokenString || t.kind == tokenBroken:
		if strings.Contains(t.text, `\`) {
			return "a backslash in a text is written twice, or the text as r\"…\""
		}
		if t.kind == tokenBroken {
			return "the text has no closing quote"
		}
		return fmt.Sprintf("%s cannot stand here: an operator is missing in front of it, as in a + b", Shorten(t.text))
	case t.text == "`":
		return "a text is written in quotes: \"a\" or 'a'"
	case t.text == "=":
		return "a comparison is written =="
	case t.text == ";":
		return "an expression is one value, without ;"
	case t.text == "\\":
		return "a backslash has a meaning in texts alone"
	case t.kind == tokenSign && strings.ContainsAny(t.text, "@#$|~^&"):
		return fmt.Sprintf("%s has no meaning in an expression", t.text)
	case t.kind == tokenIdent || t.kind == tokenNumber:
		return fmt.Sprintf("%s cannot stand here: an operator is missing in front of it, as in a + b or a == b", Shorten(t.text))
	}
	return fmt.Sprintf("%s cannot stand here: a value is missing in front of it, or it is too much", Shorten(t.text))
}

// openBracket is the last bracket that is not closed.
func openBracket(text string) string {
	var open []string
	l := lexer{text: text}
	for t := l.next(); t.kind != tokenEnd && t.kind != tokenBroken; t = l.next() {
		if t.kind != tokenSign {
			continue
		}
		switch t.text {
		case "(", "[", "{":
			open = append(open, t.text)
		case ")", "]", "}":
			open = open[:max(0, len(open)-1)]
		}
	}
	if len(open) == 0 {
		return ""
	}
	return open[len(open)-1]
}

// quotedIn is what stands in quotes in a message.
func quotedIn(message string) string {
	_, rest, _ := strings.Cut(message, "'")
	quoted, _, _ := strings.Cut(rest, "'")
	return quoted
}

// typeWords are CEL's names of types in words.
func typeWords(types string) string {
	types = strings.NewReplacer("list(dyn)", "list", "map(dyn, dyn)", "map", "dyn", "any value", "null_type", "null").Replace(types)
	return OneLine(types)
}

// operatorWord prints CEL's name of an operator as it is written: _+_ as +.
func operatorWord(name string) string {
	switch name {
	case "@in":
		return "in"
	case "_[_]":
		return "[ ]"
	case "_?_:_":
		return "? :"
	}
	if symbol := strings.Trim(name, "_"); symbol != "" && strings.HasSuffix(name, "_") {
		return symbol
	}
	return name + "()"
}
