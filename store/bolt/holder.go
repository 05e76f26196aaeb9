package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/runplane/runplane/store"
)

// holderName is the pid file beside the store. Only the lock on the store's file excludes other processes; the pid file
// lets the error name the process that holds it.
const holderName = "runplane.pid"

// writeHolder writes the pid file. A link of that name is replaced, never followed.
func writeHolder(dir string) error {
	f, err := os.CreateTemp(dir, holderName+"-") // with mode 0600
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, os.Getpid())
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, holderName))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func removeHolder(dir string) error {
	if err := os.Remove(filepath.Join(dir, holderName)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// inUse is the error for a file that another process has locked.
func inUse(dir, path string) error {
	holder := "another process"
	pidFile := filepath.Join(dir, holderName)
	if b, err := readPlain(pidFile); err == nil {
		if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && pid > 0 {
			holder = fmt.Sprintf("process %d", pid)
			if pid == os.Getpid() {
				holder = fmt.Sprintf("this process (%d)", pid)
			}
		}
	}
	return fmt.Errorf("%w: %s holds %s; stop it, or use another --store", store.ErrInUse, holder, path)
}

// readPlain reads a regular file; another one might never end, or is not ours.
func readPlain(path string) ([]byte, error) {
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return nil, fs.ErrInvalid
	}
	return os.ReadFile(path)
}

// syncDir makes the name of a new file durable, on systems where folders can be synced.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	_ = d.Sync()
	return nil
}
