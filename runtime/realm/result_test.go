package realm

import (
	"encoding/json"
	"testing"

	"github.com/runplane/runplane/runtime/call"
)

// TestOutputOfEveryAnswer checks Result.Output: structured content; else the only text, decoded if it is an object or an array; else
// the blocks. Content is empty where the blocks are one text or the output.
func TestOutputOfEveryAnswer(t *testing.T) {
	const image = `{"type":"image","mimeType":"image/png","data":"AA=="}`
	for _, tt := range []struct{ name, answer, output, text, content string }{
		{"structured", `{"structuredContent":{"n":1},"content":[{"type":"text","text":"one"}]}`, `{"n":1}`, "one", ""},
		{"structured null", `{"structuredContent":null,"content":[{"type":"text","text":"one"}]}`, `"one"`, "one", ""},
		{"text", `{"content":[{"type":"text","text":"one <b>"}]}`, `"one <b>"`, "one <b>", ""},
		{"text of an object", `{"content":[{"type":"text","text":" {\"n\": 1.50} "}]}`, `{"n": 1.50}`, ` {"n": 1.50} `, ""},
		{"text of a list", `{"content":[{"type":"text","text":"[1,2]"}]}`, `[1,2]`, "[1,2]", ""},
		{"text of a number", `{"content":[{"type":"text","text":"12"}]}`, `"12"`, "12", ""},
		{"text that only begins as an object", `{"content":[{"type":"text","text":"{one}"}]}`, `"{one}"`, "{one}", ""},
		{"two texts", `{"content":[{"type":"text","text":"one"},{"type":"text","text":"two"}]}`, `[{"type":"text","text":"one"},{"type":"text","text":"two"}]`, "one\ntwo", "output"},
		{"a text and an image", `{"content":[{"type":"text","text":"one"},` + image + `]}`, `[{"type":"text","text":"one"},` + image + `]`, "one", "output"},
		{"an image", `{"content":[` + image + `]}`, `[` + image + `]`, "", "output"},
		{"nothing", `{"content":[]}`, `[]`, "", "output"},
		{"an image beside structured", `{"structuredContent":{"n":1},"content":[` + image + `]}`, `{"n":1}`, "", `[` + image + `]`},
		{"nothing beside structured", `{"structuredContent":{"n":1},"content":[]}`, `{"n":1}`, "", `[]`},
		{"a text with more", `{"content":[{"type":"text","text":"a \\\"},{\"","annotations":{"audience":["user"]}}]}`, `"a \\\"},{\""`, `a \"},{"`, `[{"type":"text","text":"a \\\"},{\"","annotations":{"audience":["user"]}}]`},
		{"a text with quotes", `{"content":[{"type":"text","text":"a, \\\" b, \\\\"}]}`, `"a, \\\" b, \\\\"`, `a, \" b, \\`, ""},
		{"a text with nulls", `{"content":[{"type":"text","text":"one","annotations":null,"_meta":null}]}`, `"one"`, "one", ""},
	} {
		var r toolResult
		if err := json.Unmarshal([]byte(tt.answer), &r); err != nil {
			t.Fatal(err)
		}
		got := r.result(&call.Call{Realm: "r", Capability: "c"})
		if string(got.Output) != tt.output || got.Text != tt.text || got.ServedBy != "r.c" {
			t.Errorf("%s: got %s and %q, want %s and %q", tt.name, got.Output, got.Text, tt.output, tt.text)
		}
		content := string(got.Content)
		if got.Blocks {
			content += "output"
		}
		if content != tt.content {
			t.Errorf("%s: content is %s, want %s", tt.name, content, tt.content)
		}
	}
}
