package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
)

// served is the built program, which serves HTTP in its own folder.
type served struct {
	dir, url string
	cmd      *exec.Cmd
	log      *output
	ended    chan struct{} // closed when the process is gone
	command  func(name string, args ...string) *exec.Cmd
}

// output collects what a process writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

var listensAt = regexp.MustCompile(`listening: .*url=(http://\S+)`)

// serve starts the program on a configuration; it is killed at the end of the test if it still runs.
func serve(t testing.TB, config string, environ ...string) *served {
	t.Helper()
	return serveBy(t, exec.Command, config, environ...)
}

// serveBy is serve with a command that starts the program in its own way.
func serveBy(t testing.TB, command func(name string, args ...string) *exec.Cmd, config string, environ ...string) *served {
	t.Helper()
	s := &served{dir: t.TempDir(), log: &output{}, ended: make(chan struct{}), command: command}
	s.configure(t, config)
	s.start(t, environ...)
	return s
}

func (s *served) configure(t testing.TB, config string) {
	t.Helper()
	path := filepath.Join(s.dir, "runplane.yaml")
	if err := os.WriteFile(path+".new", []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil { // as editors do
		t.Fatal(err)
	}
}

func (s *served) start(t testing.TB, environ ...string) {
	t.Helper()
	s.cmd = s.command(filepath.Join(bin, "runplane"), "serve", "--http", "127.0.0.1:0")
	s.cmd.Dir = s.dir
	s.cmd.Env = append(append(os.Environ(), "HOME="+s.dir, "XDG_STATE_HOME=", "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH")), environ...)
	s.cmd.Stderr = s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait() // the test checks how it ended
		close(s.ended)
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.ended
	})
	soon(t, "it listens", func() bool {
		m := listensAt.FindStringSubmatch(s.log.String())
		if m != nil {
			s.url = m[1]
		}
		return m != nil
	})
}

const soonIs = 20 * time.Second

// soon polls until a condition holds and fails the test if it takes too long.
func soon(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(soonIs); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("did not happen within %s: %s", soonIs, what)
		}
	}
}

// tool calls a tool of the program with the stateless protocol.
func (s *served) tool(ctx context.Context, name string, arguments any) (json.RawMessage, error) {
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": map[string]any{
		"name": name, "arguments": arguments,
		"_meta": map[string]any{
			"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": map[string]any{},
			"io.modelcontextprotocol/clientInfo": map[string]any{"name": "probe", "version": "1"},
		},
	}})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/mcp", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28",
		"Mcp-Method": "tools/call", "Mcp-Name": name,
	} {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := lastMessage(res)
	if err != nil {
		return nil, err
	}
	var m struct {
		Result struct {
			Content []struct{ Text string }
			IsError bool
			Value   json.RawMessage `json:"structuredContent"`
		}
		Error json.RawMessage
	}
	var refused struct{ Data *schemas.Error }
	if err := json.Unmarshal(answer, &m); err == nil && json.Unmarshal(m.Error, &refused) == nil && refused.Data != nil && refused.Data.Code != "" {
		return nil, refused.Data
	} else if err != nil || m.Error != nil {
		return nil, fmt.Errorf("%s: %w", answer, err)
	}
	if m.Result.IsError {
		var wrapped struct{ Error schemas.Error }
		if err := json.Unmarshal([]byte(m.Result.Content[0].Text), &wrapped); err != nil {
			return nil, err
		}
		return nil, &wrapped.Error
	}
	return m.Result.Value, nil
}

// lastMessage is the body, or the last event of a stream.
func lastMessage(res *http.Response) ([]byte, error) {
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		return io.ReadAll(res.Body)
	}
	var last []byte
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		if data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:")); ok && len(bytes.TrimSpace(data)) > 0 {
			last = bytes.Clone(data)
		}
	}
	return last, lines.Err()
}

// invoke calls a capability and returns its output.
func (s *served) invoke(realm, capability string, inputs any) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	v, err := s.tool(ctx, "invoke_capability", map[string]any{"realm": realm, "capability_name": capability, "inputs": inputs})
	if err != nil {
		return nil, err
	}
	var out struct{ Output json.RawMessage }
	err = json.Unmarshal(v, &out)
	return out.Output, err
}

// health asks for everything.
func (s *served) health() (schemas.Health, error) {
	var h schemas.Health
	v, err := s.tool(context.Background(), "check_health", map[string]any{})
	if err != nil {
		return h, err
	}
	return h, json.Unmarshal(v, &h)
}

// pid asks a realm of the sample flaky for the id of its process.
func (s *served) pid(realm, capability string) (int, error) {
	out, err := s.invoke(realm, capability, map[string]any{})
	if err != nil {
		return 0, err
	}
	var v struct{ PID int }
	if err := json.Unmarshal(out, &v); err != nil || v.PID == 0 {
		return 0, fmt.Errorf("%s: %w", out, err)
	}
	return v.PID, nil
}
