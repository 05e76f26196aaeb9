//go:build unix

package realm

import (
	"os"
	"syscall"
	"time"
)

var executableSuffixes = []string{""}

func executable(file string) bool {
	info, err := os.Stat(file)
	return err == nil && !info.IsDir() && info.Mode()&0o111 != 0
}

// A group has the id of its leader. The only error to expect is ESRCH, when no process is left.

func terminateGroup(leader int) { _ = syscall.Kill(-leader, syscall.SIGTERM) }

func killGroup(leader int) { _ = syscall.Kill(-leader, syscall.SIGKILL) }

// endGroup ends what is left of a group whose leader has ended.
func endGroup(leader int, grace time.Duration) {
	if syscall.Kill(-leader, syscall.SIGTERM) != nil {
		return
	}
	for deadline := time.Now().Add(min(grace, leftoverGrace)); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if syscall.Kill(-leader, 0) != nil {
			return
		}
	}
	killGroup(leader)
}
