package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"go.etcd.io/bbolt"
	bberrors "go.etcd.io/bbolt/errors"

	"github.com/runplane/runplane/store/bolt/pages"
)

// Formats of the file, in the bucket about. A store of format 1, whose entries have no seals, becomes one of format 2 that says so.
const (
	format         = "2"
	formatUnsealed = "1"
)

var (
	formatKey   = []byte("format")
	unsealedKey = []byte("unsealed")
)

// prepare makes the folder and, if there is none, the file, and looks at all of an existing one before bbolt does: bbolt panics where
// it meets a damaged page, in part on goroutines of its own.
func (s *Store) prepare(dir, path string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	s.file.lookAtFolder(dir)
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(dir, path); err != nil {
			return err
		}
		info, err = os.Lstat(path)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	return s.file.inspect(dir, path, info, slowStart)
}

// slowStart is from when on the log says what a start does.
const slowStart = time.Second

// inspect returns an error unless the file is a sound store, as far as pages and keys go.
// It says what it does when it takes longer than slow.
func (f *file) inspect(dir, path string, info os.FileInfo, slow time.Duration) error {
	if err := checkKind(path, info); err != nil {
		return err
	}
	locked, err := openReadOnly(path)
	if errors.Is(err, bberrors.ErrTimeout) {
		return inUse(dir, path)
	}
	if err == nil { // else the survey says what is wrong
		defer locked.Close()
	}
	opened, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer opened.Close()
	in, err := pages.Open(opened, info.Size())
	if err != nil {
		return &Fault{Kind: Damaged, Path: path, Detail: err.Error()}
	}
	began, said := time.Now(), false
	v := survey{in: in, progress: func(entries int) {
		if !said && time.Since(began) >= slow {
			said = true
			f.say(fmt.Sprintf("reading the keys of the store file %s (%d MiB) before it is opened: %d so far", path, info.Size()>>20, entries))
		}
	}}
	err = v.run()
	if said {
		f.say(fmt.Sprintf("read the %d keys of the store file %s in %v", v.entries, path, time.Since(began).Round(100*time.Millisecond)))
	}
	if errors.Is(err, errDamaged) {
		return &Fault{Kind: Damaged, Path: path, Detail: err.Error(), Err: err}
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	if len(v.findings) > 0 {
		detail := v.findings[0].String()
		if n := len(v.findings) - 1; n > 0 {
			detail += fmt.Sprintf(" (and %d more findings)", n)
		}
		return &Fault{Kind: Damaged, Path: path, Detail: detail}
	}
	return nil
}

// checkKind returns an error for what is no file that a store may be kept in.
func checkKind(path string, info os.FileInfo) error {
	unsafe := func(detail, cure string) error { return &Fault{Kind: Unsafe, Path: path, Detail: detail, Cure: cure} }
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return unsafe("is a symbolic link, which is not followed", "move the file that it leads to into the folder, or name that folder with "+
			"--store file:DIR; the folder itself may be a link")
	case !info.Mode().IsRegular():
		return unsafe("is no regular file", "")
	case info.Size() == 0:
		return unsafe("is empty: what was in it is gone", "put back a copy of the file; or remove it, and the next start makes a new store")
	}
	return nil
}

// openReadOnly opens the file as a reader, which no process may write at the same time. A panic becomes an error.
func openReadOnly(path string) (db *bbolt.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("open: panic: %v", p)
		}
	}()
	return bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: lockWait, ReadOnly: true, NoStatistics: true,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			return os.OpenFile(name, flag|noFollow, mode)
		},
	})
}

// create makes a new store beside its path and gives it its name when it is whole, so that a file at the path is never half of one. If
// another process has made one meanwhile, that stays.
func create(dir, path string) error {
	f, err := os.CreateTemp(dir, fileName+".new-")
	if err != nil {
		if p, ok := errors.AsType[*fs.PathError](err); ok {
			p.Path = path // what the caller knows
		}
		return fmt.Errorf("open %s: %w", path, err)
	}
	name := f.Name()
	defer os.Remove(name)
	if err := f.Close(); err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	db, err := openFile(name, false, &f)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { _, err := makeBuckets(tx); return err })
	if err := errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	if err := os.Link(name, path); err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	return os.Rename(name, path) // a file system without links
}

// makeBuckets creates missing buckets and returns an error for an unknown layout. unsealed reports whether entries have no seals.
func makeBuckets(tx *bbolt.Tx) (unsealed bool, err error) {
	about, err := tx.CreateBucketIfNotExists(aboutBucket)
	if err != nil {
		return false, err
	}
	switch have := string(about.Get(formatKey)); have {
	case "", format:
	case formatUnsealed:
		if err := about.Put(unsealedKey, []byte("1")); err != nil {
			return false, err
		}
	default:
		return false, unknownFormat(have)
	}
	if string(about.Get(formatKey)) != format {
		if err := about.Put(formatKey, []byte(format)); err != nil {
			return false, err
		}
	}
	for _, b := range buckets {
		if _, err := tx.CreateBucketIfNotExists(b.name); err != nil {
			return false, err
		}
	}
	return about.Get(unsealedKey) != nil, nil
}

func unknownFormat(have string) error {
	return fmt.Errorf("the store has format %q, this version of runplane reads %q", have, format)
}
