package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
)

// inspectorPlan needs a result of one call in another, so that its output proves that both ran.
const inspectorPlan = `{"execution_plan": {"plan": "v1", "nodes": [
	{"id": "order", "capability": "shop.get_order", "inputs": {"id": "A-17"}},
	{"id": "refund", "capability": "shop.refund", "inputs": {"order": "${nodes.order.output.id}", "cents": 100}}],
	"output": "${nodes.refund.output.id}"}}`

// inspector runs the MCP inspector against a target, in a folder. The test is skipped if it is not installed.
func inspector(t *testing.T, dir string, target ...string) func(args ...string) []byte {
	t.Helper()
	npm := os.Getenv("RUNPLANE_NPM")
	if !haveNPM(t, npm) {
		t.Skip("the npm packages are not installed: make npm")
	}
	launcher := filepath.Join(npm, "@modelcontextprotocol", "inspector", "clients", "launcher", "build", "index.js")
	return func(args ...string) []byte {
		t.Helper()
		cmd := exec.Command("node", append(append([]string{launcher, "--cli"}, target...), args...)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "HOME="+dir, "RUNPLANE_CONFIG="+filepath.Join(dir, "runplane.yaml"))
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s\n%s", strings.Join(args, " "), err, out, &stderr)
		}
		return out
	}
}

// The MCP inspector is an independent client: over each transport it finds no error in the tools, and gets the result of a plan
// that it submits.
func TestInspector(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "runplane.yaml"), fmt.Sprintf("mcpServers: {shop: {command: %q}}\nstore: \"mem:\"\n", filepath.Join(bin, "shop")))
	base, _ := serveHTTP(t, dir)
	for name, target := range map[string][]string{
		"stdio": {filepath.Join(bin, "runplane"), "serve"},
		"http":  {base + "/mcp", "--transport", "http"},
		"sse":   {base + "/sse", "--transport", "sse"},
	} {
		t.Run(name, func(t *testing.T) {
			inspect := inspector(t, dir, target...)
			var listed struct{ Tools []struct{ Name string } }
			if out := inspect("--method", "tools/list", "--strict"); json.Unmarshal(out, &listed) != nil || len(listed.Tools) == 0 {
				t.Errorf("tools/list: %s", out)
			}
			var result struct{ StructuredContent schemas.Execution }
			out := inspect("--method", "tools/call", "--tool-name", "execute_plan", "--tool-args-json", inspectorPlan)
			if err := json.Unmarshal(out, &result); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if e := result.StructuredContent; e.Status != schemas.StatusSucceeded || string(e.Output) != `"R-A-17"` {
				t.Errorf("the execution is %s with output %s, want succeeded with R-A-17", e.Status, e.Output)
			}
		})
	}
}

// A published workflow is a tool like all others, for the inspector and in a plan.
func TestInspectorCallsAPublishedWorkflow(t *testing.T) {
	for name, over := range map[string]func(t *testing.T, dir string) []string{
		"stdio": func(*testing.T, string) []string { return []string{filepath.Join(bin, "runplane"), "serve"} },
		"http": func(t *testing.T, dir string) []string {
			base, _ := serveHTTP(t, dir)
			return []string{base + "/mcp", "--transport", "http"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "runplane.yaml"), fmt.Sprintf("mcpServers: {shop: {command: %q}}\nstore: \"file:store\"\n", filepath.Join(bin, "shop")))
			inspect := inspector(t, dir, over(t, dir)...)
			call := func(tool, arguments string) (e schemas.Execution) {
				t.Helper()
				var result struct{ StructuredContent json.RawMessage }
				out := inspect("--method", "tools/call", "--tool-name", tool, "--tool-args-json", arguments)
				if err := json.Unmarshal(out, &result); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				if err := json.Unmarshal(result.StructuredContent, &e); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				return e
			}
			call("create_workflow", `{"name":"order","publish":true,"definition":{"plan":"v1","inputs":{"id":null},"nodes":[
				{"id":"a","capability":"shop.get_order","inputs":{"id":"${inputs.id}"}}],"output":"${nodes.a.output.id}"},"input_schema":{"properties":{"id":{"type":"string"}},"required":["id"]}}`)
			if out := inspect("--method", "tools/list", "--strict"); !strings.Contains(string(out), `"workflow_order"`) {
				t.Errorf("tools/list: %s", out)
			}
			for tool, arguments := range map[string]string{
				"workflow_order": `{"id":"A-17"}`,
				"execute_plan":   `{"execution_plan":{"plan":"v1","nodes":[{"id":"o","workflow":"order","inputs":{"id":"A-17"}}],"output":"${nodes.o.output}"}}`,
			} {
				if e := call(tool, arguments); e.Status != schemas.StatusSucceeded || string(e.Output) != `"A-17"` {
					t.Errorf("%s: the execution is %s with output %s, want succeeded with A-17", tool, e.Status, e.Output)
				}
			}
		})
	}
}

var listening = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// serveHTTP starts the program with --http in dir and returns its base URL; the program ends with the test, or when stop is called.
func serveHTTP(t *testing.T, dir string) (base string, stop func()) {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "runplane"), "serve", "--http", "127.0.0.1:0")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	giveUp := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() }) // then stderr ends
	defer giveUp.Stop()
	output := bufio.NewReader(stderr)
	drained := make(chan struct{})
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-drained
		if err := cmd.Wait(); err != nil {
			t.Errorf("serve --http ended with %v", err)
		}
	})
	t.Cleanup(stop)
	for {
		line, err := output.ReadString('\n')
		if base = listening.FindString(line); base != "" || err != nil {
			go func() { defer close(drained); _, _ = io.Copy(io.Discard, output) }()
			if base == "" {
				t.Fatalf("serve --http does not say where it listens: %v", err)
			}
			return base, stop
		}
	}
}
