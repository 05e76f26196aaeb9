//go:build !unix

package redistest

import "syscall"

// There is no redis-server for these systems; sending the signals that they lack fails.
const (
	terminate = syscall.SIGTERM
	pause     = syscall.Signal(19)
	resume    = syscall.Signal(18)
)

func attributes() *syscall.SysProcAttr { return nil }
