//go:build unix

package realm

import "syscall"

// guardianAttributes separates the guardian from the terminal and process group, so that signals to them do not end it.
func guardianAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
