//go:build unix

package main

import (
	"bufio"
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
)

// replica is one `runplane serve --http` in its own folder; it may be killed and started again.
type replica struct {
	t    *testing.T
	name string
	dir  string

	mu    sync.Mutex
	cmd   *exec.Cmd
	url   string
	ended chan struct{}
}

var listeningAt = regexp.MustCompile(`url=(http://\S+)`)

// newReplica starts a replica with the shop and further realms, each an entry of mcpServers.
func newReplica(t *testing.T, n int, store, ledger string, more ...string) *replica {
	r := &replica{t: t, name: fmt.Sprint("replica", n), dir: t.TempDir()}
	realms := append([]string{fmt.Sprintf("shop: {command: %q, args: [-ledger, %q, -delay, 15ms]}", filepath.Join(bin, "shop"), ledger)}, more...)
	write(t, filepath.Join(r.dir, "runplane.yaml"), fmt.Sprintf(`
mcpServers: {%s}
policies: {default: {timeout: 5s, settle: 4s}}
store: %q
http: 127.0.0.1:0
drain: 5s
limits: {lease: %s}
`, strings.Join(realms, ", "), store, chaosLease))
	t.Cleanup(r.end)
	r.start()
	return r
}

// start returns when the replica listens.
func (r *replica) start() {
	r.t.Helper()
	cmd := exec.Command(filepath.Join(bin, "runplane"), "serve")
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "HOME="+r.dir)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	log, err := os.OpenFile(r.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	listening, ended := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(ended)
		defer log.Close()
		lines := bufio.NewScanner(io.TeeReader(stderr, log))
		for lines.Scan() {
			if m := listeningAt.FindStringSubmatch(lines.Text()); m != nil {
				select {
				case listening <- m[1]:
				default:
				}
			}
		}
		_ = cmd.Wait() // how it ended is in its log
	}()
	r.mu.Lock()
	r.cmd, r.url, r.ended = cmd, "", ended
	r.mu.Unlock()
	select {
	case url := <-listening:
		r.mu.Lock()
		r.url = url
		r.mu.Unlock()
	case <-ended:
		r.t.Fatalf("%s does not start:\n%s", r.name, r.tail())
	case <-time.After(30 * time.Second):
		r.t.Fatalf("%s does not listen:\n%s", r.name, r.tail())
	}
}

// address is where it listens; empty: it is not running.
func (r *replica) address() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.url
}

func (r *replica) kill() {
	r.mu.Lock()
	r.url = ""
	cmd, ended := r.cmd, r.ended
	r.mu.Unlock()
	_ = cmd.Process.Kill() // this test started it and it runs
	<-ended
}

func (r *replica) pause()  { r.signal(syscall.SIGSTOP) }
func (r *replica) resume() { r.signal(syscall.SIGCONT) }

func (r *replica) signal(s os.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Errorf("signal %v to %s: %v", s, r.name, err)
	}
}

// end stops it gracefully; if it does not end, it is killed and the test fails.
func (r *replica) end() {
	if r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Signal(syscall.SIGCONT) // it may have ended
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-r.ended:
	case <-time.After(30 * time.Second):
		_ = r.cmd.Process.Kill()
		<-r.ended
		r.t.Errorf("%s did not end within 30 s of SIGTERM", r.name)
	}
	if r.t.Failed() {
		r.t.Logf("the end of the log of %s:\n%s", r.name, r.tail())
	}
}

func (r *replica) log() string { return filepath.Join(r.dir, "log") }

// tail is the end of the log.
func (r *replica) tail() string {
	b, err := os.ReadFile(r.log())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4000):])
}
