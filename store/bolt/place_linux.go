package bolt

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// place is which file was opened.
type place struct {
	major, minor uint32
	inode        uint64
	known        bool
}

// note notes which file was opened.
func (p *place) note(f *os.File) {
	var at unix.Statx_t
	if unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_INO, &at) == nil {
		*p = place{at.Dev_major, at.Dev_minor, at.Ino, true}
	}
}

// look reports whether a path leads to the file, and the size of what is there. It asks for no times: a file whose times were asked for gets a
// new one with its next write, however soon that is, and syncs take longer.
func (p *place) look(path string, open *os.File) (same bool, size int64, err error) {
	var at unix.Statx_t
	err = unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_INO|unix.STATX_SIZE, &at)
	switch {
	case !p.known || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM): // kernels before 4.11, and sandboxes that do not know the call
		return lookByStat(path, open)
	case err != nil:
		return false, 0, &fs.PathError{Op: "statx", Path: path, Err: err}
	}
	return p.inode == at.Ino && p.major == at.Dev_major && p.minor == at.Dev_minor, int64(at.Size), nil //nolint:gosec // a size
}
