package realm

import "syscall"

// childAttributes puts the child into a group of its own and has the kernel kill it when the thread that started it ends, as
// after a SIGKILL of this process; spawner keeps that thread.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
