package realm

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/redact"
	"github.com/runplane/runplane/schemas"
)

// toolResult is the part of a tools/call result that is read here.
type toolResult struct {
	Type       string          `json:"resultType"`
	Content    []contentBlock  `json:"content"`
	Structured json.RawMessage `json:"structuredContent"`
	IsError    bool            `json:"isError"`

	notes    []string // what was repaired in it
	maxDepth int      // levels of nesting in JSON that is in a text
	redact   *redact.Redactor
}

// unreadable is the error of an answer that most clients could not read.
type unreadable struct{ flaw *schemas.Flaw }

func (e unreadable) Error() string {
	if e.flaw.Pointer == "" {
		return e.flaw.Text
	}
	return "at " + e.flaw.Pointer + " " + e.flaw.Text
}

// isUnreadable recognizes an answer with a flaw of this kind.
func isUnreadable(kind schemas.FlawKind) func(*fault) bool {
	return func(f *fault) bool {
		e, ok := errors.AsType[unreadable](f.err)
		return ok && e.flaw.Kind == kind
	}
}

// contentBlock is a content block, with its raw bytes.
type contentBlock struct {
	raw  json.RawMessage
	Type string
	Text string
}

func (b *contentBlock) UnmarshalJSON(raw []byte) error {
	var fields struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return err
	}
	b.raw, b.Type, b.Text = append(json.RawMessage(nil), raw...), fields.Type, fields.Text
	return nil
}

// text joins the text blocks.
func (r *toolResult) text() string {
	if len(r.Content) == 1 && r.Content[0].Type == "text" {
		return r.Content[0].Text
	}
	var texts []string
	for _, b := range r.Content {
		if b.Type == "text" {
			texts = append(texts, b.Text)
		}
	}
	return strings.Join(texts, "\n")
}

// output is the result as call.Result.Output describes it. Numbers keep their digits.
func (r *toolResult) output() json.RawMessage {
	if len(r.Structured) > 0 && string(r.Structured) != "null" {
		return r.Structured
	}
	if len(r.Content) == 1 && r.Content[0].Type == "text" {
		text := []byte(r.Content[0].Text)
		if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') && json.Valid(trimmed) {
			mended, notes, flaw := schemas.Mend(trimmed, r.maxDepth)
			if flaw == nil {
				r.notes = append(r.notes, notes...)
				return r.redact.JSON(mended) // its own escapes may have hidden a secret
			}
			r.notes = append(r.notes, "the output is a text: as JSON it could not be read by most clients, "+unreadable{flaw}.Error())
		}
		return quote(r.Content[0].Text)
	}
	return r.list()
}

// list is the list of all content blocks.
func (r *toolResult) list() json.RawMessage {
	out := []byte{'['}
	for i, b := range r.Content {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, b.raw...)
	}
	return append(out, ']')
}

// blocks is Content and Blocks of the call.Result.
func (r *toolResult) blocks() (content json.RawMessage, isOutput bool) {
	if len(r.Content) == 1 && r.Content[0].isPlain() {
		return nil, false
	}
	if len(r.Content) != 1 || r.Content[0].Type != "text" {
		isOutput = len(r.Structured) == 0 || string(r.Structured) == "null"
	}
	if isOutput {
		return nil, true
	}
	return r.list(), false
}

// isPlain reports whether the block is a text and nothing else.
func (b *contentBlock) isPlain() bool {
	if b.Type != "text" {
		return false
	}
	if countMembers(b.raw) == 2 {
		return true
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(b.raw, &members) != nil {
		return false
	}
	for name, value := range members {
		if name != "type" && name != "text" && string(value) != "null" {
			return false
		}
	}
	return true
}

// countMembers counts the members of a JSON object.
func countMembers(object []byte) int {
	n, depth := 1, 0
	for i := 0; i < len(object); i++ {
		switch object[i] {
		case '"':
			i = closingQuote(object, i)
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',':
			if depth == 1 {
				n++
			}
		}
	}
	return n
}

// closingQuote is the end of the JSON string that begins at i.
func closingQuote(doc []byte, i int) int {
	for {
		next := bytes.IndexByte(doc[i+1:], '"')
		if next < 0 {
			return len(doc)
		}
		i += 1 + next
		slashes := 0
		for slashes < i && doc[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
	}
}

// quote is the text as a JSON string, without escaping <, > and &.
func quote(s string) json.RawMessage {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return json.RawMessage(`""`) // a string always encodes
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

func (r *toolResult) result(c *call.Call) *call.Result {
	out := &call.Result{Output: r.output(), Text: r.text(), ServedBy: c.Name(), Attempts: 1}
	out.Content, out.Blocks = r.blocks()
	out.Notes = r.notes
	return out
}
