package bolt

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	bberrors "go.etcd.io/bbolt/errors"

	"github.com/runplane/runplane/store"
)

// A backup is the file of a store as one commit left it. While a process serves the store only that process can make one: pages that are
// freed are written again by the next commits, however short a copy takes. A file in the store's folder, whose access is that of the store,
// asks for it, and another one is the answer. If no process serves the store, its file is copied under the lock.
const (
	askName = "runplane.backup" // the request; its content names the answer: runplane.backup-NAME.db, or .error with what went wrong
	askMode = 0o644             // the process may be another user's
	looksAt = time.Second       // how often the process looks for a request
	taken   = 20 * time.Second  // in which it takes one
	staleAt = time.Hour         // from when on what is left of a request is removed
)

var answerName = regexp.MustCompile(`^[A-Z2-7]{26}$`)

func answerFile(dir, name, form string) string { return filepath.Join(dir, askName+"-"+name+form) }

// Backup copies the store in a folder to a new file, also while a process serves it, and reads all of the copy. The report is of the copy. A
// damaged copy is not kept, and its error is a *Fault.
func Backup(ctx context.Context, dir, to string) (Report, error) {
	path := filepath.Join(dir, fileName)
	info, err := os.Lstat(path)
	if err != nil {
		return Report{}, fmt.Errorf("open %s: %w", path, err)
	}
	if err := checkKind(path, info); err != nil {
		return Report{}, err
	}
	return copyWhole(to, path, func(part *os.File) error {
		locked, err := openReadOnly(path)
		if err == nil {
			defer locked.Close()
			return copyFile(part, path)
		}
		if !errors.Is(err, bberrors.ErrTimeout) {
			return fmt.Errorf("open %s: %w", path, err)
		}
		made, err := askForBackup(ctx, dir, path)
		if err != nil {
			return err
		}
		defer os.Remove(made)
		return copyFile(part, made)
	})
}

// Restore makes the store of a folder, which must have none, from a backup, and reads all of it. It refuses what is damaged or of a format
// that this version does not know.
func Restore(from, dir string) (Report, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Report{}, fmt.Errorf("make the store: %w", err)
	}
	info, err := os.Lstat(from)
	if err != nil {
		return Report{}, fmt.Errorf("open %s: %w", from, err)
	}
	if err := checkKind(from, info); err != nil {
		return Report{}, err
	}
	return copyWhole(filepath.Join(dir, fileName), from, func(part *os.File) error { return copyFile(part, from) })
}

// copyWhole makes a new file by fill, and gives it its name if it is a sound store. from is what the error of one that is damaged names.
func copyWhole(to, from string, fill func(part *os.File) error) (Report, error) {
	if _, err := os.Lstat(to); err == nil {
		return Report{}, fmt.Errorf("%w: %s exists, and is not overwritten", store.ErrInvalid, to)
	}
	part, err := os.CreateTemp(filepath.Dir(to), filepath.Base(to)+".part-") // with mode 0600
	if err != nil {
		return Report{}, err
	}
	defer os.Remove(part.Name())
	if err := errors.Join(fill(part), part.Sync(), part.Close()); err != nil {
		return Report{}, err
	}
	report, err := checkFile(part.Name())
	report.Path = to
	if f, ok := errors.AsType[*Fault](err); ok {
		f.Path = from
	}
	if err != nil {
		return report, err
	}
	if n := len(report.Findings); n > 0 || report.Stale {
		what := fmt.Sprintf("%d findings", n)
		if n == 0 {
			what = "one of its two meta pages"
		}
		return report, &Fault{Kind: Damaged, Path: from, Detail: what + ", so no copy was kept",
			Cure: "`runplane store check` lists what is damaged, and `runplane store salvage` copies what is whole; a backup is one when it lies in a " +
				"folder of its own as " + fileName}
	}
	if err := os.Link(part.Name(), to); errors.Is(err, fs.ErrExist) {
		return report, fmt.Errorf("%w: %s exists, and is not overwritten", store.ErrInvalid, to)
	} else if err != nil { // a file system without links
		if err := os.Rename(part.Name(), to); err != nil {
			return report, err
		}
	}
	return report, syncDir(filepath.Dir(to))
}

