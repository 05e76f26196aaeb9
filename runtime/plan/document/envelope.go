package document

import (
	"fmt"
	"regexp"
	"strings"
)

// Unwrap finds the one document in a text that has something around it: a fence of Markdown, a tag, thoughts, a sentence, a declaration of a
// program. has reports whether a piece may be the document that is looked for, and part whether it may be a part of it, which is not taken
// off with a fence around it. What is around it is overwritten with spaces, so that lines
// and columns stay; took says what it was, and is empty if the text is returned as it is. The error says that there are several documents,
// or that the text has a form which cannot be read.
func Unwrap(text string, has, part func(piece string) bool) (inner string, took []string, err *Error) {
	u := &unwrapper{text: text, has: has, part: part}
	if strings.Contains(text, "&quot;") && !strings.Contains(text, `"`) {
		return text, nil, &Error{Kind: Syntax, Message: "the text is written for HTML, with &quot; in the place of quotes: send it as JSON"}
	}
	u.thoughts()
	if err := u.pieces(u.fences(), "a code fence"); err != nil || len(u.took) > 0 && u.done {
		return u.text, u.took, err
	}
	if err := u.tag(); err != nil || u.done {
		return u.text, u.took, err
	}
	if !likeYAML.MatchString(u.text) {
		if err := u.pieces(u.brackets(), "text"); err != nil || u.done {
			return u.text, u.took, err
		}
	}
	err = u.sentences()
	return u.text, u.took, err
}

type unwrapper struct {
	text string
	has  func(string) bool
	part func(string) bool
	took []string
	done bool
}

// piece is a part of the text: the document, and all that belongs to its frame.
type piece struct{ from, to int }

// pieces keeps the one piece that is the document.
func (u *unwrapper) pieces(all []piece, what string) *Error {
	var kept []piece
	for _, p := range all {
		if u.has(u.text[p.from:p.to]) {
			kept = append(kept, p)
		}
	}
	switch {
	case len(kept) > 1:
		return &Error{Kind: Syntax, Message: fmt.Sprintf("the text has %d plans, and it is not certain which one is meant: send only one plan", len(kept))}
	case len(kept) == 0 && len(all) == 1:
		kept = all
	case len(kept) == 0:
		return nil
	}
	for _, p := range all {
		if p != kept[0] && u.part(u.text[p.from:p.to]) {
			return &Error{Kind: Syntax, Message: fmt.Sprintf("beside the plan another block, %.60q, has fields of a plan: send the plan as one document, with all "+
				"of its fields and nodes", strings.Join(strings.Fields(u.text[p.from:p.to]), " "))}
		}
	}
	return u.keep(kept[0], what)
}

// A field in what stands around a document may be one of its own: one bracket too many, or a sentence, has cut the document. A word with a
// capital letter and a colon begins a sentence, if more than one word follows it.
var (
	fieldAround = regexp.MustCompile(`["']\w+["']\s*:\s*\S|[,{}\]]\s*\w+\s*:\s*["'\d{\[]`)
	fieldAfter  = regexp.MustCompile(`(?m)\A\s*,\s*\w+\s*:|^[ \t]*-[ \t]*\{|^[ \t]*(?:-[ \t]+)?[a-z_][\w-]*[ \t]*:(?:[ \t]|\r?$)|` +
		`^[ \t]*(?:-[ \t]+)?[A-Z][\w-]*[ \t]*:[ \t]+\S+[ \t]*\r?$`)
)

// keep overwrites all that is not in the piece. It refuses text around it that may be a part of the document.
func (u *unwrapper) keep(p piece, what string) *Error {
	around := strings.TrimSpace(u.text[:p.from] + " " + u.text[p.to:])
	u.done = true
	if around == "" {
		return nil
	}
	if what == "text" {
		before, after := u.text[:p.from], u.text[p.to:]
		for _, lost := range []string{fieldAround.FindString(before), fieldAround.FindString(after), fieldAfter.FindString(after)} {
			if lost != "" {
				return &Error{Kind: Syntax, Message: fmt.Sprintf("what stands around the plan, %.60q, may be more of it: send the plan as one document, "+
					"with all its fields and no text before or after it", strings.Join(strings.Fields(lost), " "))}
			}
		}
		what = fmt.Sprintf("what stands around it, %.60q,", strings.Join(strings.Fields(around), " "))
	} else {
		what += " around it"
	}
	u.took = append(u.took, what+" is taken off")
	u.text = blank(u.text[:p.from]) + u.text[p.from:p.to] + blank(u.text[p.to:])
	return nil
}

// blank is a text of spaces with the same lines.
func blank(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		return ' '
	}, text)
}

// thoughtTags are the names of tags whose content is no part of an answer.
var thoughtTags = []string{"thinking", "think", "thought", "thoughts", "reasoning", "scratchpad", "analysis", "reflection", "commentary"}

