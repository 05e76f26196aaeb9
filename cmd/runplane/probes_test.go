//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
)

type args = map[string]any

// must fails the test if a call fails.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// lives reports whether a process exists and is not a zombie.
func lives(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, after, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(after, "Z")
}

const flakyRealm = "store: \"mem:\"\nmcpServers: {flaky: {command: flaky}}\n"

func probeKilled(t *testing.T) {
	s := serve(t, flakyRealm)
	pid := must[int](t)(s.pid("flaky", "environment"))
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	soon(t, "a call succeeds again", func() bool {
		_, err := s.invoke("flaky", "echo", args{"msg": "x"})
		return err == nil
	})
	if took := time.Since(began); took > 2*time.Second && os.Getenv("RUNPLANE_SCORECARD") == "full" {
		t.Errorf("it took %s", took)
	}
}

// family starts a server that ignores SIGTERM and a child process of it, and returns both.
func family(t *testing.T) (s *served, pids []int) {
	s = serve(t, "store: \"mem:\"\nmcpServers: {flaky: {command: flaky, args: [-ignore-term]}}\n")
	return s, []int{must[int](t)(s.pid("flaky", "environment")), must[int](t)(s.pid("flaky", "grandchild"))}
}

func gone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		soon(t, fmt.Sprintf("process %d is gone", pid), func() bool { return !lives(pid) })
	}
}

func probeTerminated(t *testing.T) {
	s, pids := family(t)
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-s.ended
	if state := s.cmd.ProcessState; !state.Success() {
		t.Errorf("it ended with %s", state)
	}
	gone(t, pids)
}

func probeSIGKILL(t *testing.T) {
	s, pids := family(t)
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.ended
	began := time.Now()
	gone(t, pids)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

func probeEnvironment(t *testing.T) {
	s := &served{dir: t.TempDir(), log: &output{}, ended: make(chan struct{}), command: exec.Command}
	s.configure(t, "store: \"mem:\"\nmcpServers: {bare: {command: flaky}, named: {command: flaky, env: {PASSWORD: \"${env:REDIS_PASSWORD}\"}}}\n")
	s.start(t, "REDIS_PASSWORD=canary-of-the-environment")
	if out := must[json.RawMessage](t)(s.invoke("bare", "environment", args{})); strings.Contains(string(out), "canary") {
		t.Errorf("the server sees %s", out)
	}
	if out := must[json.RawMessage](t)(s.invoke("named", "environment", args{})); !strings.Contains(string(out), "PASSWORD=«redacted»") {
		t.Errorf("the server does not see what the configuration gives it: %s", out)
	}
}

func probeForeign(t *testing.T) {
	s := serve(t, "store: \"mem:\"\n")
	for _, tt := range []struct{ host, origin string }{{"evil.example", ""}, {"", "http://evil.example"}, {"", "null"}} {
		for _, path := range []string{"/mcp", "/sse", "/message", "/healthz"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			req.Host = tt.host
			if tt.origin != "" {
				req.Header.Set("Origin", tt.origin)
			}
			res := must[*http.Response](t)(http.DefaultClient.Do(req))
			res.Body.Close()
			if res.StatusCode != http.StatusForbidden {
				t.Errorf("%s with Host %q and Origin %q gives %d", path, tt.host, tt.origin, res.StatusCode)
			}
		}
	}
}

func probeBroken(t *testing.T) {
	s := serve(t, "store: \"mem:\"\nlimits: {start_timeout: 1s}\n"+
		"mcpServers: {good: {command: flaky}, hung: {command: slow, args: [-hang-at-initialize]}, absent: {command: no-such-command}}\n"+
		"policies: {realms: {absent: {required: true}}}\n")
	must[json.RawMessage](t)(s.invoke("good", "echo", args{}))
	cures := map[string]string{"capabilities.hung": "did not finish its start", "capabilities.absent": "no-such-command"}
	soon(t, "health names both", func() bool {
		h, err := s.health()
		named := 0
		for _, c := range h.Checks {
			if says := cures[c.Name]; says != "" && strings.Contains(c.Message, says) && c.Cure != "" && c.Status == schemas.HealthDown {
				named++
			}
		}
		return err == nil && named == 2 && h.Status == schemas.HealthDown
	})
	_, err := s.tool(context.Background(), "execute_plan", args{"execution_plan": args{"nodes": []args{{"id": "a", "capability": "hung.echo"}}}})
	if e, ok := errors.AsType[*schemas.Error](err); !ok || e.Code != schemas.CodeUnavailable || !e.Retryable || e.RetryAfterSeconds == 0 ||
		!strings.Contains(e.Message, `the tools of realm "hung" are not known now`) {
		t.Errorf("a plan for the one that hangs: %v", err)
	}
	res := must[*http.Response](t)(http.Get(s.url + "/readyz")) //nolint:noctx // a test of our own server
	res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("without a required realm /readyz gives %d", res.StatusCode)
	}
}

