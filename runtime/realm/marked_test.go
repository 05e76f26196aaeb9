//go:build linux

package realm

import (
	"context"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// TestDetachedHelpersEndWithTheirRealm has helpers in sessions of their own, which ignore TERM. Helpers of another realm live on.
func TestDetachedHelpersEndWithTheirRealm(t *testing.T) {
	detached := func(t *testing.T, p *Pool, realm string) int {
		return field[int](t, mustInvoke(t, p, realm, "detached", `{}`).Output, "pid")
	}
	for name, end := range map[string]func(t *testing.T, p *Pool){
		"removed": func(t *testing.T, p *Pool) {
			reload(t, p, realms("stays", server("flaky")), schemas.Policies{}, Change{Removed: []string{"ends"}})
		},
		"restarted": func(t *testing.T, p *Pool) {
			reload(t, p, realms("stays", server("flaky"), "ends", withEnv(server("flaky"), "NEW", "yes")), schemas.Policies{},
				Change{Restarted: []string{"ends"}})
		},
		"crashed": func(t *testing.T, p *Pool) {
			_, err := invoke(t, p, "ends", "crash", `{}`)
			wantError(t, err, schemas.CodeUnavailable, schemas.Unknown, "")
		},
		"killed": func(t *testing.T, p *Pool) { _ = syscall.Kill(pidOf(t, p, "ends"), syscall.SIGKILL) },
	} {
		t.Run(name, func(t *testing.T) {
			p := run(t, Config{Realms: realms("stays", server("flaky"), "ends", server("flaky"))})
			stays, ends := detached(t, p, "stays"), detached(t, p, "ends")
			end(t, p)
			eventually(t, "the helper is gone", func() bool { return !running(ends) })
			if !running(stays) {
				t.Error("the helper of another realm was ended")
			}
			if got := detached(t, p, "stays"); !running(got) {
				t.Error("the other realm does not work")
			}
		})
	}
	t.Run("end of the runtime", func(t *testing.T) {
		p, err := New(Config{Realms: realms("ends", server("flaky")), Limits: quick})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		pids := []int{detached(t, p, "ends"), detached(t, p, "ends")}
		cancel()
		_ = await(t, ended) // the cancellation
		for _, pid := range pids {
			if running(pid) {
				t.Errorf("helper %d outlives Run", pid)
			}
		}
	})
}

// TestMarkedProcessesAreThoseOfTheMark has processes that are similar to those with the mark.
func TestMarkedProcessesAreThoseOfTheMark(t *testing.T) {
	const mark = "QWERTY"
	type sleeper struct {
		env  []string
		ends bool
		pid  int
	}
	all := []*sleeper{
		{env: []string{markVariable + "=" + mark + ".1"}, ends: true},
		{env: []string{"A=b", markVariable + "=" + mark + ".27", "C=d"}, ends: true},
		{env: []string{markVariable + "=" + mark}, ends: true}, // of a version before this one
		{env: []string{markVariable + "=" + mark + "X.1"}},
		{env: []string{markVariable + "=X" + mark + ".1"}},
		{env: []string{"OTHER_" + markVariable + "=" + mark + ".1"}},
		{env: []string{"NAME=" + markVariable + "=" + mark + ".1"}},
		{env: []string{markVariable + "="}},
		{env: []string{}},
	}
	for _, s := range all {
		cmd := exec.Command("sleep", "300")
		cmd.Env = s.env
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		s.pid = cmd.Process.Pid
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = cmd.Wait() // it is killed
		}()
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			<-done
		})
	}
	if n := endMarked("", leftoverGrace); n != 0 {
		t.Errorf("without a mark %d were ended", n)
	}
	if n := endMarked(mark, leftoverGrace); n != 3 {
		t.Errorf("%d were ended", n)
	}
	for _, s := range all {
		if s.ends {
			eventually(t, "process "+strconv.Itoa(s.pid)+" is gone", func() bool { return !running(s.pid) })
		} else if !running(s.pid) {
			t.Errorf("the process with %q was ended", s.env)
		}
	}
}
