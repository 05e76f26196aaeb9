package realm

import (
	"bufio"
	"context"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client/transport"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/schemas"
)

// lateEnd is what Call.Late was called with.
type lateEnd struct {
	result *call.Result
	err    error
}

// giveUp calls a tool with a short deadline and returns what is reported of the call later.
func giveUp(t *testing.T, p *Pool, realm, capability, inputs string) <-chan lateEnd {
	t.Helper()
	ends := make(chan lateEnd, 2)
	c := ask(realm, capability, inputs)
	c.Late = func(res *call.Result, err error) { ends <- lateEnd{res, err} }
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, schemas.Errorf(schemas.CodeTimeout, "too slow"))
	defer cancel()
	_, err := p.Invoke(ctx, c)
	wantError(t, err, schemas.CodeTimeout, schemas.Unknown, "too slow")
	return ends
}

// slowOver starts the slow server on a transport.
func slowOver(t *testing.T, kind string) schemas.Realm {
	t.Helper()
	if kind == transportStdio {
		return server("slow")
	}
	cmd := exec.Command(filepath.Join(binaries, "slow"), "-http", "127.0.0.1:0")
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
	return schemas.Realm{Type: kind, URL: strings.TrimSpace(line) + map[string]string{transportHTTP: "/mcp", transportSSE: "/sse"}[kind]}
}

// An answer that comes after the caller has stopped waiting is reported, on every transport on which one can come.
func TestLateAnswersAreReported(t *testing.T) {
	for _, kind := range []string{transportStdio, transportHTTP, transportSSE} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := run(t, Config{Realms: realms("slow", slowOver(t, kind)), Policies: pinned()})
			mustInvoke(t, p, "slow", "echo", `{}`)
			done, failed := giveUp(t, p, "slow", "charge", `{"order":"A","ms":800}`), giveUp(t, p, "slow", "charge", `{"order":"B","ms":800,"then":"fail"}`)
			stopped := giveUp(t, p, "slow", "charge", `{"order":"C","ms":60000,"then":"obey"}`)
			if e := await(t, done); e.err != nil || field[string](t, e.result.Output, "order") != "A" || e.result.ServedBy != "slow.charge" {
				t.Errorf("an answer: %+v", e)
			}
			wantError(t, await(t, failed).err, schemas.CodeToolError, schemas.RanFailed, "declined")
			if e := wantError(t, await(t, stopped).err, schemas.CodeCancelled, schemas.Unknown, "after it was cancelled"); !e.Ended {
				t.Errorf("a call that obeys its cancellation: %+v", e)
			}
			select {
			case e := <-done:
				t.Errorf("reported twice: %+v", e)
			default:
			}
		})
	}
}

// The end of a realm's process ends the calls that it was given: those whose callers have stopped waiting, and those that fail by it.
func TestEndOfTheProcessEndsItsCalls(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("processes cannot be listed here, so nothing is proven")
	}
	p := run(t, Config{Realms: realms("slow", server("slow")), Policies: pinned()})
	mustInvoke(t, p, "slow", "echo", `{}`)
	late := giveUp(t, p, "slow", "charge", `{"order":"A","ms":60000}`)
	fails := make(chan lateEnd, 1)
	c := ask("slow", "charge", `{"order":"B","ms":60000}`)
	c.Late = func(res *call.Result, err error) { fails <- lateEnd{res, err} }
	returned := make(chan error, 1)
	sent := make(chan struct{})
	c.BeforeSend = func() error { close(sent); return nil }
	go func() {
		_, err := p.Invoke(t.Context(), c)
		returned <- err
	}()
	<-sent
	proc := p.members.Load().realms["slow"].conn.Load().proc
	eventually(t, "the call is sent", func() bool {
		pipe := p.members.Load().realms["slow"].conn.Load().pipe
		pipe.mu.Lock()
		defer pipe.mu.Unlock()
		return len(pipe.waiting) == 2 && len(pipe.queue) == 0
	})
	killGroup(proc.cmd.Process.Pid)
	wantError(t, await(t, returned), schemas.CodeUnavailable, schemas.Unknown, "before the answer")
	for _, ends := range []<-chan lateEnd{late, fails} {
		if e := wantError(t, await(t, ends).err, schemas.CodeUnavailable, schemas.Unknown, "process has ended"); !e.Ended {
			t.Errorf("%+v", e)
		}
	}
}

