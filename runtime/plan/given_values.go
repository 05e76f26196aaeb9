package plan

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
)

// What a literal is in the type that a tool takes.

// maxTextDepth is the nesting of JSON in a text that is read.
const maxTextDepth = 64

var wholeWithPoint = regexp.MustCompile(`^-?(?:0|[1-9][0-9]*)\.0+$`)

// truthWords are the texts that mean a boolean.
var truthWords = map[string]string{"true": "true", "false": "false", "yes": "true", "no": "false", "on": "true", "off": "false"}

// convert writes a literal in a type that is wanted, where it has one reading in it; else say may be what to write. items are the types of the
// elements of a list that is wanted.
func convert(v *document.Tree, want, items []string) (fixed json.RawMessage, say string) {
	text := ""
	if v.Kind == '"' {
		if text = strings.TrimSpace(v.Text()); strings.Contains(text, "${") {
			return nil, ""
		}
	}
	for _, w := range want {
		switch {
		case v.Kind == '"' && (w == "integer" || w == "number"):
			if t, err := document.Parse(text); err == nil && (t.JSONType() == w || w == "number" && t.JSONType() == "integer") {
				return json.RawMessage(text), ""
			}
			if whole, _, _ := strings.Cut(text, "."); w == "integer" && wholeWithPoint.MatchString(text) {
				return json.RawMessage(whole), ""
			}
		case v.Kind == '"' && w == "boolean" && truthWords[strings.ToLower(text)] != "":
			return json.RawMessage(truthWords[strings.ToLower(text)]), ""
		case w == "boolean" && v.Kind == '0':
			say = "; write true or false"
		case w == "string" && (v.Kind == '0' || v.Kind == 't' || v.Kind == 'f'):
			return json.RawMessage(document.Quote(v.Raw)), ""
		case v.Kind == '[' && w != "object" && w != "array":
			if len(v.Items) == 1 && compatible([]string{v.Items[0].JSONType()}, []string{w}) {
				return v.Items[0].AppendTo(nil), ""
			}
			say = "; for_each makes one call for each item of a list"
		case v.Kind == '"' && (w == "array" || w == "object") && text != "" && text[0] == map[string]byte{"array": '[', "object": '{'}[w]:
			if t, ok := document.Within(text, maxTextDepth); ok && t.JSONType() == w {
				return t.AppendTo(nil), ""
			}
		case w == "array" && v.Kind == '"' && !single(text):
			say = `; write a list, as in ["a", "b"]`
		case w == "array" && v.Kind != 'n' && v.Kind != '[' && compatible([]string{v.JSONType()}, items):
			return json.RawMessage(bytes.Join([][]byte{[]byte("["), v.AppendTo(nil), []byte("]")}, nil)), ""
		}
	}
	return nil, say
}

// single reports whether a text is evidently one element of a list, and not several of them or a word for them all.
func single(text string) bool {
	return text != "" && !strings.ContainsAny(text, ",;|* \t\n") && !slices.Contains([]string{"all", "none", "null", "any", "everything"}, strings.ToLower(text))
}