func probeLong(t *testing.T) {
	long := 3 * time.Second
	if os.Getenv("RUNPLANE_SCORECARD") == "full" {
		long = 65 * time.Second
	}
	s := serve(t, "store: \"mem:\"\nmcpServers: {slow: {command: slow}}\npolicies: {realms: {slow: {timeout: 5m}}}\n")
	began := time.Now()
	must[json.RawMessage](t)(s.invoke("slow", "sleep", args{"ms": long.Milliseconds()}))
	if took := time.Since(began); took < long {
		t.Errorf("a call of %s took %s", long, took)
	}
	_, err := s.tool(t.Context(), "invoke_capability", args{"realm": "slow", "capability_name": "sleep", "inputs": args{"ms": 60_000}, "timeout_seconds": 0.3, "retry_config": args{"max_attempts": 1}})
	if e := schemas.AsError(err); err == nil || e.Code != schemas.CodeTimeout || !strings.Contains(e.Message, "300ms") {
		t.Errorf("a timeout says %v", err)
	}
}

// forgetful is a server of the older streamable HTTP that keeps one session at a time.
type forgetful struct{ session, starts, runs atomic.Int64 }

func (f *forgetful) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var m struct {
		ID     json.RawMessage
		Method string
	}
	if r.Method != http.MethodPost || json.NewDecoder(r.Body).Decode(&m) != nil {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	current := strconv.FormatInt(f.session.Load(), 10)
	result := ""
	switch {
	case m.Method == "initialize":
		f.starts.Add(1)
		w.Header().Set("Mcp-Session-Id", current)
		result = `{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"forgetful","version":"1"}}`
	case m.Method != "server/discover" && r.Header.Get("Mcp-Session-Id") != current:
		w.WriteHeader(http.StatusNotFound)
		return
	case m.Method == "tools/list":
		result = `{"tools":[{"name":"go","inputSchema":{"type":"object"}}]}`
	case m.Method == "tools/call":
		f.runs.Add(1)
		result = `{"content":[{"type":"text","text":"ok"}]}`
	}
	w.Header().Set("Content-Type", "application/json")
	switch {
	case len(m.ID) == 0:
		w.WriteHeader(http.StatusAccepted)
	case result == "":
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no such method"}}`, m.ID)
	default:
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, result)
	}
}

