package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store/redis/redistest"
)

// secretPlan sends secrets to tools that repeat them in answers and in errors, in rounds, for each of a list, from fallbacks and from
// workflows below, to one that is in flight at the crash, and to one that waits for a person. The realm leaky repeats them in each form.
const secretPlan = `{"plan": "v1", "idempotency_key": "secrets", "nodes": [
	{"id": "echo", "capability": "flaky.echo", "inputs": {"msg": "Bearer ${secret.token}, ${secret.pin}"}},
	{"id": "items", "for_each": ["a", "b"], "capability": "flaky.echo", "inputs": {"msg": "{\"${item}\": \"${secret.quoted}\"}"}},
	{"id": "fails", "capability": "flaky.fail_times", "inputs": {"key": "${secret.token}", "times": 9}, "on_error": "continue",
		"retry": {"max_attempts": 2, "initial_interval": "1ms"}, "fallback": [{"capability": "flaky.echo", "inputs": {"msg": "${secret.pin}"}}]},
	{"id": "mail", "capability": "shop.send_mail", "inputs": {"to": "${secret.pin}", "text": "${secret.token} ${nodes.echo.text}"}},
	{"id": "late", "capability": "late.reserve", "inputs": {"sku": "${secret.token}", "qty": 1}, "depends_on": ["mail"]},
	{"id": "last", "capability": "flaky.echo", "inputs": {"msg": "${nodes.late.text} ${secret.token}"}},
	{"id": "polls", "capability": "leaky.structured", "inputs": {"a": "${secret.quoted} ${index}"}, "repeat": {"until": "${index == 2}", "every": "1ms"}},
	{"id": "pages", "capability": "leaky.text", "inputs": {"a": "${secret.token}"}, "repeat": {"until": "${index == 1}", "collect": "${output}"}},
	{"id": "blocks", "capability": "leaky.blocks", "for_each": {"items": ["x", "y"], "as": "thing"}, "inputs": {"a": "${thing} ${secret.quoted}"}},
	{"id": "passed", "capability": "leaky.text", "inputs": {"a": "${secret.pin}", "b": "${nodes.blocks.content}"}},
	{"id": "errors", "capability": "leaky.error", "for_each": ["x"], "inputs": {"a": "${secret.token}", "b": [{"c": "${secret.quoted}"}]}, "on_error": "continue"},
	{"id": "broken", "capability": "leaky.rpc", "inputs": {"a": "${secret.quoted}"}, "retry": {"max_attempts": 1}, "repeat": {"until": "${index == 1}", "every": "1ms"}, "on_error": "continue",
		"fallback": [{"capability": "leaky.error", "inputs": {"a": "${secret.quoted}"}}, {"value": "none: ${nodes.broken.errors}"}]},
	{"id": "why", "set": "${nodes.errors.errors} ${nodes.broken.errors} ${nodes.errors.error}", "trigger_rule": "all_done"},
	{"id": "children", "for_each": [1, 2], "workflow": {"definition": {"nodes": [
		{"id": "x", "capability": "leaky.structured", "inputs": {"a": "${secret.quoted}"}, "repeat": {"until": "${index == 1}", "collect": "${output}"}}], "output": "${nodes.x.output}"}}},
	{"id": "form", "review": {"question": "Is ${nodes.last.text} ${nodes.polls.output} right?", "choices": ["yes", "no"],
		"schema": {"type": "object", "properties": {"why": {"type": "string"}}}}, "depends_on": ["last"]},
	{"id": "chosen", "set": "${nodes.form.output.choice}"},
	{"id": "asks", "capability": "shop.charge", "inputs": {"order": "${secret.token}", "cents": 1}, "safety_level": "review", "depends_on": ["last"]}]}`

// TestSecretsOfPlansAreNowhere runs it over a crash, and looks for the values in whatever can be seen.
func TestSecretsOfPlansAreNowhere(t *testing.T) {
	for name, store := range map[string]func(*testing.T) (setting string, stored func() map[string]string){
		"embedded": func(t *testing.T) (string, func() map[string]string) {
			dir := t.TempDir()
			return "file:" + dir, func() map[string]string { return filesIn(t, dir) }
		},
		"redis": func(t *testing.T) (string, func() map[string]string) {
			s := redistest.Standalone(t, "rdbcompression no")
			return s.URL(), func() map[string]string {
				s.Do("SAVE")
				dir := s.Do("CONFIG", "GET", "dir").([]any)[1]
				return filesIn(t, fmt.Sprint(dir))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			setting, stored := store(t)
			secretsOverACrash(t, setting, stored)
		})
	}
}

