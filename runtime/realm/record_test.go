//go:build linux

package realm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"
)

// TestStaleGroupsAreSweptAtTheNextStart kills a runtime and its guardian at once, as with a kill -9 of everything: the helpers of
// its realms keep running until the next start.
func TestStaleGroupsAreSweptAtTheNextStart(t *testing.T) {
	const marker = "REALM_TEST_SWEPT"
	if out := os.Getenv(marker); out != "" {
		p := run(t, Config{Realms: realms("flaky", server("flaky")), StateDir: filepath.Dir(out)})
		pids := []int{p.groups.guard.cmd.Process.Pid, pidOf(t, p, "flaky"),
			field[int](t, mustInvoke(t, p, "flaky", "grandchild", `{}`).Output, "pid"),
			field[int](t, mustInvoke(t, p, "flaky", "detached", `{}`).Output, "pid")}
		var text strings.Builder
		for _, pid := range pids {
			text.WriteString(strconv.Itoa(pid) + " ")
		}
		write := os.WriteFile(out+".tmp", []byte(text.String()), 0o600)
		if write != nil || os.Rename(out+".tmp", out) != nil {
			t.Fatal(write)
		}
		select {}
	}
	dir := t.TempDir()
	out := filepath.Join(dir, "pids")
	victim := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	victim.Env = append(os.Environ(), marker+"="+out)
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []int
	eventually(t, "the runtime has a guardian, a child and a grandchild", func() bool {
		text, err := os.ReadFile(out)
		for _, word := range strings.Fields(string(text)) {
			pid, _ := strconv.Atoi(word)
			pids = append(pids, pid)
		}
		return err == nil
	})
	guardian, child, grandchild, detached := pids[0], pids[1], pids[2], pids[3]
	if err := syscall.Kill(guardian, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the guardian is gone", func() bool { return !running(guardian) })

	// The record of a run that has not ended is not swept.
	sweep(dir, hclog.NewNullLogger())
	if !running(child) || !running(grandchild) || !running(detached) {
		t.Fatal("a living run was swept")
	}

	_ = victim.Process.Kill()
	_ = victim.Wait() // it was killed
	eventually(t, "the child is gone with the runtime", func() bool { return !running(child) })
	if !running(grandchild) || !running(detached) {
		t.Fatal("nothing is left to be swept")
	}
	var log logBuffer
	run(t, Config{Realms: realms("flaky", server("flaky")), StateDir: dir, Logger: log.logger()})
	eventually(t, "the helpers are gone", func() bool { return !running(grandchild) && !running(detached) })
	eventually(t, "the sweep is logged", func() bool { return strings.Contains(log.String(), "an earlier run left") })
	if files, err := filepath.Glob(filepath.Join(dir, recordPrefix+"*")); err != nil || len(files) > 1 {
		t.Errorf("the records are %q, %v; the stale one should be gone", files, err)
	}
}

// TestSweepSparesOtherProcesses has a record of a group that is not of its run, as after a reuse of ids.
func TestSweepSparesOtherProcesses(t *testing.T) {
	dir := t.TempDir()
	stranger := exec.Command("sleep", "300")
	stranger.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stranger.Env = []string{markVariable + "=of-another-run"}
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = stranger.Process.Kill()
		_ = stranger.Wait() // it was killed
	}()
	path := filepath.Join(dir, recordPrefix+"of-this-run")
	text := "+ " + strconv.Itoa(stranger.Process.Pid) + "\n+ 1\n+ 0\n+ -5\nnonsense\n+ 99"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	sweep(dir, hclog.NewNullLogger())
	if !running(stranger.Process.Pid) {
		t.Error("a stranger was ended")
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the record stays: %v", err)
	}
}

func TestRecordIsRemovedAtTheEndOfARun(t *testing.T) {
	dir := t.TempDir()
	t.Run("run", func(t *testing.T) {
		p := run(t, Config{Realms: realms("flaky", server("flaky")), StateDir: dir})
		mustInvoke(t, p, "flaky", "echo", `{}`)
		if files, _ := filepath.Glob(filepath.Join(dir, recordPrefix+"*")); len(files) != 1 {
			t.Errorf("the records are %q", files)
		}
	})
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("left: %v, %v", files, err)
	}
}
