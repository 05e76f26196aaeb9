//go:build unix

package server

import (
	"math"
	"syscall"
)

// maxFiles returns how many files this process may have open; 0: any number.
func maxFiles() int {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil || uint64(l.Cur) > math.MaxInt32 { //nolint:unconvert // signed on some systems
		return 0
	}
	return int(l.Cur) //nolint:gosec // checked
}