func secretsOverACrash(t *testing.T, store string, stored func() map[string]string) {
	values := []string{"correct horse", "123456", `CANARY-"quoted"\x`} // a word in plain view, a number, what JSON escapes
	environ := []string{"T1=" + values[0], "T2=" + values[1], "T3=" + values[2]}
	ledger := filepath.Join(t.TempDir(), "ledger")
	s := serve(t, fmt.Sprintf(`{"mcpServers": {"flaky": {"command": "flaky"}, "shop": {"command": "shop", "args": ["-ledger", %[1]q]}, "late": {"command": "shop", "args": ["-delay", "1s", "-ledger", %[1]q]},
		"leaky": {"command": %[3]q, "args": ["-test.run=^TestLeakyRealm$"], "env": {%[4]q: "1"}}},
		"secrets": {"token": "${env:T1}", "pin": "${env:T2}", "quoted": "${env:T3}"}, "policies": {"default": {"secrets": ["token", "pin", "quoted"]}},
		"store": %[2]q, "limits": {"lease": "1s"}, "log": {"level": "trace"}}`, ledger, store, os.Args[0], leakyMarker), environ...)
	id := s.execute(t, secretPlan)
	status := func() (e schemas.Execution) {
		v, err := s.tool(t.Context(), "get_execution_status", map[string]any{"execution_id": id, "view": "nodes"})
		if err != nil || json.Unmarshal(v, &e) != nil {
			t.Fatalf("%s, %v", v, err)
		}
		return e
	}
	soon(t, "the late call is in flight", func() bool {
		for _, n := range status().Nodes {
			if n.ID == "late" && n.Status == schemas.NodeRunning {
				return true
			}
		}
		return false
	})
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.ended
	exits := map[string]string{"log of the first": s.log.String()}
	s.log, s.ended = &output{}, make(chan struct{})
	s.start(t, environ...)
	soon(t, "it waits for both reviews alone", func() bool {
		e := status()
		return e.Progress.Running == 0 && len(e.WaitingFor) == 2 && e.WaitingFor[0].Reason == schemas.ReasonReview && e.WaitingFor[1].Reason == schemas.ReasonReview
	})
	for _, tool := range []string{"get_execution_status", "get_execution_metrics", "check_health", "list_executions"} {
		arguments := map[string]any{"execution_id": id}
		switch tool {
		case "get_execution_status":
			arguments["view"] = "nodes"
		case "check_health", "list_executions":
			arguments = map[string]any{}
		}
		v, err := s.tool(t.Context(), tool, arguments)
		exits[tool] = fmt.Sprint(string(v), err)
	}
	exits["get_execution_events"] = everyEvent(t, s, id)
	for _, n := range status().Nodes {
		v, err := s.tool(t.Context(), "get_node_output", map[string]any{"execution_id": id, "node_id": n.ID})
		exits["output of "+n.ID] = fmt.Sprint(string(v), err)
	}
	var list schemas.ExecutionList
	if err := json.Unmarshal([]byte(strings.TrimSuffix(exits["list_executions"], "<nil>")), &list); err != nil {
		t.Fatalf("%v: %s", err, exits["list_executions"])
	}
	for _, e := range list.Executions {
		v, err := s.tool(t.Context(), "get_execution_status", map[string]any{"execution_id": e.ExecutionID})
		exits["get_execution_status of "+e.ExecutionID] = fmt.Sprint(string(v), err)
		exits["get_execution_events of "+e.ExecutionID] = everyEvent(t, s, e.ExecutionID)
	}
	v, err := s.tool(t.Context(), "validate_plan", map[string]any{"execution_plan": secretPlan})
	exits["validate_plan"] = fmt.Sprint(string(v), err)
	if !strings.Contains(string(v), `"secrets":["pin","quoted","token"]`) {
		t.Errorf("explain does not show the secrets: %s", v)
	}
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.ended:
	case <-time.After(soonIs):
		t.Fatal("it does not end")
	}
	exits["log of the second"] = s.log.String()
	for name, content := range stored() {
		exits["store "+name] = content
	}
	for exit, text := range exits {
		for _, value := range values {
			for _, form := range append(strings.Fields(spoken([]string{value})), value) {
				if form = strings.Trim(form, `"`); len(form) >= 6 && strings.Contains(text, form) {
					at := strings.Index(text, form)
					t.Errorf("%s has %q: …%s…", exit, form, text[max(0, at-120):min(len(text), at+len(form)+40)])
				}
			}
		}
	}
	for exit, want := range map[string]string{
		"output of echo": "Bearer «redacted», «redacted»", "output of late": `"sku":"«redacted»"`, "output of last": "«redacted»",
		"output of polls": "«redacted»", "output of pages": "«redacted»", "output of blocks": "«redacted»", "output of passed": "«redacted»", "output of broken": "none: [{",
		"output of why": "«redacted»", "output of children": "«redacted»", "get_execution_status": "«redacted»", "get_execution_events": "${secret.token}",
	} {
		if !strings.Contains(exits[exit], want) {
			t.Errorf("%s has no %q: %s", exit, want, exits[exit])
		}
	}
	sent, err := os.ReadFile(ledger)
	if want := `"text":"correct horse Bearer «redacted»`; err != nil || !strings.Contains(string(sent), want) || !strings.Contains(string(sent), `"to":"123456"`) {
		t.Errorf("the shop got %s, %v, want %s", sent, err, want)
	}
}

// everyEvent is all pages of the events of an execution.
func everyEvent(t *testing.T, s *served, id string) string {
	t.Helper()
	var all strings.Builder
	for page := (schemas.EventList{More: true}); page.More; {
		v, err := s.tool(t.Context(), "get_execution_events", map[string]any{"execution_id": id, "after": page.LastSeq})
		if page.More = false; err != nil || json.Unmarshal(v, &page) != nil {
			t.Fatalf("the events are %s, %v", v, err)
		}
		all.Write(v)
	}
	return all.String()
}

// filesIn are the contents of the files in a folder.
func filesIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("nothing is stored in %s: %v", dir, err)
	}
	files := map[string]string{}
	for _, path := range paths {
		if b, err := os.ReadFile(path); err == nil {
			files[filepath.Base(path)] = string(b)
		}
	}
	return files
}
