//go:build amd64 || arm64

package pages

import (
	"os"
	"syscall"
)

// readAhead has the kernel read a part of the file meanwhile. It is a hint: an error changes nothing.
func readAhead(f *os.File, at int64, n int) {
	const willNeed = 3
	_, _, _ = syscall.Syscall6(syscall.SYS_FADVISE64, f.Fd(), uintptr(at), uintptr(n), willNeed, 0, 0)
}