func probeSession(t *testing.T) {
	f := &forgetful{}
	ts := httptest.NewServer(f)
	defer ts.Close()
	s := serve(t, "store: \"mem:\"\nmcpServers: {web: {url: \""+ts.URL+"\"}}\n")
	must[json.RawMessage](t)(s.invoke("web", "go", args{}))
	before := f.starts.Load()
	f.session.Add(1)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := s.invoke("web", "go", args{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := f.runs.Load(); got != 21 {
		t.Errorf("the tool ran %d times for 21 calls", got)
	}
	if got := f.starts.Load() - before; got > 3 {
		t.Errorf("20 calls made %d sessions", got)
	}
}

func probeCancelled(t *testing.T) {
	ledger := filepath.Join(t.TempDir(), "ledger")
	s := serve(t, "store: \"mem:\"\nmcpServers: {slow: {command: slow, args: [-ledger, \""+ledger+"\"]}}\n")
	must[json.RawMessage](t)(s.invoke("slow", "echo", args{}))
	other := make(chan error, 1)
	go func() {
		_, err := s.invoke("slow", "sleep", args{"ms": 4000})
		other <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // it must have arrived by then
	defer cancel()
	if _, err := s.tool(ctx, "invoke_capability", args{"realm": "slow", "capability_name": "sleep", "inputs": args{"ms": 60_000}}); err == nil {
		t.Error("a call that was cancelled was answered")
	}
	soon(t, "the server was notified", func() bool {
		b, err := os.ReadFile(ledger)
		return err == nil && strings.Contains(string(b), "cancelled")
	})
	if err := <-other; err != nil {
		t.Errorf("the other call: %v", err)
	}
}

func probeFlood(t *testing.T) {
	s := serve(t, "store: \"mem:\"\nmcpServers: {flaky: {command: flaky}, other: {command: flaky}}\n")
	for _, tt := range []struct {
		tool string
		in   args
	}{{"big", args{"bytes": 64 << 20}}, {"endless_line", args{"bytes": 1 << 30}}} {
		_, err := s.invoke("flaky", tt.tool, tt.in)
		if err == nil || schemas.AsError(err).Code != schemas.CodePayloadTooLarge {
			t.Errorf("%s gives %v", tt.tool, err)
		}
		must[json.RawMessage](t)(s.invoke("other", "echo", args{}))
	}
	must[json.RawMessage](t)(s.invoke("flaky", "stderr_flood", args{"lines": 100_000}))
	must[json.RawMessage](t)(s.invoke("flaky", "echo", args{}))
	status := must[[]byte](t)(os.ReadFile("/proc/" + strconv.Itoa(s.cmd.Process.Pid) + "/status"))
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	if kib, err := strconv.Atoi(strings.Fields(after)[0]); err != nil || kib > 512<<10 {
		t.Errorf("it held %d KiB, %v", kib, err)
	}
	if n := len(s.log.String()); n > 1<<20 {
		t.Errorf("the log has %d bytes", n)
	}
}

func probeStubborn(t *testing.T) {
	s, pids := family(t)
	done := make(chan error, 1)
	go func() {
		_, err := s.invoke("flaky", "slow_progress", args{"seconds": 1.5, "steps": 3})
		done <- err
	}()
	soon(t, "the call is under way", func() bool {
		h, err := s.health()
		return err == nil && strings.Contains(fmt.Sprint(h.Checks), "agents.clients")
	})
	s.configure(t, "store: \"mem:\"\nmcpServers: {}\n")
	if err := <-done; err != nil {
		t.Error(err)
	}
	if !lives(pids[0]) {
		t.Error("the result came after the server's end")
	}
	gone(t, pids)
}

func probeMute(t *testing.T) {
	s := serve(t, "store: \"mem:\"\nlimits: {probe_every: 100ms}\nmcpServers: {liar: {command: liar}}\n")
	must[json.RawMessage](t)(s.invoke("liar", "go_mute", args{}))
	soon(t, "its health says so", func() bool {
		h, err := s.health()
		return err == nil && h.Status == schemas.HealthDegraded && strings.Contains(fmt.Sprint(h.Checks), "health probes in a row")
	})
	if out := must[json.RawMessage](t)(s.invoke("liar", "echo", args{"msg": "here"})); string(out) != `"here"` {
		t.Errorf("it answers %s", out)
	}
}

func probeChanged(t *testing.T) {
	s := serve(t, flakyRealm)
	finds := func(query, name string) func() bool {
		return func() bool {
			v, err := s.tool(context.Background(), "discover_capabilities", args{"query": query, "detail": "names"})
			return err == nil && strings.Contains(string(v), strconv.Quote(name))
		}
	}
	must[json.RawMessage](t)(s.invoke("flaky", "change_tools", args{}))
	soon(t, "the new tool is found", func() bool {
		if finds("extra", "extra_1")() {
			return true
		}
		_, err := s.invoke("flaky", "change_tools", args{}) // a modern server notifies only clients that listen already
		return err != nil
	})
	s.configure(t, "store: \"mem:\"\nmcpServers: {flaky: {command: flaky}, shop: {command: shop}}\n")
	soon(t, "the new realm is found", finds("refund money", "refund"))
	pid := must[int](t)(s.pid("flaky", "environment"))
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	soon(t, "the restarted realm has the tools of its new process", func() bool { return !finds("extra", "extra_1")() })
}

func probeEOF(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "runplane.yaml"), "store: \"mem:\"\nmcpServers: {flaky: {command: flaky, args: [-ignore-term]}}\n")
	cmd := exec.Command(filepath.Join(bin, "runplane"), "serve")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	in := must[io.WriteCloser](t)(cmd.StdinPipe())
	var out output
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(in, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"probe","version":"1"}}}`)
	fmt.Fprintln(in, `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"invoke_capability","arguments":{"realm":"flaky","capability_name":"environment"}}}`)
	var pid int
	soon(t, "it answers", func() bool {
		_, after, found := strings.Cut(out.String(), `"pid":`)
		if digits := strings.IndexFunc(after, func(r rune) bool { return r < '0' || r > '9' }); found && digits > 0 {
			pid, _ = strconv.Atoi(after[:digits])
		}
		return pid > 0
	})
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(soonIs):
		_ = cmd.Process.Kill()
		t.Fatal("it does not end")
	}
	gone(t, []int{pid})
}
