//go:build unix && !linux

package redistest

import "syscall"

const (
	terminate = syscall.SIGTERM
	pause     = syscall.SIGSTOP
	resume    = syscall.SIGCONT
)

func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
