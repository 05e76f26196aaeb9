//go:build unix

package realm

import "syscall"

// guardianAttributes takes the guardian out of our terminal and group, so that what ends us does not end it.
func guardianAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
