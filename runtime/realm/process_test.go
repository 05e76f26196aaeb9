//go:build unix

package realm

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
)

func TestKilledChildFailsItsCallAndTheNextOneWorks(t *testing.T) {
	p := run(t, Config{Realms: realms("flaky", server("flaky"))})
	pid := field[int](t, mustInvoke(t, p, "flaky", "environment", `{}`).Output, "pid")
	failed := make(chan error, 1)
	go func() {
		_, err := p.Invoke(context.Background(), ask("flaky", "hang", `{}`))
		failed <- err
	}()
	cn := p.members.Load().realms["flaky"].conn.Load()
	eventually(t, "the call is in flight", func() bool { return cn.calls.Load() == 1 })
	mustInvoke(t, p, "flaky", "echo", `{}`) // sent after it
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	wantError(t, await(t, failed), schemas.CodeUnavailable, schemas.Unknown, "killed")
	mustInvoke(t, p, "flaky", "echo", `{}`)
	if took := time.Since(at); took > patience {
		t.Errorf("the next call succeeded only after %s", took)
	}
	if alive(pid) {
		t.Error("the child is a zombie")
	}
}

func TestCrashIsUnknownWithTheExitStatus(t *testing.T) {
	p := run(t, Config{Realms: realms("flaky", server("flaky"))})
	for range 3 {
		_, err := invoke(t, p, "flaky", "crash", `{}`)
		wantError(t, err, schemas.CodeUnavailable, schemas.Unknown, "exit status 3")
	}
	mustInvoke(t, p, "flaky", "echo", `{}`)
}

func TestStopEndsChildrenAndGrandchildren(t *testing.T) {
	for _, args := range [][]string{nil, {"-ignore-term"}} {
		t.Run(strings.Join(args, ""), func(t *testing.T) {
			p, err := New(Config{Realms: realms("flaky", server("flaky", args...)), Limits: quick})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- p.Run(ctx) }()
			child := field[int](t, mustInvoke(t, p, "flaky", "environment", `{}`).Output, "pid")
			grandchild := field[int](t, mustInvoke(t, p, "flaky", "grandchild", `{}`).Output, "pid")
			if !alive(child) || !alive(grandchild) {
				t.Fatal("they do not live")
			}
			cancel()
			select {
			case <-ended:
			case <-time.After(patience):
				t.Fatal("Run does not return")
			}
			if alive(child) {
				t.Error("the child lives")
			}
			eventually(t, "the grandchild is gone", func() bool { return !running(grandchild) })
			_, err = invoke(t, p, "flaky", "echo", `{}`)
			wantError(t, err, schemas.CodeUnavailable, schemas.NotRun, "stopping")
		})
	}
}

func TestDeathOfAChildEndsItsHelpers(t *testing.T) {
	p := run(t, Config{Realms: realms("flaky", server("flaky"))})
	grandchild := field[int](t, mustInvoke(t, p, "flaky", "grandchild", `{}`).Output, "pid")
	_, err := invoke(t, p, "flaky", "crash", `{}`)
	wantError(t, err, schemas.CodeUnavailable, schemas.Unknown, "")
	eventually(t, "the helper is gone", func() bool { return !running(grandchild) })
}

