package realm

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/schemas"
)

// binaries is the folder with the sample servers, which TestMain builds.
var binaries string

func TestMain(m *testing.M) {
	code := func() int {
		dir, err := os.MkdirTemp("", "servers")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		build := exec.Command("go", "build", "-o", dir+string(filepath.Separator),
			"../../testdata/servers/shop", "../../testdata/servers/flaky", "../../testdata/servers/slow", "../../testdata/servers/liar")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
			return 1
		}
		binaries = dir
		return m.Run()
	}()
	os.Exit(code)
}

func server(name string, args ...string) schemas.Realm {
	return schemas.Realm{Command: filepath.Join(binaries, name), Args: args}
}

// patience is how long a test waits for anything.
const patience = 10 * time.Second

// quick are limits with which tests of failures end soon.
var quick = Limits{CloseGrace: 300 * time.Millisecond, BackoffMin: 20 * time.Millisecond, BackoffMax: 200 * time.Millisecond, Debounce: 10 * time.Millisecond}

// run starts a pool, which the end of the test ends and waits for.
func run(t testing.TB, config Config) *Pool {
	t.Helper()
	p := newPool(t, config)
	runPool(t, p)
	return p
}

func newPool(t testing.TB, config Config) *Pool {
	t.Helper()
	if config.Limits == (Limits{}) {
		config.Limits = quick
	}
	p, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func runPool(t testing.TB, p *Pool) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := p.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
}

func realms(pairs ...any) map[string]schemas.Realm {
	m := map[string]schemas.Realm{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1].(schemas.Realm)
	}
	return m
}

func ask(realm, capability, inputs string) *call.Call {
	return &call.Call{Realm: realm, Capability: capability, Inputs: json.RawMessage(inputs), Attempt: 1}
}

// invoke calls with a deadline that is reached only if there is a bug.
func invoke(t testing.TB, p *Pool, realm, capability, inputs string) (*call.Result, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return p.Invoke(ctx, ask(realm, capability, inputs))
}

func mustInvoke(t testing.TB, p *Pool, realm, capability, inputs string) *call.Result {
	t.Helper()
	result, err := invoke(t, p, realm, capability, inputs)
	if err != nil {
		t.Fatalf("%s.%s: %v", realm, capability, err)
	}
	return result
}

// wantError checks code, outcome and a part of the message.
func wantError(t testing.TB, err error, code schemas.Code, outcome schemas.Outcome, message string) *schemas.Error {
	t.Helper()
	e, ok := errors.AsType[*schemas.Error](err)
	if !ok {
		t.Fatalf("got %v, want a *schemas.Error with code %s", err, code)
	}
	if e.Code != code || e.Outcome != outcome || !strings.Contains(e.Message+e.Hint, message) {
		t.Fatalf("got %s, outcome %s: %v\nwant %s, outcome %s, with %q", e.Code, e.Outcome, e, code, outcome, message)
	}
	return e
}

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("did not happen within %s: %s", patience, what)
		}
	}
}

// await receives a value, and fails the test after patience.
func await[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("did not happen within %s", patience)
		panic("unreachable")
	}
}

func health(p *Pool, name string) schemas.RealmHealth {
	for _, h := range p.Health() {
		if h.Realm == name {
			return h
		}
	}
	return schemas.RealmHealth{}
}

func field[T any](t testing.TB, output json.RawMessage, name string) T {
	t.Helper()
	var fields map[string]json.RawMessage
	var v T
	if err := json.Unmarshal(output, &fields); err != nil {
		t.Fatalf("%s: %v", output, err)
	}
	if err := json.Unmarshal(fields[name], &v); err != nil {
		t.Fatalf("%s of %s: %v", name, output, err)
	}
	return v
}

// logBuffer collects a log for tests.
type logBuffer struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *logBuffer) logger() hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Output: b, Level: hclog.Debug})
}

// serveHTTP starts a sample server over HTTP and returns its base URL.
func serveHTTP(t *testing.T, name string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(binaries, name), "-http", "127.0.0.1:0")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// serverOver is a sample server as a realm on a transport; over HTTP it is started.
func serverOver(t *testing.T, name, kind string) schemas.Realm {
	t.Helper()
	if kind == transportStdio {
		return server(name)
	}
	return schemas.Realm{Type: kind, URL: serveHTTP(t, name) + map[string]string{transportHTTP: "/mcp", transportSSE: "/sse"}[kind]}
}
