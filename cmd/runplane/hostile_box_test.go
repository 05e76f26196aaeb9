//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// box limits the memory of a process and of those that it starts: a control group of its own where this user may make one, else a
// watch over the memory of the process. The kernel, or the watch, kills what exceeds the limit.
type box struct {
	limit  int    // bytes
	folder string // of the control group; empty: the process is watched
	kills  string // the file and the word before the number of processes that the kernel killed
	peak   string // the file with the most memory that was used; empty: unknown
}

func newBox(t testing.TB, limit int) *box {
	b := &box{limit: limit}
	if err := b.group(); err != nil {
		t.Logf("no control group (%v): the memory of the process is watched", err)
		b.folder = ""
		return b
	}
	t.Cleanup(func() {
		for range 200 { // what ran in it may still be on its way out
			if os.Remove(b.folder) == nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("%s is still in use", b.folder)
	})
	return b
}

// group makes a control group below that of the test.
func (b *box) group() error {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	name := fmt.Sprintf("runplane-%d-%d", os.Getpid(), time.Now().UnixNano())
	for line := range strings.Lines(string(own)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(parts) < 3:
		case parts[1] == "memory":
			b.folder = filepath.Join("/sys/fs/cgroup/memory", parts[2], name)
			b.kills, b.peak = "memory.oom_control", "memory.max_usage_in_bytes"
			return b.make("memory.limit_in_bytes")
		case parts[0] == "0" && parts[1] == "":
			b.folder = filepath.Join("/sys/fs/cgroup", parts[2], name)
			b.kills, b.peak = "memory.events", "memory.peak"
			if err = b.make("memory.max"); err != nil {
				break
			}
			swap := filepath.Join(b.folder, "memory.swap.max") // what is swapped out would not count
			if _, missing := os.Stat(swap); missing == nil {
				err = os.WriteFile(swap, []byte("0"), 0)
			}
		}
	}
	return err
}

func (b *box) make(limit string) error {
	if err := os.Mkdir(b.folder, 0o755); err != nil {
		return err
	}
	err := os.WriteFile(filepath.Join(b.folder, limit), []byte(strconv.Itoa(b.limit)), 0)
	if err == nil {
		_, err = b.killed()
	}
	if err != nil {
		err = errors.Join(err, os.Remove(b.folder))
	}
	return err
}

// command is a command that runs inside.
func (b *box) command(name string, args ...string) *exec.Cmd {
	if b.folder == "" {
		return exec.Command(name, args...)
	}
	enter := `echo $$ >"$0" && exec "$@"`
	return exec.Command("/bin/sh", append([]string{"-c", enter, filepath.Join(b.folder, "cgroup.procs"), name}, args...)...)
}

// watch kills a started process that exceeds the limit, where the kernel does not; it returns when the process has ended.
func (b *box) watch(process *os.Process, ended <-chan struct{}) {
	if b.folder != "" {
		return
	}
	for {
		select {
		case <-ended:
			return
		case <-time.After(10 * time.Millisecond):
		}
		if ownMemory(process.Pid) > b.limit {
			_ = process.Signal(syscall.SIGKILL) // it may have ended by itself
		}
	}
}

// killed is how many processes the kernel has killed in it.
func (b *box) killed() (int, error) {
	if b.folder == "" {
		return 0, nil
	}
	text, err := os.ReadFile(filepath.Join(b.folder, b.kills))
	if err != nil {
		return 0, err
	}
	_, after, ok := strings.Cut(string(text), "oom_kill ")
	if !ok {
		return 0, fmt.Errorf("no oom_kill in %s", b.kills)
	}
	return strconv.Atoi(strings.Fields(after)[0])
}

// most is the most memory that was used in it, in MiB; 0: unknown.
func (b *box) most() int {
	text, err := os.ReadFile(filepath.Join(b.folder, b.peak))
	if b.folder == "" || err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(text))) // of the kernel
	return n >> 20
}

// ownMemory is the memory of a process without the pages of files, in bytes; 0: it has ended.
func ownMemory(pid int) int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, after, ok := strings.Cut(string(status), "RssAnon:")
	if !ok {
		return 0
	}
	kib, _ := strconv.Atoi(strings.Fields(after)[0]) // of the kernel
	return kib << 10
}

// processorOf is the processor time of a process so far; the kernel counts in hundredths of a second. 0: it has ended.
func processorOf(pid int) time.Duration {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11]) // of the kernel, as the next
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// TestBoxKillsWhatExceedsIt: a process in a box may use memory up to the limit and is killed beyond it.
func TestBoxKillsWhatExceedsIt(t *testing.T) {
	b := newBox(t, 64<<20)
	for _, tt := range []struct {
		mib  string
		dies bool
	}{{"16", false}, {"256", true}} {
		// tail keeps all that it reads until a line ends, which never does.
		cmd := b.command("/bin/sh", "-c", "head -c "+tt.mib+"M /dev/zero | tail -n 1 | wc -c")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var n int
		_, err = fmt.Fscan(out, &n)
		_ = cmd.Wait() // the number shows it
		if b.folder == "" {
			t.Skip("the watch looks at the process alone, and not at those that a shell starts")
		}
		killed, err2 := b.killed()
		if err2 != nil || err != nil || tt.dies != (killed > 0) || tt.dies != (n < 256<<20 && n != 16<<20) {
			t.Errorf("%s MiB: %d were killed, %d bytes came through: %v %v", tt.mib, killed, n, err, err2)
		}
	}
}

// TestMemoryLimitIsThatOfTheControlGroup: the collector of a program in a control group knows its limit; GOMEMLIMIT has precedence.
func TestMemoryLimitIsThatOfTheControlGroup(t *testing.T) {
	b := newBox(t, 300<<20)
	if b.folder == "" {
		t.Skip("this user may not make a control group")
	}
	for _, tt := range []struct{ environ, want string }{{"X=", `memory_limit="210 MiB"`}, {"GOMEMLIMIT=100MiB", `memory_limit="100 MiB"`}} {
		s := serveBy(t, b.command, "store: \"mem:\"\n", tt.environ)
		if !strings.Contains(s.log.String(), tt.want) {
			t.Errorf("with %s it does not log %s:\n%s", tt.environ, tt.want, s.log)
		}
	}
}