// TestSIGKILLOfTheRuntimeLeavesNothing runs this test binary as the runtime that is killed.
func TestSIGKILLOfTheRuntimeLeavesNothing(t *testing.T) {
	const marker = "REALM_TEST_VICTIM"
	if out := os.Getenv(marker); out != "" {
		p := run(t, Config{Realms: realms("flaky", server("flaky", "-ignore-term"))})
		child := field[int](t, mustInvoke(t, p, "flaky", "environment", `{}`).Output, "pid")
		grandchild := field[int](t, mustInvoke(t, p, "flaky", "grandchild", `{}`).Output, "pid")
		detached := field[int](t, mustInvoke(t, p, "flaky", "detached", `{}`).Output, "pid")
		runtime.GC() // threads may come and go
		if err := os.WriteFile(out+".tmp", fmt.Appendf(nil, "%d %d %d", child, grandchild, detached), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(out+".tmp", out); err != nil {
			t.Fatal(err)
		}
		select {}
	}
	if runtime.GOOS != "linux" {
		t.Skip("needs the death signal of Linux")
	}
	out := filepath.Join(t.TempDir(), "pids")
	victim := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	victim.Env = append(os.Environ(), marker+"="+out)
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []int
	eventually(t, "the runtime has a child, a grandchild and a detached one", func() bool {
		text, err := os.ReadFile(out)
		for _, word := range strings.Fields(string(text)) {
			pid, _ := strconv.Atoi(word)
			pids = append(pids, pid)
		}
		return err == nil
	})
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = victim.Wait() // it was killed
	if len(pids) != 3 {
		t.Fatalf("the processes are %v", pids)
	}
	for _, pid := range pids {
		eventually(t, "process "+strconv.Itoa(pid)+" is gone", func() bool { return !running(pid) })
	}
}

func TestChildSeesAMinimalEnvironment(t *testing.T) {
	t.Setenv("REDIS_PASSWORD", "canary-of-the-environment")
	t.Setenv("https_proxy", "http://proxy.example:3128")
	dir := t.TempDir()
	file := filepath.Join(dir, "vars")
	if err := os.WriteFile(file, []byte("# comment\n\nexport FROM_FILE=\"a b\"\nBOTH=file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	spec := server("flaky")
	spec.Env, spec.EnvFile, spec.Cwd = map[string]string{"NAMED": "yes", "BOTH": "env"}, file, dir
	p := run(t, Config{Realms: realms("flaky", spec)})
	out := mustInvoke(t, p, "flaky", "environment", `{}`).Output
	env := field[[]string](t, out, "env")
	for _, want := range []string{"NAMED=yes", "FROM_FILE=a b", "BOTH=env", "PATH=" + os.Getenv("PATH"), "https_proxy=http://proxy.example:3128", "RUNPLANE_DEPTH=1"} {
		if !slices.Contains(env, want) {
			t.Errorf("%q is missing in %q", want, env)
		}
	}
	for _, v := range env {
		name, _, _ := strings.Cut(v, "=")
		if !slices.Contains(slices.Concat([]string{"NAMED", "FROM_FILE", "BOTH", "PWD", markVariable, EnvDepth}, inherited, InheritedByDefault), name) {
			t.Errorf("the child sees %s", v)
		}
	}
	if got := field[string](t, out, "cwd"); got != first(filepath.EvalSymlinks(dir)) {
		t.Errorf("cwd = %s, want %s", got, dir)
	}
}

func TestBrokenRealmsHaveTheirErrorAndDelayNoOther(t *testing.T) {
	limits := quick
	limits.StartTimeout = 10 * time.Minute // a call that waited for the hung one would be too late
	p := run(t, Config{Limits: limits, Realms: realms(
		"good", server("shop"),
		"hung", server("slow", "-hang-at-initialize"),
		"absent", schemas.Realm{Command: "no-such-command-here", Env: map[string]string{"PATH": "/bin:/usr/bin"}},
		"ends", schemas.Realm{Command: "sh", Args: []string{"-c", "echo 'API_KEY is missing' >&2; exit 7"}},
		"nowhere", schemas.Realm{Command: "sh", Cwd: "/no/such/folder"},
		"nofile", schemas.Realm{Command: "sh", EnvFile: "/no/such/file"},
	)})
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	waiting.Go(func() { _, _ = p.Invoke(ctx, ask("hung", "x", `{}`)) }) // has it started
	mustInvoke(t, p, "good", "echo", `{}`)
	cancel()
	waiting.Wait()
	limits.StartTimeout = 400 * time.Millisecond
	late := run(t, Config{Limits: limits, Realms: realms("hung", server("slow", "-hang-at-initialize"))})
	for name, message := range map[string]string{
		"hung":    "did not finish its start within 400ms",
		"absent":  `command "no-such-command-here" was not found; searched PATH=/bin:/usr/bin`,
		"ends":    "exit status 7; last on stderr: API_KEY is missing",
		"nowhere": "/no/such/folder does not exist",
		"nofile":  "envFile cannot be read",
	} {
		p := p
		if name == "hung" {
			p = late
		}
		_, err := invoke(t, p, name, "x", `{}`)
		e := wantError(t, err, schemas.CodeUnavailable, schemas.NotRun, message)
		if !strings.Contains(e.Message, strconv.Quote(name)) || e.Hint == "" {
			t.Errorf("%s: %v names no realm or no cure", name, e)
		}
		h := health(p, name)
		if h.State == schemas.RealmReady || h.Error == nil || h.ConsecutiveFailures == 0 {
			t.Errorf("health of %s is %+v", name, h)
		}
		if _, err := p.Catalog(t.Context(), []string{name}).Tools(name); err == nil {
			t.Errorf("%s lists tools", name)
		}
	}
}

func TestBlockedStdinFailsOnlyItsCall(t *testing.T) {
	p := run(t, Config{Realms: realms("flaky", server("flaky"))})
	mustInvoke(t, p, "flaky", "deafen", `{}`)
	large := `{"msg":"` + strings.Repeat("x", 1<<20) + `"}` // more than a pipe holds
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	at := time.Now()
	_, err := p.Invoke(ctx, ask("flaky", "echo", large))
	wantError(t, err, schemas.CodeTimeout, schemas.Unknown, "deadline")
	later, end := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer end()
	_, err = p.Invoke(later, ask("flaky", "echo", `{}`))
	wantError(t, err, schemas.CodeTimeout, schemas.NotRun, "deadline") // it never left the queue
	if took := time.Since(at); took > patience {
		t.Errorf("a blocked pipe held the calls for %s", took)
	}
}

func TestLargeAnswersFailOnlyTheirCall(t *testing.T) {
	limits := quick
	limits.MaxMessage = 1 << 20
	p := run(t, Config{Realms: realms("flaky", server("flaky")), Limits: limits})
	for range 3 {
		_, err := invoke(t, p, "flaky", "big", `{"bytes":3000000}`)
		wantError(t, err, schemas.CodePayloadTooLarge, schemas.RanFailed, "larger than the limit")
	}
	if got := mustInvoke(t, p, "flaky", "big", `{"bytes":1000000}`); len(got.Text) != 1_000_000 {
		t.Errorf("got %d bytes", len(got.Text))
	}
	if got := health(p, "flaky").ConsecutiveFailures; got != 0 {
		t.Errorf("the realm counts %d failures", got)
	}
	_, err := invoke(t, p, "flaky", "endless_line", `{"bytes":1000000000}`)
	wantError(t, err, schemas.CodePayloadTooLarge, schemas.Unknown, "larger than the limit")
	mustInvoke(t, p, "flaky", "echo", `{}`)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapInuse > 200<<20 {
		t.Errorf("the heap holds %d MiB", m.HeapInuse>>20)
	}
}

func TestStrayOutputAndFloodsAreTolerated(t *testing.T) {
	var log logBuffer
	spec := server("flaky")
	p := run(t, Config{Realms: realms("flaky", spec), Logger: log.logger()})
	if got := mustInvoke(t, p, "flaky", "bad_json", `{}`); got.Text != "ok" {
		t.Errorf("got %q", got.Text)
	}
	if !strings.Contains(log.String(), "Debugger attached") {
		t.Error("the stray line is not in the log")
	}
	if got := mustInvoke(t, p, "flaky", "stderr_flood", `{"lines":100000}`); got.Text != "ok" {
		t.Errorf("got %q", got.Text)
	}
	if text := log.String(); len(text) > 200_000 || strings.Contains(text, "\x1b") || !strings.Contains(text, "of a flood") {
		t.Errorf("the log has %d bytes, or none of the flood, or escape sequences", len(text))
	}
}

func TestSecretsOfTheConfigAreNotLogged(t *testing.T) {
	var log logBuffer
	p := run(t, Config{Logger: log.logger(), Realms: realms("sh", schemas.Realm{
		Command: "sh", Args: []string{"-c", `echo "key is $TOKEN" >&2; exit 1`}, Env: map[string]string{"TOKEN": "canary-secret"},
	})})
	_, err := invoke(t, p, "sh", "x", `{}`)
	e := wantError(t, err, schemas.CodeUnavailable, schemas.NotRun, "key is «redacted»")
	eventually(t, "the log has the line", func() bool { return strings.Contains(log.String(), "key is «redacted»") })
	if strings.Contains(log.String()+e.Error(), "canary") {
		t.Error("the secret is in the log or in the error")
	}
}
