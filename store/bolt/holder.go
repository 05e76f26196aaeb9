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

func writeHolder(dir string) error {
	return os.WriteFile(filepath.Join(dir, holderName), fmt.Appendf(nil, "%d\n", os.Getpid()), 0o600)
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
	if b, err := os.ReadFile(filepath.Join(dir, holderName)); err == nil {
		if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && pid > 0 {
			holder = fmt.Sprintf("process %d", pid)
			if pid == os.Getpid() {
				holder = fmt.Sprintf("this process (%d)", pid)
			}
		}
	}
	return fmt.Errorf("%w: %s holds %s; stop it, or use another --store", store.ErrInUse, holder, path)
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
