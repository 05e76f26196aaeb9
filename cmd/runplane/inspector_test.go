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

// The MCP inspector is a client that we did not write: over each transport it finds nothing wrong with our tools, and a plan
// that it submits comes back with its result.
func TestInspector(t *testing.T) {
	npm := os.Getenv("RUNPLANE_NPM")
	if !haveNPM(t, npm) {
		t.Skip("the npm packages are not installed: make npm")
	}
	launcher := filepath.Join(npm, "@modelcontextprotocol", "inspector", "clients", "launcher", "build", "index.js")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "runplane.yaml"), fmt.Sprintf("mcpServers: {shop: {command: %q}}\nstore: \"mem:\"\n", filepath.Join(bin, "shop")))
	base, _ := serveHTTP(t, dir)
	for name, target := range map[string][]string{
		"stdio": {filepath.Join(bin, "runplane"), "serve"},
		"http":  {base + "/mcp", "--transport", "http"},
		"sse":   {base + "/sse", "--transport", "sse"},
	} {
		t.Run(name, func(t *testing.T) {
			inspect := func(args ...string) []byte {
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

var listening = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// serveHTTP starts the program with --http in dir and returns its base URL; the program ends with the test, or by stop.
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
	told := bufio.NewReader(stderr)
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
		line, err := told.ReadString('\n')
		if base = listening.FindString(line); base != "" || err != nil {
			go func() { defer close(drained); _, _ = io.Copy(io.Discard, told) }()
			if base == "" {
				t.Fatalf("serve --http does not say where it listens: %v", err)
			}
			return base, stop
		}
	}
}
