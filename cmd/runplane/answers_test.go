package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// asker calls tools of a program and checks that each answer is as small as one is by default.
type asker struct {
	*served
	t *testing.T
}

// ask returns an answer, or the answer that is an error.
func (a asker) ask(tool string, arguments map[string]any) (value json.RawMessage) {
	a.t.Helper()
	value, err := a.tool(a.t.Context(), tool, arguments)
	if e, ok := errors.AsType[*schemas.Error](err); ok {
		if value, err = schemas.Encode(map[string]any{"error": e}); err != nil {
			a.t.Fatal(err)
		}
	} else if err != nil {
		a.t.Fatalf("%s: %v", tool, err)
	}
	if len(value) > schemas.MaxAnswer {
		a.t.Errorf("%s: the answer has %d bytes: %.300s", tool, len(value), value)
	}
	return value
}

func (a asker) into(tool string, arguments map[string]any, v any) {
	a.t.Helper()
	if value := a.ask(tool, arguments); json.Unmarshal(value, v) != nil {
		a.t.Fatalf("%s: %s", tool, value)
	}
}

// all reads a document page by page; what names it: a ref, or the ids of an execution and a node.
func (a asker) all(what map[string]any) string {
	a.t.Helper()
	var text strings.Builder
	for pages := 0; ; pages++ {
		var page schemas.NodeOutput
		if what["max_bytes"] == nil {
			a.into("get_node_output", what, &page)
		} else if v, err := a.tool(a.t.Context(), "get_node_output", what); err != nil || json.Unmarshal(v, &page) != nil || len(page.Text) > 65536 {
			a.t.Fatalf("%v: %v, a page of %d bytes", what, err, len(page.Text))
		}
		if page.Output != nil {
			return string(page.Output)
		}
		text.WriteString(page.Text)
		if page.Ref != "" {
			what["ref"] = page.Ref
		}
		if what["offset"] = page.NextOffset; page.NextOffset == 0 {
			if text.Len() != page.TotalBytes || pages == 0 {
				a.t.Errorf("%v: %d of %d bytes in %d pages", what, text.Len(), page.TotalBytes, pages)
			}
			return text.String()
		}
		if text.Len() > 50<<10 { // the pages are alike
			what["max_bytes"] = 65536
		}
	}
}

// quotes is a text whose JSON has many escapes.
var quotes = strings.Repeat(`say "hello" and "go" `, 500)