// thoughts takes off what is marked as thoughts.
func (u *unwrapper) thoughts() {
	for _, name := range thoughtTags {
		for range 8 {
			from, to := strings.Index(u.text, "<"+name+">"), strings.Index(u.text, "</"+name+">")
			switch {
			case to < 0, from > to:
			case from < 0: // they began before the text
				from = 0
				fallthrough
			default:
				to += len(name) + 3
				u.text = u.text[:from] + blank(u.text[from:to]) + u.text[to:]
				u.took = append(u.took, "thoughts in a tag are taken off")
				continue
			}
			break
		}
	}
}

// fences are the contents of the fenced blocks of a text; the last one may have no end.
func (u *unwrapper) fences() (all []piece) {
	at, open, mark := 0, -1, ""
	for line := range strings.Lines(u.text) {
		body := strings.TrimLeft(line, " ")
		indent := len(line) - len(body)
		fence := ""
		if len(body) >= 3 && (body[0] == '`' || body[0] == '~') && indent < 4 {
			fence = body[:len(body)-len(strings.TrimLeft(body, body[:1]))]
		}
		switch {
		case len(fence) < 3:
		case open < 0:
			open, mark = at+len(line), fence
		case strings.HasPrefix(fence, mark) && strings.TrimSpace(body) == fence:
			all = append(all, piece{open, at})
			open = -1
		}
		at += len(line)
	}
	if open >= 0 && open < len(u.text) {
		all = append(all, piece{open, len(u.text)})
	}
	return all
}

var openTag = regexp.MustCompile(`(?m)^[ \t]*<([A-Za-z][\w-]*)(?:\s[^<>]*)?>`)

// tag takes off the tags around the document.
func (u *unwrapper) tag() *Error {
	for range 4 {
		m := openTag.FindStringSubmatchIndex(u.text)
		if m == nil {
			return nil
		}
		name := u.text[m[2]:m[3]]
		end := strings.LastIndex(u.text, "</"+name+">")
		if end < m[1] {
			return nil
		}
		content := strings.TrimSpace(u.text[m[1]:end])
		switch {
		case content == "":
			return nil
		case content[0] == '<' && !openTag.MatchString(content), content[0] == '<' && strings.Contains(content, "=\""):
			return &Error{Kind: Syntax, Message: "the text is XML: write the plan in JSON or YAML"}
		}
		if err := u.keep(piece{m[1], end}, "the tag <"+name+">"); err != nil {
			return err
		}
	}
	return nil
}

// brackets are the pieces of a text that begin with a bracket and end with the one that closes it.
func (u *unwrapper) brackets() (all []piece) {
	for at := 0; at < len(u.text); {
		from := strings.IndexAny(u.text[at:], "{[")
		if from < 0 {
			return all
		}
		from += at
		at = closingBracket(u.text, from)
		if u.has(u.text[from:at]) {
			all = append(all, piece{from, at})
		}
	}
	return all
}

// closingBracket is the end of what begins with a bracket; the end of the text if nothing closes it.
func closingBracket(text string, from int) int {
	depth, inside, last := 0, byte(0), byte(0)
	for i := from; i < len(text); i++ {
		c := text[i]
		switch {
		case inside != 0:
			switch c {
			case '\\':
				i++
			case inside:
				inside = 0
			}
			continue
		case c == '"', c == '\'' && strings.IndexByte("{[,:(", last) >= 0:
			inside = c
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		if c > ' ' {
			last = c
		}
	}
	return len(text)
}

var (
	lineOfYAML = regexp.MustCompile(`(?m)^(?:plan|nodes|steps|tasks|name|inputs|execution_plan|workflow|version)[ \t]*:(?:[ \t]|$)`)
	likeYAML   = regexp.MustCompile(`(?m)^[ \t\d+>|-]*(?:plan|nodes|steps|tasks|inputs|capability)[ \t]*:(?:[ \t]|$)`)
	anyField   = regexp.MustCompile(`^[\w"'.-]+[ \t]*:(?:\s|$)`)
)

// sentences takes off lines of prose before and after YAML.
func (u *unwrapper) sentences() *Error {
	m := lineOfYAML.FindStringIndex(u.text)
	if m == nil {
		return nil
	}
	for line := range strings.Lines(u.text[:m[0]]) {
		text := strings.TrimSpace(line)
		if text != "" && (!strings.Contains(text, " ") || anyField.MatchString(text) || line[0] == ' ' || line[0] == '#' || line[0] == '-') {
			return nil // it belongs to the document
		}
	}
	to, at, empty := len(u.text), m[0], false
	for line := range strings.Lines(u.text[m[0]:]) {
		text := strings.TrimSpace(line)
		if empty && text != "" && strings.IndexByte(" \t-#}]", line[0]) < 0 && !anyField.MatchString(line) && strings.Contains(text, " ") {
			to = at
			break
		}
		empty = text == ""
		at += len(line)
	}
	return u.keep(piece{m[0], to}, "text")
}
