package realm

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/runplane/runplane/schemas"
)

// cutMark ends a text of a realm that was cut.
const cutMark = "… (cut)"

// clean removes what a person does not see from a text of a realm and cuts it to limit bytes, so that it can be shown to a model or a
// person.
func clean(s string, limit int) string { return schemas.Cut(schemas.Clean(s), limit, cutMark) }

// printable is a text for the log: one line, at most limit bytes, hidden characters escaped.
func printable(b []byte, limit int) string {
	var out strings.Builder
	for _, r := range string(b[:min(len(b), limit)]) {
		switch {
		case r == '\t':
			out.WriteByte(' ')
		case r == '\n' || schemas.Hidden(r):
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			out.WriteRune(r)
		}
	}
	if len(b) > limit {
		out.WriteString("…")
	}
	return out.String()
}

// cleanJSON cleans every string in a JSON document of a realm.
func cleanJSON(raw json.RawMessage, limit int) json.RawMessage {
	return schemas.CleanJSON(raw, limit, cutMark)
}

// textWarnings returns warnings about a definition: hidden characters, which are removed, and texts that are far too long.
func textWarnings(d definition, limit int) (found []string) {
	for _, text := range []struct{ where, what string }{{"title", d.Title}, {"description", d.Description}} {
		if schemas.HasHidden(text.what) {
			found = append(found, "hidden characters were removed from its "+text.where)
		}
		if len(text.what) > limit {
			found = append(found, fmt.Sprintf("its %s had %d bytes and was cut", text.where, len(text.what)))
		}
	}
	for _, doc := range []struct {
		where string
		raw   json.RawMessage
	}{{"input schema", d.InputSchema}, {"output schema", d.OutputSchema}, {"annotations", d.Annotations}} {
		if schemas.HasHiddenJSON(doc.raw) {
			found = append(found, "hidden characters were removed from its "+doc.where)
		}
		if n := schemas.LargePatterns(doc.raw); n > 0 {
			found = append(found, fmt.Sprintf("%d patterns of its %s are too large to be checked (limit %d instructions each)", n, doc.where,
				schemas.MaxPattern))
		}
	}
	return found
}
