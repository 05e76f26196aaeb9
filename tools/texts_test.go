package tools

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// A value that may be text is text, unless the caller says that it is JSON text.
func TestTextOfAValueIsReadOnlyWhereItIsSaidToBeJSON(t *testing.T) {
	for _, tt := range []struct{ given, format, want, says string }{
		{`"{\"a\":1}"`, "", `"{\"a\":1}"`, ""},
		{`{"a":1}`, "", `{"a":1}`, ""},
		{`"{\"a\":12345678901234567890,\"b\":null}"`, "json", `{"a":12345678901234567890,"b":null}`, ""},
		{`" [1] "`, "json", `[1]`, ""},
		{`"\"text\""`, "json", `"text"`, ""},
		{`"null"`, "json", `null`, ""},
		{`{"a":1}`, "json", "", "it is no text"},
		{`"a: 1"`, "json", "", "is not JSON (at byte 1)"},
		{`"{\"a\":1,\"a\":2}"`, "json", "", "has a flaw"},
		{`""`, "json", "", "is not JSON"},
	} {
		got, err := fromText("state_data", schemas.Value(tt.given), tt.format)
		if string(got) != tt.want || (err == nil) != (tt.says == "") || err != nil && (!strings.Contains(err.Error(), tt.says) || schemas.AsError(err).Field != "/state_data") {
			t.Errorf("%s, format %q: %s, %v, want %s, %q", tt.given, tt.format, got, err, tt.want, tt.says)
		}
	}
}

// A text in the place of an object that is not its JSON gets a sentence that says so.
func TestTextThatIsNotJSONIsExplained(t *testing.T) {
	methods := map[string]Method{}
	for _, m := range All() {
		methods[m.Name] = m
	}
	for _, tt := range []struct{ tool, arguments, says string }{
		{"invoke_capability", `{"realm":"r","capability_name":"c","inputs":"a: 1"}`, "this text is not JSON (at byte 1)"},
		{"invoke_capability", `{"realm":"r","capability_name":"c","inputs":"{\"a\":1,\"a\":2}"}`, "has a flaw"},
		{"invoke_capability", `{"realm":"r","capability_name":"c","inputs":"[1]"}`, "is JSON of another type"},
		{"create_session", `{"data":"{1}"}`, "is not JSON (at byte 2)"},
		{"update_session", `{"session_id":"x","updates":{"data":"no"}}`, "is not JSON"},
		{"list_states", `{"state_type":"x","filters":""}`, "is not JSON"},
	} {
		_, err := methods[tt.tool].Call(t.Context(), nil, Request{Arguments: json.RawMessage(tt.arguments)})
		if e := schemas.AsError(err); e == nil || e.Code != schemas.CodeInvalidArgument || !strings.Contains(e.Message, "JSON text is taken too") || !strings.Contains(e.Message, tt.says) {
			t.Errorf("%s(%s): %v, want one that says %q", tt.tool, tt.arguments, err, tt.says)
		}
	}
	_, err := methods["get_state"].Call(t.Context(), nil, Request{Arguments: json.RawMessage(`{"state_type":7,"state_key":"x"}`)})
	if err == nil || strings.Contains(err.Error(), "JSON text") {
		t.Errorf("a number in the place of a text: %v", err)
	}
}

// What a converter to a dialect without open objects makes text of says that text is taken.
func TestOpenObjectsSayThatTextIsTaken(t *testing.T) {
	found := 0
	var visit func(path string, schema map[string]any)
	visit = func(path string, schema map[string]any) {
		properties, _ := schema["properties"].(map[string]any)
		for name, p := range properties {
			member := p.(map[string]any)
			about, _ := member["description"].(string)
			if open := member["type"] == "object" && member["properties"] == nil; open && !strings.Contains(about, "text") {
				t.Errorf("%s/%s: %q", path, name, about)
			} else if open {
				found++
			}
			visit(path+"/"+name, member)
		}
	}
	for _, m := range All() {
		visit(m.Name, input(t, m))
	}
	if found < 15 {
		t.Errorf("%d open objects were found", found)
	}
}
