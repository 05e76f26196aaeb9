package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// large is a server of the older streamable HTTP with so many tools that say nothing of themselves.
type large int

func (n large) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var m struct {
		ID     json.RawMessage
		Method string
	}
	if r.Method != http.MethodPost || json.NewDecoder(r.Body).Decode(&m) != nil {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if len(m.ID) == 0 {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	answer := `"error":{"code":-32601,"message":"no such method"}`
	switch m.Method {
	case "initialize":
		answer = `"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"large","version":"1"}}`
	case "tools/list":
		var tools []string
		for i := range n {
			tools = append(tools, fmt.Sprintf(`{"name":"tool_%04d","inputSchema":{"type":"object"}}`, i))
		}
		answer = `"result":{"tools":[` + strings.Join(tools, ",") + `]}`
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,%s}`, m.ID, answer)
}

// doctor runs the program's doctor on a configuration and returns what it prints.
func doctor(t *testing.T, config string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "runplane.yaml"), config)
	cmd := exec.Command(filepath.Join(bin, "runplane"), "doctor")
	cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir, "PATH=" + bin}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func TestDoctorLooksAtEveryCapability(t *testing.T) {
	ts := httptest.NewServer(large(450))
	defer ts.Close()
	out := doctor(t, "store: \"mem:\"\nmcpServers: {large: {url: \""+ts.URL+"\"}}\n")
	if !strings.Contains(out, "450 without annotations count as once") || !strings.Contains(out, `"tool_0449": {effect: once}`) {
		t.Errorf("doctor says\n%s", out)
	}
}
