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

// holderName is the file beside the store that says who holds it. The lock on the store alone decides; the file only
// lets the error name the holder.
const holderName = "runplane.pid"

func writeHolder(dir string) error {
	return os.WriteFile(filepath.Join(dir, holderName), fmt.Appendf(nil, "%d\n", os.Getpid()), 0o600)
}

func forgetHolder(dir string) error {
	if err := os.Remove(filepath.Join(dir, holderName)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// inUse is the error for a locked file.
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

// syncDir makes a new file's name durable. Where folders cannot be synced there is nothing to do.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	_ = d.Sync()
	return nil
}
