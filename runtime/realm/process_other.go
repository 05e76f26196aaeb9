//go:build !unix

package realm

import (
	"os"
	"strings"
	"syscall"
	"time"
)

// Without process groups only the child itself is ended.

var executableSuffixes = []string{".exe", ".cmd", ".bat", ".com", ""}

func executable(file string) bool {
	info, err := os.Stat(file)
	if err != nil || info.IsDir() {
		return false
	}
	for _, suffix := range executableSuffixes[:4] {
		if strings.HasSuffix(strings.ToLower(file), suffix) {
			return true
		}
	}
	return false
}

func childAttributes() *syscall.SysProcAttr { return nil }

func terminateGroup(leader int) { killGroup(leader) }

func killGroup(leader int) {
	if p, err := os.FindProcess(leader); err == nil {
		_ = p.Kill() // it may have ended already
	}
}

func endGroup(int, time.Duration) {}
