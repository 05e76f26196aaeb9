//go:build !linux && !darwin

package bolt

import (
	"os"
	"syscall"
)

// errQuota has no counterpart here.
const errQuota = syscall.ENOSPC

// noFollow is not known here; the kind of the file is looked at before it is opened.
const noFollow = 0

// beat is not needed where a file that is mapped cannot be cut off.
type beat struct{}

func (*beat) open(*os.File, int) error { return nil }
func (*beat) after(uint64) bool        { return true }
