package realm

import (
	"context"
	"crypto/rand"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/client/transport"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/redact"
	"github.com/runplane/runplane/schemas"
)

// lateEnd is what Call.Late was called with.
type lateEnd struct {
	result *call.Result
	err    error
}

// giveUp charges an order on the slow server, stops waiting when the tool has begun, and returns what is reported of the call later. The
// charge waits for release. then is what it does after that, or when it is cancelled.
func giveUp(t *testing.T, p *Pool, order, then string) <-chan lateEnd {
	t.Helper()
	ends := make(chan lateEnd, 2)
	giveUpAndTell(t, p, order, then, func(res *call.Result, err error) { ends <- lateEnd{res, err} })
	return ends
}

func giveUpAndTell(t *testing.T, p *Pool, order, then string, late func(*call.Result, error)) {
	t.Helper()
	c := ask("slow", "charge", fmt.Sprintf(`{"order":%q,"then":%q,"hold":true}`, order, then))
	c.Late = late
	ctx, cancel := context.WithCancelCause(t.Context())
	returned := make(chan error, 1)
	go func() {
		_, err := p.Invoke(ctx, c)
		returned <- err
	}()
	mustInvoke(t, p, "slow", "await_charge", fmt.Sprintf(`{"order":%q}`, order))
	cancel(schemas.Errorf(schemas.CodeTimeout, "too slow"))
	wantError(t, await(t, returned), schemas.CodeTimeout, schemas.Unknown, "too slow")
}

// release lets the charge of an order go on.
func release(t *testing.T, p *Pool, order string) {
	t.Helper()
	mustInvoke(t, p, "slow", "release_charge", fmt.Sprintf(`{"order":%q}`, order))
}

// An answer that comes after the caller has stopped waiting is reported, on every transport on which one can come.
func TestLateAnswersAreReported(t *testing.T) {
	for _, kind := range []string{transportStdio, transportHTTP, transportSSE} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			const secret = "hunter2-hunter2-hunter2"
			spec := serverOver(t, "slow", kind)
			spec.Env, spec.Headers = map[string]string{"SHOP_TOKEN": secret}, map[string]string{"Authorization": "Bearer " + secret}
			p := run(t, Config{Realms: realms("slow", spec), Policies: pinned()})
			mustInvoke(t, p, "slow", "echo", `{}`)
			done, failed, telling := giveUp(t, p, "A", ""), giveUp(t, p, "B", "fail"), giveUp(t, p, secret, "")
			stopped := giveUp(t, p, "C", "obey")
			for _, order := range []string{"A", "B", secret} {
				release(t, p, order)
			}
			if e := await(t, telling); e.err != nil || field[string](t, e.result.Output, "order") != redact.Mark ||
				strings.Contains(e.result.Text, secret) {
				t.Errorf("an answer with a secret: %+v", e)
			}
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

// A report that blocks, as during an outage of the store, delays no other call of its realm and no other report.
func TestReportsOfLateAnswersMayBlock(t *testing.T) {
	for _, kind := range []string{transportStdio, transportHTTP, transportSSE} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := run(t, Config{Realms: realms("slow", serverOver(t, "slow", kind)), Policies: pinned()})
			blocked, goOn := make(chan struct{}), make(chan struct{})
			t.Cleanup(func() { close(goOn) }) // before the pool ends, which waits for the report
			giveUpAndTell(t, p, "A", "", func(*call.Result, error) { close(blocked); <-goOn })
			other := giveUp(t, p, "B", "")
			release(t, p, "A")
			await(t, blocked)
			mustInvoke(t, p, "slow", "echo", `{}`)
			release(t, p, "B")
			if e := await(t, other); e.err != nil {
				t.Errorf("another report: %+v", e)
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
	late := giveUp(t, p, "A", "")
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
		p, err := startProcess("r", spec, nil, quick.withDefaults(), func(cmd *exec.Cmd) error { return cmd.Start() }, g, nil, (&logBuffer{}).logger())
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
	for what, p := range map[string]*process{"its helpers cannot be found": start(nil),
		"it was a bridge": start(tracked, "https://far.example/mcp")} {
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
	giveUpAndTell(t, p, "not asked for", "", nil)
	if waiting() != 0 {
		t.Errorf("%d calls are listened to", waiting())
	}
	for id := range int64(maxLate) {
		cn.pipe.mu.Lock()
		cn.pipe.waiting[-1-id] = waiter{late: func(*transport.JSONRPCResponse) {}}
		cn.pipe.mu.Unlock()
	}
	giveUp(t, p, "A", "")
	if waiting() > maxLate {
		t.Errorf("%d calls are listened to (limit %d)", waiting(), maxLate)
	}
	cn.pipe.mu.Lock()
	cn.pipe.waiting, cn.pipe.reporting = map[int64]waiter{}, maxLate
	cn.pipe.mu.Unlock()
	giveUp(t, p, "B", "")
	if waiting() > 0 {
		t.Errorf("%d calls are listened to while as many reports as allowed have not returned", waiting())
	}
}