func TestAnswersAreSmallByDefaultAndLoseNothing(t *testing.T) {
	web := httptest.NewServer(large(500))
	defer web.Close()
	s := asker{serve(t, fmt.Sprintf(`
mcpServers:
  shop: {command: %q}
  flaky: {command: %q}
  web: {type: http, url: %q}
store: "mem:"
limits: {max_session_bytes: 1048576, max_state_bytes: 2097152}
`, filepath.Join(bin, "shop"), filepath.Join(bin, "flaky"), web.URL)), t}

	t.Run("a direct call", func(t *testing.T) {
		a := asker{s.served, t}
		var small, big schemas.Invocation
		a.into("invoke_capability", map[string]any{"realm": "flaky", "capability_name": "big", "inputs": map[string]any{"bytes": 5000}}, &small)
		if len(small.Output) != 5002 || small.OutputRef != nil || small.Text != "" {
			t.Errorf("a small output: %+v", small)
		}
		a.into("invoke_capability", map[string]any{"realm": "flaky", "capability_name": "big", "inputs": map[string]any{"bytes": 1 << 20}}, &big)
		if big.Output != nil || big.OutputRef == nil || big.OutputRef.Bytes != 1<<20+2 || big.OutputRef.ExpiresAt == nil || !strings.HasPrefix(big.Text, `"xxx`) {
			t.Fatalf("a large output: %.500s", fmt.Sprint(big))
		}
		if got := a.all(map[string]any{"ref": big.OutputRef.Ref}); len(got) != 1<<20+2 || strings.Trim(got, `"x`) != "" {
			t.Errorf("%d bytes were read: %.100s", len(got), got)
		}
		for _, wrong := range []map[string]any{{"ref": big.OutputRef.Ref, "node_id": "a"}, {"ref": "answer/none"}, {"ref": "nothing/a"}, {"ref": "%"}, {"ref": "answer"}, {}, {"node_id": "a"}} {
			if v := a.ask("get_node_output", wrong); !strings.Contains(string(v), `"error"`) {
				t.Errorf("%v: %s", wrong, v)
			}
		}
	})
	t.Run("a discovery", func(t *testing.T) {
		a := asker{s.served, t}
		var first schemas.Discovery
		a.into("discover_capabilities", map[string]any{"realm": "web"}, &first)
		if len(first.Capabilities) != 8 || first.NextCursor == "" || first.Capabilities[0].Capability != "web.tool_0000" || len(first.Realms) != 1 {
			t.Errorf("%+v", first)
		}
		var orders schemas.Discovery
		a.into("discover_capabilities", map[string]any{"query": "order"}, &orders)
		if len(orders.Capabilities) == 0 || len(orders.Realms) != 0 {
			t.Fatalf("%+v", orders)
		}
		arguments := ""
		for _, c := range orders.Capabilities {
			if c.Capability == "shop.get_order" {
				arguments = c.Arguments
			}
		}
		if arguments != "(id*: string)" {
			t.Errorf("get_order takes %q", arguments)
		}
		var everything schemas.Discovery
		a.into("discover_capabilities", map[string]any{}, &everything)
		if len(everything.Realms) != 3 {
			t.Errorf("the realms are %+v", everything.Realms)
		}
		a.ask("discover_capabilities", map[string]any{"detail": "names"})
		var most schemas.Discovery
		if v, err := a.tool(t.Context(), "discover_capabilities", map[string]any{"realm": "web", "limit": 200}); err != nil || json.Unmarshal(v, &most) != nil || len(most.Capabilities) != 200 {
			t.Errorf("%d of 200 capabilities, %v", len(most.Capabilities), err)
		}
		a.ask("check_health", map[string]any{})
		a.ask("resolve_capability", map[string]any{"realm": "web", "capability_name": "tool_0001"})
	})
	t.Run("states and sessions", func(t *testing.T) {
		a := asker{s.served, t}
		data := `{"text":` + jsonText(strings.Repeat(quotes, 20)) + `}`
		a.ask("set_state", map[string]any{"state_type": "task", "state_key": "a/b", "state_data": json.RawMessage(data)})
		var got schemas.State
		a.into("get_state", map[string]any{"state_type": "task", "state_key": "a/b"}, &got)
		if !got.Found || got.StateData != nil || got.More == nil {
			t.Fatalf("%.300s", fmt.Sprint(got))
		}
		if text := a.all(map[string]any{"ref": got.More.Ref, "pointer": "/state_data"}); text != data {
			t.Errorf("%d of %d bytes were read", len(text), len(data))
		}
		a.ask("set_state", map[string]any{"state_type": "task", "state_key": "a/b", "state_data": 1})
		if v := a.ask("get_node_output", map[string]any{"ref": got.More.Ref}); !strings.Contains(string(v), "conflict") {
			t.Errorf("of a state that has changed: %.300s", v)
		}
		for format, want := range map[any]string{"json": `{"n":12345678901234567890}`, nil: `"{\"n\":12345678901234567890}"`} {
			a.ask("set_state", map[string]any{"state_type": "task", "state_key": "t", "state_data": `{"n":12345678901234567890}`, "format": format})
			var written schemas.State
			if a.into("get_state", map[string]any{"state_type": "task", "state_key": "t"}, &written); string(written.StateData) != want {
				t.Errorf("with format %v the state is %s, want %s", format, written.StateData, want)
			}
		}
		for i := range 30 {
			a.ask("set_state", map[string]any{"state_type": "many", "state_key": fmt.Sprint(i), "state_data": json.RawMessage(`{"i":` + fmt.Sprint(i) + `,"text":"` + strings.Repeat("x", i*200) + `"}`)})
		}
		seen := map[string]bool{}
		for cursor := ""; ; {
			var list schemas.StateList
			a.into("list_states", map[string]any{"state_type": "many", "cursor": cursor}, &list)
			for _, st := range list.States {
				seen[st.StateKey] = true
				if (st.StateData == nil) != (st.More != nil) {
					t.Errorf("%+v", st)
				}
			}
			if cursor = list.NextCursor; cursor == "" {
				break
			}
		}
		if len(seen) != 30 {
			t.Errorf("%d of 30 states were listed", len(seen))
		}
		var session schemas.Session
		a.into("create_session", map[string]any{"data": json.RawMessage(data)}, &session)
		if session.Data != nil || session.More == nil {
			t.Fatalf("%.300s", fmt.Sprint(session))
		}
		if text := a.all(map[string]any{"ref": session.More.Ref, "pointer": "/data"}); text != data {
			t.Errorf("%d of %d bytes of a session were read", len(text), len(data))
		}
		a.ask("get_session", map[string]any{"session_id": session.SessionID})
		a.ask("list_sessions", map[string]any{})
	})
	t.Run("executions", func(t *testing.T) {
		a := asker{s.served, t}
		var nodes []map[string]any
		for i := range 1000 {
			nodes = append(nodes, map[string]any{"id": fmt.Sprintf("node_%04d", i), "capability": "shop.get_order", "inputs": map[string]any{"id": "none"}, "retry": map[string]any{"max_attempts": 1}, "on_error": "continue"})
		}
		nodes = append(nodes[:999], map[string]any{"id": "big", "capability": "flaky.big", "inputs": map[string]any{"bytes": 10 << 20}})
		plan := map[string]any{"plan": "v1", "name": "many", "nodes": nodes, "output": "${nodes.big.output}"}
		var valid schemas.Validation
		a.into("validate_plan", map[string]any{"execution_plan": plan}, &valid)
		if !valid.Valid || valid.Explain.MoreIDs == 0 {
			t.Errorf("%+v", valid)
		}
		var e schemas.Execution
		a.into("execute_plan", map[string]any{"execution_plan": plan, "wait_seconds": 0}, &e)
		soon(t, "the execution ends", func() bool {
			a.into("get_execution_status", map[string]any{"execution_id": e.ExecutionID}, &e)
			return e.Status.Terminal()
		})
		if e.Status != schemas.StatusSucceeded || e.OutputRef == nil {
			t.Fatalf("%+v", e)
		}
		a.ask("get_execution_metrics", map[string]any{"execution_id": e.ExecutionID})
		a.ask("get_execution_events", map[string]any{"execution_id": e.ExecutionID})
		a.ask("get_node_output", map[string]any{"execution_id": e.ExecutionID, "node_id": "$output"})
		failures, err := a.tool(t.Context(), "get_execution_status", map[string]any{"execution_id": e.ExecutionID, "view": "failures"})
		var shown schemas.Execution
		if err != nil || json.Unmarshal(failures, &shown) != nil || len(shown.Nodes) != 1 || len(failures) > schemas.MaxAsked || len(shown.Nodes[0].SameError)+shown.Nodes[0].MoreSame != 998 {
			t.Errorf("the failures have %d bytes, %v: %.500s", len(failures), err, failures)
		}
		if shown.More == nil {
			t.Fatal("nothing says where all nodes are")
		}
		if v := a.ask("get_node_output", map[string]any{"ref": shown.More.Ref, "offset": 5000}); !strings.Contains(string(v), "conflict") {
			t.Errorf("a page after the first one: %.300s", v)
		}
		if text := a.all(map[string]any{"ref": shown.More.Ref}); strings.Count(text, `"capability":"shop.get_order"`) != 999 {
			t.Errorf("%d of 999 nodes were read", strings.Count(text, `"capability":"shop.get_order"`))
		}
		var again schemas.Execution
		a.into("rerun_execution", map[string]any{"execution_id": e.ExecutionID, "from_node": "big"}, &again)
		a.ask("execute_plan", map[string]any{"execution_plan": map[string]any{"plan": "v1", "nodes": nodes[:300], "output": quotes}})
		for i, n := range nodes {
			n["inputs"], n["capability"] = map[string]any{fmt.Sprintf("wrong_%d", i): quotes}, fmt.Sprintf("shop.nothing_%d_%s", i, strings.Repeat("x", i%50))
		}
		for _, tool := range []string{"validate_plan", "execute_plan"} {
			a.ask(tool, map[string]any{"execution_plan": map[string]any{"plan": "v1", "nodes": nodes[:700]}})
		}
		for i := range 30 {
			plan := map[string]any{"plan": "v1", "name": fmt.Sprint(i), "nodes": []any{map[string]any{"id": "a", "capability": "shop.get_order", "inputs": map[string]any{"id": quotes}}}}
			a.ask("execute_plan", map[string]any{"execution_plan": plan})
		}
		seen := 0
		for cursor := ""; ; {
			var list schemas.ExecutionList
			a.into("list_executions", map[string]any{"cursor": cursor}, &list)
			seen += len(list.Executions)
			if cursor = list.NextCursor; cursor == "" {
				break
			}
		}
		if seen != 33 {
			t.Errorf("%d of 33 executions were listed", seen)
		}
	})
	t.Run("workflows", func(t *testing.T) {
		a := asker{s.served, t}
		for i := range 25 {
			a.ask("create_workflow", map[string]any{"name": fmt.Sprintf("w%d", i), "description": quotes[:1900], "definition": map[string]any{
				"plan": "v1", "inputs": map[string]any{"text": quotes}, "nodes": []any{map[string]any{"id": "a", "set": "${inputs.text}"}}, "output": "${nodes.a.output}",
			}, "schedule": map[string]any{"every": "24h", "inputs": map[string]any{"text": quotes}}})
		}
		seen := 0
		for cursor := ""; ; {
			var list schemas.WorkflowList
			a.into("list_workflows", map[string]any{"cursor": cursor}, &list)
			seen += len(list.Workflows)
			if cursor = list.NextCursor; cursor == "" {
				break
			}
		}
		if seen != 25 {
			t.Errorf("%d of 25 workflows were listed", seen)
		}
		var ran schemas.Execution
		a.into("execute_workflow", map[string]any{"workflow_id": "w1"}, &ran)
		if ran.Status != schemas.StatusSucceeded || ran.OutputRef == nil {
			t.Fatalf("%.300s", fmt.Sprint(ran))
		}
		if text := a.all(map[string]any{"execution_id": ran.ExecutionID, "node_id": "$output"}); text != jsonText(quotes) {
			t.Errorf("the output is %.100s", text)
		}
		var status schemas.WorkflowStatus
		a.into("get_workflow_status", map[string]any{"workflow_id": "w1"}, &status)
		a.ask("pause_schedule", map[string]any{"workflow_id": "w1"})
		if status.More == nil || !strings.Contains(a.all(map[string]any{"ref": status.More.Ref, "pointer": "/schedule/inputs/text"}), "hello") {
			t.Errorf("%+v", status)
		}
		a.ask("get_state", map[string]any{"state_type": "workflow", "state_key": "w1"})
		a.ask("invoke_capability", map[string]any{"realm": "shop", "capability_name": "get_order", "inputs": map[string]any{"id": strings.Repeat(quotes, 10)}})
	})
}

// jsonText is a text as JSON.
func jsonText(text string) string {
	raw, err := schemas.Encode(text)
	if err != nil {
		panic(err)
	}
	return string(raw)
}
