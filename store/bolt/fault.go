package bolt

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	bberrors "go.etcd.io/bbolt/errors"

	"github.com/runplane/runplane/store"
)

// Kind is what is wrong with the store's file.
type Kind string

// Kinds.
const (
	Damaged Kind = "damaged" // it contains what this package never writes
	Gone    Kind = "gone"    // it was removed, replaced or cut off while it was in use
	Full    Kind = "full"    // there is no space left for it
	Refused Kind = "refused" // the disk refuses to read or write it
	Unsafe  Kind = "unsafe"  // it is no file that a store may be kept in: a link, a folder, an empty file
)

// errDamaged: the file contains what this package never writes.
var errDamaged = errors.New("damaged")

// Fault is an error of the store's file or of the disk. Nothing was written by a commit that ends with one, unless its kind is Gone.
type Fault struct {
	Kind   Kind
	Path   string // of the file; empty: a store in memory
	Detail string // what was found
	Cure   string // replaces the hint of the kind
	Err    error
}

// Message says what was found and where.
func (f *Fault) Message() string {
	where := "the store file " + f.Path
	if f.Path == "" {
		where = "the store's temporary file"
	}
	switch f.Kind {
	case Damaged:
		return where + " is damaged: " + f.Detail
	case Full:
		return "no space left on the disk of " + where
	default:
		return where + " " + f.Detail
	}
}

// Error is the message with Err.
func (f *Fault) Error() string {
	if f.Err == nil {
		return f.Message()
	}
	return f.Message() + ": " + f.Err.Error()
}

// Unwrap returns Err.
func (f *Fault) Unwrap() error { return f.Err }

// Hint is what to do about it.
func (f *Fault) Hint() string {
	if f.Cure != "" {
		return f.Cure
	}
	switch f.Kind {
	case Damaged:
		return Salvaging(f.dir())
	case Gone:
		return "stop this process and put the file back from a copy; without one, a start makes a new, empty store"
	case Full:
		return "make space on the disk; nothing that was acknowledged is lost, and work continues by itself"
	case Refused:
		return "see whether the disk is mounted and healthy, and may be written to"
	}
	return "name a folder of its own with --store file:DIR"
}

// Lasting reports whether the store does not work again by itself.
func (f *Fault) Lasting() bool { return f.Kind == Damaged || f.Kind == Gone }

// Salvaging is the cure of a damaged store in a folder.
func Salvaging(dir string) string {
	return fmt.Sprintf("stop what uses it; `runplane store check --store file:%s` shows all that is damaged, "+
		"`runplane store salvage --store file:%s --out DIR` copies what is whole into a new store and lists what is lost; "+
		"or put back a copy of the file", dir, dir)
}

func (f *Fault) dir() string {
	if f.Path == "" {
		return "DIR"
	}
	return strings.TrimSuffix(strings.TrimSuffix(f.Path, fileName), string(filepathSeparator))
}

// classify adds context to an error: a fault of the file or the disk becomes a *Fault, the end of the store store.ErrClosed.
func (s *Store) classify(doing string, err error) error {
	switch {
	case err == nil, errors.Is(err, store.ErrNotFound), errors.As(err, new(*Fault)):
		return err
	case errors.Is(err, bberrors.ErrDatabaseNotOpen):
		return store.ErrClosed
	case errors.Is(err, errDamaged):
		f := &Fault{Kind: Damaged, Path: s.file.path, Detail: "an entry is not what was written", Err: err}
		s.file.noteDamage(f)
		return f
	case isFull(err):
		return &Fault{Kind: Full, Path: s.file.path, Err: err}
	case errors.Is(err, syscall.EIO), errors.Is(err, syscall.EROFS):
		return &Fault{Kind: Refused, Path: s.file.path, Detail: "cannot be read or written", Err: err}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// isFull reports whether there was no space. bbolt gives some errors of the system as text.
func isFull(err error) bool {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, errQuota) {
		return true
	}
	text := err.Error()
	return strings.Contains(text, "no space left") || strings.Contains(text, "not enough space")
}
