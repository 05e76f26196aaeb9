package store

import (
	"syscall"
	"time"
	"unsafe"
)

// suspended returns how long the machine has been suspended since it was started: one of its clocks counts that, the other does not.
func suspended() (d time.Duration, known bool) {
	const monotonic, boot = 1, 7
	running, ok := clock(monotonic)
	all, ok2 := clock(boot)
	return max(0, all-running), ok && ok2
}

func clock(which uintptr) (time.Duration, bool) {
	var t syscall.Timespec
	_, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, which, uintptr(unsafe.Pointer(&t)), 0)
	return time.Duration(t.Nano()), errno == 0
}
