package call

import (
	"bytes"
	"encoding/json"

	"github.com/runplane/runplane/schemas"
)

// Beside returns the content blocks of a result that say more than its output; nil: none do.
func (r *Result) Beside() json.RawMessage {
	switch {
	case len(r.Content) > 0:
		return r.Content
	case r.Blocks || r.Text == "" || IsText(r.Text, r.Output):
		return nil
	}
	block := schemas.ObjectIn([]byte{'['})
	block.Text("type", "text")
	block.Text("text", r.Text)
	content, _ := block.End() // texts can always be written
	return append(content, ']')
}

// IsText reports whether a text is the output itself: a string as it is, and anything else as JSON.
func IsText(text string, output []byte) bool {
	if len(output) == 0 || text == "" {
		return false
	}
	switch output[0] {
	case '"':
		var s string
		return json.Unmarshal(output, &s) == nil && s == text
	case '{', '[':
		if text[0] != output[0] {
			return false
		}
		var a, b bytes.Buffer
		return json.Compact(&a, []byte(text)) == nil && json.Compact(&b, output) == nil && bytes.Equal(a.Bytes(), b.Bytes())
	}
	return text == string(output)
}
