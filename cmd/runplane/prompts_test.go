package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPrompts asks the served program for its prompts: one has the plan language and the capabilities, the other a
// failed execution.
func TestPrompts(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "runplane.yaml"), fmt.Sprintf("mcpServers: {shop: {command: %q}}\nstore: \"mem:\"\n", filepath.Join(bin, "shop")))
	cmd := exec.Command(filepath.Join(bin, "runplane"), "serve")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = in.Close() // the end of stdin ends the program
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}()
	answers, id := bufio.NewReader(out), 0
	ask := func(method, params string) string {
		t.Helper()
		id++
		fmt.Fprintf(in, `{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`+"\n", id, method, params)
		line, err := answers.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return line
	}
	ask("initialize", `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}`)
	fmt.Fprintln(in, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	list := ask("prompts/list", `{}`)
	for _, name := range []string{"plan_from_goal", "debug_execution"} {
		if !strings.Contains(list, name) {
			t.Errorf("prompts/list does not have %s: %s", name, list)
		}
	}
	goal := ask("prompts/get", `{"name":"plan_from_goal","arguments":{"goal":"refund order A-17"}}`)
	for _, part := range []string{"refund order A-17", "shop.get_order (read)", "for_each", "validate_plan"} {
		if !strings.Contains(goal, part) {
			t.Errorf("plan_from_goal does not say %q", part)
		}
	}
	var started struct {
		Result struct {
			StructuredContent struct {
				ExecutionID string `json:"execution_id"`
			}
		}
	}
	failed := ask("tools/call", `{"name":"execute_plan","arguments":{"execution_plan":{"plan":"v1","nodes":[{"id":"order","capability":"shop.get_order","inputs":{"id":"B-1"}}]}}}`)
	if err := json.Unmarshal([]byte(failed), &started); err != nil || started.Result.StructuredContent.ExecutionID == "" {
		t.Fatalf("%v: %s", err, failed)
	}
	debug := ask("prompts/get", fmt.Sprintf(`{"name":"debug_execution","arguments":{"execution_id":%q}}`, started.Result.StructuredContent.ExecutionID))
	for _, part := range []string{"no order", "node_failed", "rerun_execution"} {
		if !strings.Contains(debug, part) {
			t.Errorf("debug_execution does not say %q: %s", part, debug)
		}
	}
	for _, bad := range []string{`{"name":"plan_from_goal"}`, `{"name":"debug_execution","arguments":{"execution_id":"x"}}`} {
		if answer := ask("prompts/get", bad); !strings.Contains(answer, `"error"`) {
			t.Errorf("%s: %s", bad, answer)
		}
	}
}
