//go:build !unix

package realm

import "syscall"

func guardianAttributes() *syscall.SysProcAttr { return nil }
