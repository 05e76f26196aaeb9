package server

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/tools"
)

// A text of any length, in any argument of any tool, is used or refused: it is no internal error, and the error does not repeat it.
func TestLongArgumentsOfEveryTool(t *testing.T) {
	s, publish := published(t)
	publish("greet", "hello")
	ask := doors[0].open(t, s)
	n := 0
	call := func(tool string, arguments map[string]any) *received {
		t.Helper()
		b, err := json.Marshal(arguments)
		if err != nil {
			t.Fatal(err)
		}
		n++
		r := strict(t, ask(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, n, tool, b)))
		return &r
	}
	plan := map[string]any{"plan": "v1", "nodes": []any{map[string]any{"id": "a", "set": 1}}}
	var e schemas.Execution
	if err := json.Unmarshal(call("execute_plan", map[string]any{"execution_plan": plan}).Result.StructuredContent, &e); err != nil {
		t.Fatal(err)
	}
	var session schemas.Session
	if err := json.Unmarshal(call("create_session", map[string]any{}).Result.StructuredContent, &session); err != nil {
		t.Fatal(err)
	}
	known := map[string]any{ // what a required argument is otherwise
		"execution_plan": plan, "definition": plan, "execution_id": e.ExecutionID, "session_id": session.SessionID, "workflow_id": "greet", "name": "w",
		"node_id": "a", "state_key": "k", "state_type": "t", "state_data": map[string]any{}, "updates": map[string]any{}, "inputs": map[string]any{},
		"timeout_seconds": 1, "retry_config": map[string]any{}, "event_name": "x", "priority": 3, "realm": "r", "capability_name": "c",
	}
	for _, m := range tools.All() {
		var schema struct {
			Properties map[string]struct{ Type any }
			Required   []string
		}
		if err := json.Unmarshal(m.Input, &schema); err != nil {
			t.Fatal(err)
		}
		for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
			for _, long := range []string{strings.Repeat("x", 1025), "/" + strings.Repeat("é/", 12_000)} {
				var values []any
				for _, kind := range slices.Concat([]any{schema.Properties[name].Type}) {
					switch kind {
					case "string":
						values = append(values, long)
					case "object":
						values = append(values, map[string]any{long: long}, map[string]any{"a": map[string]any{long: 1}}, map[string]any{"nodes": map[string]any{long: map[string]any{"skip": true}}},
							map[string]any{"plan": "v1", "nodes": []any{map[string]any{"id": long, "capability": long + "." + long, "inputs": map[string]any{long: "${" + long + "}"}, long: 1}}})
					default:
						values = append(values, long)
					}
				}
				for _, value := range values {
					arguments := map[string]any{}
					for _, required := range schema.Required {
						arguments[required] = known[required]
					}
					arguments[name] = value
					if _, ok := schema.Properties["wait_seconds"]; ok && name != "wait_seconds" {
						arguments["wait_seconds"] = 0
					}
					r := call(m.Name, arguments)
					if r.Result == nil || r.code() == schemas.CodeInternal {
						t.Errorf("%s with %s of %d bytes: %+v", m.Name, name, len(long), r)
						continue
					}
					if size := len(r.Result.Content[0].Text); r.Result.IsError && size > 24<<10 {
						t.Errorf("%s with %s of %d bytes: an error of %d bytes: %.300s", m.Name, name, len(long), size, r.Result.Content[0].Text)
					}
				}
			}
		}
	}
}
