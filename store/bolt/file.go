package bolt

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runplane/runplane/store"
)

const filepathSeparator = filepath.Separator

// file is the store's file while it is in use, and what was found to be wrong with it. Once it is broken the store answers every call
// with the fault: it was cut off, removed or replaced, or bbolt met a page that it cannot read, so what is written might not be kept.
type file struct {
	path  string   // empty: a temporary file, which has no name any more
	os    *os.File // as bbolt has it open
	place place
	beat  *beat // shows whether the file is still the one that was opened
	last  atomic.Int64
	warn  func(string)

	broken  atomic.Pointer[Fault]
	stuck   atomic.Bool // bbolt was left with its lock of the writer held: it cannot be closed
	damaged atomic.Pointer[Fault]
	damages atomic.Int64
	folder  atomic.Pointer[store.Condition] // others may write to it

	mu       sync.Mutex
	warnings []store.Condition
}

// watchEvery is how often the file is looked at while nothing is written.
const watchEvery = 5 * time.Second

// warning notes what an operator should see, and passes it on.
func (f *file) warning(c store.Condition) {
	f.mu.Lock()
	f.warnings = append(f.warnings, c)
	f.mu.Unlock()
	f.say(c.Message + ": " + c.Cure)
}

func (f *file) say(text string) {
	if f.warn != nil {
		f.warn(text)
	}
}

// breakWith ends the use of the file, and returns the fault that did.
func (f *file) breakWith(b *Fault) *Fault {
	if f.broken.CompareAndSwap(nil, b) {
		f.say(b.Error() + "; the store answers no more. " + b.Hint())
	}
	return f.broken.Load()
}

// noteDamage remembers that something that is stored is damaged. The rest of the store works.
func (f *file) noteDamage(d *Fault) {
	f.damages.Add(1)
	if f.damaged.CompareAndSwap(nil, d) {
		f.say(d.Error() + ". " + d.Hint())
	}
}

// Conditions returns what was found that an operator should see, though the store works; see store.Conditioned.
func (s *Store) Conditions() (out []store.Condition) {
	if d := s.file.damaged.Load(); d != nil {
		message := fmt.Sprintf("%s (met %d times since the start)", d.Message(), s.file.damages.Load())
		out = append(out, store.Condition{Message: message, Cure: d.Hint()})
	}
	if c := s.file.folder.Load(); c != nil {
		out = append(out, *c)
	}
	out = append(out, s.clockCondition()...)
	s.file.mu.Lock()
	defer s.file.mu.Unlock()
	return append(out, s.file.warnings...)
}

// usable returns an error if the file is broken.
func (f *file) usable() error {
	if b := f.broken.Load(); b != nil {
		return b
	}
	return nil
}

// alive is usable, and breaks a file whose first pages are not those that this process wrote last. It costs two reads of memory.
func (f *file) alive() error {
	if err := f.usable(); err != nil {
		return err
	}
	for try := 0; ; try++ {
		switch ok, err := f.beatNow(); {
		case err != nil:
			return f.breakWith(&Fault{Kind: Gone, Path: f.path, Detail: "was cut off while it was in use", Err: err})
		case ok:
			return nil
		case try > 0: // not a commit at this moment
			return f.breakWith(&Fault{Kind: Gone, Path: f.path, Detail: "was overwritten by another program while it was in use"})
		}
	}
}

// beatNow reads the number of the last transaction from the file; an error: the page is not there.
func (f *file) beatNow() (ok bool, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return f.beat.after(uint64(f.last.Load())), nil
}

// inPlace returns an error, and breaks the file, unless the file is still at its path with at least size bytes.
func (f *file) inPlace(size int64) error {
	if f.path == "" {
		return f.usable()
	}
	same, has, err := f.place.look(f.path, f.os)
	detail, cure := "", ""
	switch {
	case os.IsNotExist(err):
		detail = "was removed while it was in use"
	case err != nil:
		return f.usable() // the folder cannot be read at the moment, or the file is being closed
	case !same:
		detail = "was replaced by another file while it was in use"
	case has < size:
		short := fmt.Sprintf("was cut off while it was in use: it has %d bytes of %d", has, size)
		return f.breakWith(&Fault{Kind: Gone, Path: f.path, Detail: short})
	}
	if detail == "" {
		return f.usable()
	}
	if proc := fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.os.Fd()); isFile(proc) {
		cure = fmt.Sprintf("its content is still there until this process ends: copy %s to a safe place first (`cp %s runplane.db`), "+
			"then stop the process and put the copy at %s", proc, proc, f.path)
	}
	return f.breakWith(&Fault{Kind: Gone, Path: f.path, Detail: detail, Cure: cure})
}

// lookByStat is [place.look] where nothing cheaper is known.
func lookByStat(path string, open *os.File) (same bool, size int64, err error) {
	was, err := open.Stat()
	if err != nil {
		return false, 0, err
	}
	at, err := os.Lstat(path)
	if err != nil {
		return false, 0, err
	}
	return os.SameFile(was, at), at.Size(), nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// watch looks at the file until stop closes.
func (f *file) watch(size func() int64, stop <-chan struct{}) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		if f.alive() == nil && f.inPlace(size()) == nil && f.path != "" { // what is wrong was noted
			f.lookAtFolder(filepath.Dir(f.path))
		}
	}
}