func copyFile(to *os.File, path string) error {
	in, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = io.Copy(to, in)
	return err
}

// askForBackup asks the process that serves a store for a copy of it, and returns the path of that.
func askForBackup(ctx context.Context, dir, path string) (string, error) {
	ask, name := filepath.Join(dir, askName), rand.Text()
	if info, err := os.Lstat(ask); err == nil && time.Since(info.ModTime()) > taken {
		_ = os.Remove(ask) // its caller has given up
	}
	f, err := os.OpenFile(ask, os.O_WRONLY|os.O_CREATE|os.O_EXCL, askMode)
	if errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("%w: another backup of %s is being made", store.ErrInUse, path)
	}
	if err != nil {
		return "", err
	}
	defer os.Remove(answerFile(dir, name, ".error"))
	if _, err := f.WriteString(name); err != nil {
		return "", errors.Join(err, f.Close(), os.Remove(ask))
	}
	if err := f.Close(); err != nil {
		return "", errors.Join(err, os.Remove(ask))
	}
	tick := time.NewTicker(looksAt / 10)
	defer tick.Stop()
	for began := time.Now(); ; {
		select {
		case <-ctx.Done():
			_ = os.Remove(ask)
			return "", context.Cause(ctx)
		case <-tick.C:
		}
		made := answerFile(dir, name, ".db")
		if _, err := os.Lstat(made); err == nil {
			return made, nil
		}
		if text, err := readPlain(answerFile(dir, name, ".error")); err == nil {
			return "", fmt.Errorf("the process that serves %s could not copy it: %s", path, text)
		}
		_, err := os.Lstat(ask)
		if err == nil && time.Since(began) > taken {
			_ = os.Remove(ask)
			return "", fmt.Errorf("%w, and it does not make a backup: it may be older than this program, or stuck", inUse(dir, path))
		}
		if db, err := openReadOnly(path); err == nil {
			db.Close()
			_ = os.Remove(ask)
			return "", fmt.Errorf("the process that served %s has ended meanwhile; try again", path)
		}
	}
}

// answerBackups makes the backups that are asked for, until stop closes.
func (s *Store) answerBackups(dir string, stop <-chan struct{}) {
	removeLeft(dir)
	tick := time.NewTicker(looksAt)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		ask := filepath.Join(dir, askName)
		info, err := os.Lstat(ask)
		if err != nil {
			continue
		}
		text, err := readPlain(ask)
		name := strings.TrimSpace(string(text))
		if err == nil && name == "" && time.Since(info.ModTime()) < taken {
			continue // it is being written
		}
		_ = os.Remove(ask)
		if err != nil || !answerName.MatchString(name) || time.Since(info.ModTime()) > taken {
			continue
		}
		removeLeft(dir)
		part := answerFile(dir, name, ".part")
		if err = s.copyTo(part); err == nil {
			err = os.Rename(part, answerFile(dir, name, ".db"))
		}
		if err != nil {
			s.file.say(fmt.Sprintf("a backup that was asked for could not be made: %v", err))
			_ = os.Remove(part)
			_ = os.WriteFile(answerFile(dir, name, ".error"), []byte(err.Error()), askMode) //nolint:gosec // it is no secret
		}
	}
}

// removeLeft removes what is left of backups whose callers have gone.
func removeLeft(dir string) {
	left, _ := filepath.Glob(filepath.Join(dir, askName+"-*"))
	for _, path := range left {
		if info, err := os.Lstat(path); err == nil && time.Since(info.ModTime()) > staleAt {
			_ = os.Remove(path)
		}
	}
}

// copyTo writes the store as the last commit left it to a new file.
func (s *Store) copyTo(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	var failed error // of the copy; the store is as well as before
	err = s.read(func(tx *bbolt.Tx) error {
		_, failed = tx.WriteTo(f)
		return nil
	})
	return errors.Join(err, failed, f.Sync(), f.Close())
}