// As long as anything of a process runs, also outside of its group, nothing is proven; nor where the work is done elsewhere.
func TestProcessIsGoneWhenNothingOfItRuns(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("processes cannot be listed here, so nothing is proven")
	}
	start := func(g *groups, args ...string) *process {
		t.Helper()
		spec := schemas.Realm{Command: "sh", Args: append([]string{"-c", "exec sleep 60"}, args...)}
		p, err := startProcess("r", spec, quick.withDefaults(), func(cmd *exec.Cmd) error { return cmd.Start() }, g, nil, (&logBuffer{}).logger())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.stop)
		return p
	}
	tracked := &groups{mark: rand.Text(), log: (&logBuffer{}).logger()}
	p := start(tracked)
	if p.gone() {
		t.Error("it runs")
	}
	p.stop()
	if !p.gone() {
		t.Error("it has ended")
	}
	helper := exec.Command("sleep", "60")
	helper.Env = []string{markVariable + "=" + p.mark}
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	if p.gone() {
		t.Error("a helper of it runs")
	}
	_ = helper.Process.Kill()
	_ = helper.Wait() // it was killed
	if !p.gone() {
		t.Error("the helper has ended")
	}
	for what, p := range map[string]*process{"its helpers cannot be found": start(nil), "it was a bridge": start(tracked, "https://far.example/mcp")} {
		p.stop()
		if p.gone() {
			t.Error(what)
		}
	}
}

func TestBridgesWorkElsewhere(t *testing.T) {
	for line, want := range map[string]bool{
		"npx -y @modelcontextprotocol/server-filesystem /data": false,
		"uvx mcp-server-fetch":                                 false,
		"/usr/local/bin/shop -ledger docker.log":               false,
		"python -m server":                                     false,
		"docker run -i --rm ghcr.io/a/b":                       true,
		"/usr/bin/docker run -i x":                             true,
		"ssh host server":                                      true,
		`wsl.exe server`:                                       true,
		"npx -y mcp-remote@1.2.3 host":                         true,
		"npx -y some-bridge https://mcp.example/sse":           true,
		"sh -c ssh": true,
	} {
		words := strings.Fields(line)
		if got := worksElsewhere(schemas.Realm{Command: words[0], Args: words[1:]}); got != want {
			t.Errorf("%s: %v, want %v", line, got, want)
		}
	}
}

// A call whose caller does not ask for late answers leaves nothing in the connection, and a realm that never answers is listened to for
// a bounded number of calls.
func TestListeningIsBounded(t *testing.T) {
	p := run(t, Config{Realms: realms("slow", server("slow")), Policies: pinned()})
	mustInvoke(t, p, "slow", "echo", `{}`)
	cn := p.members.Load().realms["slow"].conn.Load()
	waiting := func() int {
		cn.pipe.mu.Lock()
		defer cn.pipe.mu.Unlock()
		return len(cn.pipe.waiting)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := p.Invoke(ctx, ask("slow", "sleep", `{"ms":60000}`)); err == nil || waiting() != 0 {
		t.Errorf("%v, and %d calls are listened to", err, waiting())
	}
	for id := range int64(maxLate) {
		cn.pipe.mu.Lock()
		cn.pipe.waiting[-1-id] = waiter{late: func(*transport.JSONRPCResponse) {}}
		cn.pipe.mu.Unlock()
	}
	giveUp(t, p, "slow", "charge", `{"order":"A","ms":60000}`)
	if waiting() > maxLate {
		t.Errorf("%d calls are listened to (limit %d)", waiting(), maxLate)
	}
}
