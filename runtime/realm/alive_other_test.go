//go:build !unix

package realm

import "os"

// running reports whether the process exists: FindProcess opens a handle to it.
func running(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	return p.Release() == nil
}
