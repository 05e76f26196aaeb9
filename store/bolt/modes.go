package bolt

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/runplane/runplane/store"
)

// filesHaveModes: the bits of a mode say who may read and write.
const filesHaveModes = runtime.GOOS != "windows"

// Bits of a mode. What others may write to is a condition as long as it is so. A group that may write is one of the operator's choice, as
// with the fsGroup of Kubernetes, and a line of the log.
const (
	groupMayWrite  = 0o020
	othersMayWrite = 0o002
)

// lookAtFolder notes whether others may write to the folder, in which they could replace the store's files.
func (f *file) lookAtFolder(dir string) {
	info, err := os.Stat(dir)
	if err != nil || !filesHaveModes {
		return
	}
	mode := info.Mode().Perm()
	if mode&othersMayWrite == 0 {
		f.folder.Store(nil)
		if mode&groupMayWrite != 0 && f.path == "" { // at the start
			f.say(fmt.Sprintf("the group of the store folder %s may write to it (mode %04o), and so replace the store", dir, mode))
		}
		return
	}
	c := store.Condition{
		Message: fmt.Sprintf("other users may write to the store folder %s (mode %04o), and so replace the store", dir, mode),
		Cure:    "run chmod o-rwx " + dir,
	}
	if f.folder.Swap(&c) == nil {
		f.say(c.Message + ": " + c.Cure)
	}
}

// protect closes the file to other users. A file that is another user's stays as it is.
func (f *file) protect() error {
	if !filesHaveModes {
		return nil
	}
	info, err := f.os.Stat()
	if err != nil {
		return err
	}
	mode := info.Mode().Perm()
	if mode == 0o600 {
		return nil
	}
	err = f.os.Chmod(0o600)
	switch {
	case err == nil && mode&othersMayWrite != 0:
		f.warning(store.Condition{
			Message: fmt.Sprintf("other users could write to the store file %s (mode %04o) until now", f.path, mode),
			Cure:    "it is closed to them; see whether `runplane store check` finds what it should",
		})
	case err == nil && mode&groupMayWrite != 0:
		f.say(fmt.Sprintf("the group of the store file %s could write to it (mode %04o); it is closed to the group now", f.path, mode))
	case err != nil && mode&othersMayWrite != 0:
		f.warning(store.Condition{
			Message: fmt.Sprintf("other users may write to the store file %s (mode %04o)", f.path, mode),
			Cure:    fmt.Sprintf("have its owner run chmod 600 %s", f.path),
		})
	case err != nil:
		f.say(fmt.Sprintf("the store file %s keeps its mode %04o, since its owner is another user: %v", filepath.Base(f.path), mode, err))
	}
	return nil
}
