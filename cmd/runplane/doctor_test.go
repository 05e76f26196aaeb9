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

// large is a server of the older streamable HTTP with n tools without annotations.
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

// The policies in effect are printed for each level: the default, the realm, the capability; what a level switches off is off.
func TestDoctorShowsWhatThePoliciesMakeOfCalls(t *testing.T) {
	out := doctor(t, `store: "mem:"
mcpServers: {flaky: {command: flaky}, other: {command: flaky}}
limits: {principal: {calls: 100, time: 5m, per: 1d}, session: {bytes: 1000, executions: 3}}
policies:
  default: {timeout: 30s, rate_limit: {rate: 10, per: 1m}, concurrency: 8, breaker: {failures: 5, open_for: 1m}, cache_ttl: 1m}
  realms:
    flaky:
      timeout: 10s
      rate_limit: {rate: 3}
      capabilities:
        echo: {timeout: 0s, breaker: {failures: 0}, rate_limit: {rate: 0}, concurrency: 0, cache_ttl: 0s, effect: read}
        big: {rate_limit: {rate: 1, per: 1h}, retry: {max_attempts: 7}, fallback: [{capability: other.big}, {value: 1}], drift: allow_compatible, retry_unknown: false, safety: review, idempotency_arg: key}
        ehco: {timeout: 1s}
`)
	for _, want := range []string{
		"limits  other: timeout 30s (default policy); breaker after 5 faults in a row for 1m; rate 10 in 1m, 10 at once, for other; 8 calls of other in flight, others wait 5s; answers of reads are reused for 1m\n",
		"limits  flaky: timeout 10s (realm's policy); breaker after 5 faults in a row for 1m; rate 3 in 1s, 3 at once, for flaky; 8 calls of flaky in flight, others wait 5s; answers of reads are reused for 1m\n",
		"limits  flaky.echo: no timeout (capability's policy); no breaker; effect read\n",
		"limits  flaky.big: timeout 10s (realm's policy); breaker after 5 faults in a row for 1m; 7 attempts; rate 1 in 1h, 1 at once, for flaky.big; rate 3 in 1s, 3 at once, for flaky; " +
			"8 calls of flaky in flight, others wait 5s; answers of reads are reused for 1m; falls back to other.big; falls back to a value; a compatible changed definition is accepted; " +
			"a person has to allow each call; no plan repeats a call whose outcome is unknown; idempotent by its key\n",
		"limits  flaky.ehco: timeout 1s (capability's policy);",
		"the realm has no such capability, so these policies have no effect: did you mean \"echo\"?\n",
		"limits  each principal: 100 calls, 5m in calls in 24h\n",
		"limits  each session: 1000 bytes, 3 executions in 1h\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("doctor does not say\n%sbut\n%s", want, out)
		}
	}
}

func TestDoctorNamesUnpinnedCommands(t *testing.T) {
	out := doctor(t, "store: \"mem:\"\nmcpServers: {npm: {command: npx, args: [-y, mcp-x@latest], disabled: true}, py: {command: uvx, args: [mcp-y==1.2.3], disabled: true}}\n")
	if !strings.Contains(out, "unpinned: mcp-x@latest runs the newest version at each start") || strings.Contains(out, "mcp-y") {
		t.Errorf("doctor says\n%s", out)
	}
}
