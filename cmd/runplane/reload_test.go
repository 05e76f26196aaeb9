//go:build unix

package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// TestReload changes the configuration file of the running program: it replaces it, makes it invalid, and sends SIGHUP.
func TestReload(t *testing.T) {
	s := serve(t, "store: \"mem:\"\nmcpServers: {keeps: {command: flaky}, moves: {command: flaky}, goes: {command: flaky}}\n")
	notified := listens(t, s)
	kept, err := s.pid("keeps", "environment")
	if err != nil {
		t.Fatal(err)
	}
	moved, err := s.pid("moves", "environment")
	if err != nil {
		t.Fatal(err)
	}
	inFlight := make(chan error, 1)
	go func() {
		_, err := s.invoke("moves", "slow_progress", map[string]any{"seconds": 5, "steps": 2})
		inFlight <- err
	}()
	running := s.execute(t, `{"plan":"v1","nodes":[
		{"id":"a","capability":"moves.slow_progress","inputs":{"seconds":5,"steps":2}},{"id":"gone","capability":"goes.slow_progress","inputs":{"seconds":5,"steps":2}},
		{"id":"b","capability":"moves.environment","depends_on":["a","gone"]}],"output":"${nodes.b.output.pid}"}`)
	soon(t, "the calls are under way", func() bool { return s.status(t, running).Progress.Running == 2 })

	reloaded := func(n int) func() bool {
		return func() bool { return strings.Count(s.log.String(), "configuration reloaded") == n }
	}
	s.configure(t, "store: \"mem:\"\nlog: {level: debug}\ndrain: 3s\nmcpServers: {keeps: {command: flaky}, moves: {command: flaky, env: {NEW: yes}}, comes: {command: shop}}\n"+
		"policies: {realms: {comes: {required: true}}}\n")
	soon(t, "the file's change counts", reloaded(1))
	for _, want := range []string{"added=comes", "removed=goes", "restarted=moves", "take effect at the next start: settings=drain"} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log does not say %q", want)
		}
	}
	soon(t, "the client is notified", func() bool { return notified() == 1 })
	if err := <-inFlight; err != nil {
		t.Errorf("the call in flight: %v", err)
	}
	soon(t, "the execution ends", func() bool { return s.status(t, running).Status.Terminal() })
	if e := s.status(t, running); e.Status != schemas.StatusSucceeded || string(e.Output) == strconv.Itoa(moved) {
		t.Errorf("an execution across the change %s with %s: %v", e.Status, e.Output, e.Error)
	}
	if pid, err := s.pid("keeps", "environment"); err != nil || pid != kept {
		t.Errorf("a realm that stayed has process %d, had %d: %v", pid, kept, err)
	}
	if pid, err := s.pid("moves", "environment"); err != nil || pid == moved {
		t.Errorf("a realm that changed has the same process: %v", err)
	}
	if _, err := s.invoke("comes", "list_orders", map[string]any{}); err != nil {
		t.Error(err)
	}
	if _, err := s.invoke("goes", "echo", map[string]any{}); schemas.AsError(err).Code != schemas.CodeNotFound {
		t.Errorf("a realm that was removed answers %v", err)
	}

	s.configure(t, "mcpServers: {keeps: {command: flaky}}\npolices: {}\n")
	soon(t, "the mistake is refused and logged", func() bool {
		return strings.Contains(s.log.String(), "configuration refused: the last valid one stays in effect")
	})
	if !strings.Contains(s.log.String(), "polices") {
		t.Error("the log does not name the mistake")
	}
	if _, err := s.invoke("comes", "list_orders", map[string]any{}); err != nil {
		t.Errorf("a refused configuration broke a realm: %v", err)
	}

	s.configure(t, "store: \"mem:\"\nmcpServers: {keeps: {command: flaky}}\n")
	soon(t, "the correction counts", reloaded(2))
	s.configure(t, "store: \"mem:\"\nmcpServers: {keeps: {comand: flaky}}\n")
	soon(t, "a mistake in the entry of a realm leaves that as it is", func() bool {
		return reloaded(3)() && strings.Contains(s.log.String(), "the entry of a realm cannot be used: the realm stays as it was")
	})
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	soon(t, "SIGHUP reads it again", reloaded(4))
	if pid, err := s.pid("keeps", "environment"); err != nil || pid != kept {
		t.Errorf("SIGHUP without a change restarted a realm: %d, had %d: %v", pid, kept, err)
	}
	if n := notified(); n != 2 {
		t.Errorf("the client was notified %d times of two changes, a mistake and a SIGHUP without a change", n)
	}
}

// execute submits a plan and returns the id of the execution.
func (s *served) execute(t *testing.T, source string) string {
	t.Helper()
	v, err := s.tool(t.Context(), "execute_plan", map[string]any{"execution_plan": source, "wait_seconds": 0})
	var e schemas.Execution
	if err != nil || json.Unmarshal(v, &e) != nil {
		t.Fatalf("%s, %v", v, err)
	}
	return e.ExecutionID
}

// status is the status of an execution.
func (s *served) status(t *testing.T, id string) (e schemas.Execution) {
	t.Helper()
	v, err := s.tool(t.Context(), "get_execution_status", map[string]any{"execution_id": id})
	if err != nil || json.Unmarshal(v, &e) != nil {
		t.Fatalf("%s, %v", v, err)
	}
	return e
}

// listens begins a session over SSE; the function that it returns returns how often the client was notified that tools have changed.
func listens(t *testing.T, s *served) func() int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/sse", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	var events output
	go func() { _, _ = io.Copy(&events, res.Body) }() // until the test ends
	var endpoint string
	soon(t, "the stream says where to write", func() bool {
		_, after, _ := strings.Cut(events.String(), "event: endpoint")
		_, after, found := strings.Cut(after, "data: ")
		end := strings.IndexAny(after, "\r\n")
		if found && end > 0 {
			endpoint = after[:end]
		}
		return endpoint != ""
	})
	if strings.HasPrefix(endpoint, "/") {
		endpoint = s.url + endpoint
	}
	for _, m := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"probe","version":"1"}}}`,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","id":2,"method":"ping"}`,
	} {
		post, err := http.Post(endpoint, "application/json", strings.NewReader(m)) //nolint:noctx // a test of our own server
		if err != nil {
			t.Fatal(err)
		}
		post.Body.Close()
	}
	soon(t, "the session is there", func() bool {
		return strings.Contains(events.String(), `"id":2`) && strings.Contains(events.String(), `"listChanged":true`)
	})
	return func() int { return strings.Count(events.String(), "notifications/tools/list_changed") }
}
