package realm

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// A helper that made a session of its own is in no group that is known here. It still has the mark in its environment, which all
// descendants of a child inherit, unless they were started with another one.

// maxSweeps is how often processes with a mark are looked for: one that is ended may start another.
const maxSweeps = 3

// endMarked ends the processes with the mark, or with one that begins with it and a dot: first with TERM, after the grace period with
// KILL. It returns how many there were.
func endMarked(mark string, grace time.Duration) (ended int) {
	if mark == "" {
		return 0
	}
	for range maxSweeps {
		found := marked(mark)
		if len(found) == 0 {
			break
		}
		ended += len(found)
		for _, p := range found {
			_ = p.Signal(syscall.SIGTERM) // the only error to expect is that it has ended
		}
		for deadline := time.Now().Add(grace); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			if !slices.ContainsFunc(found, func(p *os.Process) bool { return isMarked(p.Pid, mark) }) {
				break
			}
		}
		for _, p := range found {
			_ = p.Signal(syscall.SIGKILL)
			_ = p.Release()
		}
	}
	return ended
}

// marked finds the processes of this user that have the mark. Each is opened before it is looked at, so that a signal to it
// cannot reach another process that got its id later.
func marked(mark string) (found []*os.Process) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			continue // it has ended
		}
		if of, ok := info.Sys().(*syscall.Stat_t); !ok || int(of.Uid) != os.Geteuid() {
			continue
		}
		p, err := os.FindProcess(pid)
		if err != nil {
			continue
		}
		if !isMarked(pid, mark) {
			_ = p.Release()
			continue
		}
		found = append(found, p)
	}
	return found
}

// isMarked reports whether the environment of a process has the mark, or one that begins with it and a dot.
func isMarked(pid int, mark string) bool {
	environ, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ")) // fails for processes of other users
	if err != nil {
		return false
	}
	want := []byte(markVariable + "=" + mark)
	return slices.ContainsFunc(bytes.Split(environ, []byte{0}), func(v []byte) bool {
		rest, ok := bytes.CutPrefix(v, want)
		return ok && (len(rest) == 0 || rest[0] == '.')
	})
}
