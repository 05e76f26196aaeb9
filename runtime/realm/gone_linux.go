package realm

import (
	"os"
	"strconv"
	"syscall"
)

// groupLeft reports whether a process is in the group.
func groupLeft(leader int) bool { return syscall.Kill(-leader, 0) == nil }

// markLeft reports whether a process has the mark in its environment, or that cannot be determined. Processes of other users, which do
// not show theirs, do not count.
func markLeft(mark string) bool {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return true
	}
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil && isMarked(pid, mark) {
			return true
		}
	}
	return false
}
