//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package main

import "os"

// windowSize reports no terminal on this platform: progress is printed as plain lines.
func windowSize(*os.File) (rows, columns int, ok bool) { return 0, 0, false }
