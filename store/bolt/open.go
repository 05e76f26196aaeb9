package bolt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bberrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sync/semaphore"

	"github.com/runplane/runplane/store"
)

// Options is where the store is kept. Exactly one of Dir and Mem must be set.
type Options struct {
	Dir   string        // the folder of runplane.db; created if missing, accessible only to its owner
	Mem   bool          // a temporary file instead, never synced, removed by Close or when the process ends
	Sweep time.Duration // how often expired records are removed from the file; 0: 30 s
	Read  store.Reading // the clocks of the machine
	Warn  func(string)  // is passed what an operator should see, also later; nil: it is not passed on
}

// fileName is the name of the file in Options.Dir.
const fileName = "runplane.db"

// lockWait is how long Open waits for another process to unlock the file: long enough for one that is ending.
const lockWait = 200 * time.Millisecond

// Store is a store.Store in one file. Create it with Open.
type Store struct {
	db       *bbolt.DB
	file     file
	clock    *store.Clock
	doubt    doubt
	noted    time.Time    // when the time was written down last; owned by the committer
	unsealed bool         // the file has entries without a seal, from a store of format 1
	size     atomic.Int64 // of the pages in use after the last commit
	requests requestPool
	commits  committer
	queues   queues
	limits   limits
	watchers store.Watchers

	stop    chan struct{} // closed by Close
	running sync.WaitGroup
	close   func() error
	remove  func() error // removes what Open created beside the file
}

var _ store.Store = (*Store)(nil)

// Open opens the store, creating it if missing, and starts its goroutines, which Close ends. It reads the pages and keys of an
// existing file first; the error of one that is damaged, or that no store may be kept in, is a *Fault. When another process has the file
// open the error wraps store.ErrInUse and names that process.
func Open(o Options) (*Store, error) {
	if (o.Dir == "") != o.Mem {
		return nil, fmt.Errorf("%w: bolt needs either a folder or Mem", store.ErrInvalid)
	}
	if o.Sweep <= 0 {
		o.Sweep = 30 * time.Second
	}
	s := &Store{stop: make(chan struct{})}
	s.file.warn, s.file.beat = o.Warn, new(beat)
	var err error
	if o.Mem {
		err = s.openMem()
	} else {
		err = s.openDir(o.Dir)
	}
	if err != nil {
		return nil, err
	}
	if err := s.begin(o.Read); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", s.db.Path(), err), s.closeFile(), s.remove())
	}
	s.commits.notEmpty.L = &s.commits.mu
	s.commits.tails = map[string]int64{}
	s.commits.room = semaphore.NewWeighted(maxWaiting)
	s.queues.init(s)
	if o.Dir != "" {
		s.openLedger(filepath.Join(o.Dir, ledgerName))
	}
	s.limits.init()
	s.close = sync.OnceValue(s.shutdown)

	s.running.Go(s.commitGroups)
	s.running.Go(func() { s.queues.runClock(s.stop) })
	s.running.Go(func() { s.runSweeper(o.Sweep, s.stop) })
	s.running.Go(func() { s.file.watch(s.size.Load, s.stop) })
	if o.Dir != "" {
		s.running.Go(func() { s.answerBackups(o.Dir, s.stop) })
	}
	return s, nil
}

func (s *Store) openDir(dir string) error {
	path := filepath.Join(dir, fileName)
	if err := s.prepare(dir, path); err != nil {
		return err
	}
	db, err := openFile(path, false, &s.file.os)
	if errors.Is(err, bberrors.ErrTimeout) {
		return inUse(dir, path)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	s.db, s.file.path = db, path
	s.file.place.note(s.file.os)
	s.remove = func() error { return removeHolder(dir) }
	err = errors.Join(s.file.protect(), syncDir(dir), writeHolder(dir))
	if err != nil {
		return errors.Join(fmt.Errorf("open %s: %w", path, err), db.Close())
	}
	return nil
}

func (s *Store) openMem() error {
	dir, err := os.MkdirTemp("", "runplane-mem-")
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	db, err := openFile(filepath.Join(dir, fileName), true, &s.file.os)
	if err != nil {
		return errors.Join(fmt.Errorf("open store: %w", err), os.RemoveAll(dir))
	}
	s.db = db
	s.remove = func() error { return os.RemoveAll(dir) }
	if os.RemoveAll(dir) == nil { // where an open file can be removed, nothing is left even after a crash
		s.remove = func() error { return nil }
	}
	return nil
}

// openFile opens the file with the options that were measured to be best for many small commits: free pages are found when
// opening instead of being written with each commit, and the map is large from the start, since growing it waits for readers. The
// name must not be a link. A panic becomes an error.
func openFile(path string, mem bool, opened **os.File) (db *bbolt.DB, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = &Fault{Kind: Damaged, Path: path, Detail: fmt.Sprintf("it cannot be opened (%v)", p)}
		}
	}()
	return bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:         lockWait,
		NoFreelistSync:  true,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: initialMmap(),
		NoSync:          mem,
		NoGrowSync:      mem,
		NoStatistics:    true,
		OpenFile: func(name string, flag int, mode os.FileMode) (f *os.File, err error) {
			f, err = os.OpenFile(name, flag|noFollow, mode)
			*opened = f
			return f, err
		},
	})
}

// begin reads and writes what every store has, and releases the pages that opening has read.
func (s *Store) begin(read store.Reading) error {
	var number int
	err := s.db.Update(func(tx *bbolt.Tx) (err error) {
		number = tx.ID()
		if s.unsealed, err = makeBuckets(tx); err != nil {
			return err
		}
		return s.startClock(tx, read)
	})
	if err != nil {
		return s.classify("make buckets", err)
	}
	s.file.last.Store(int64(number))
	if err := s.db.View(func(tx *bbolt.Tx) error { s.size.Store(tx.Size()); return nil }); err != nil {
		return err
	}
	if err := s.file.beat.open(s.file.os, s.db.Info().PageSize); err != nil {
		return err
	}
	return s.releasePages() // finding the free pages has read the whole file
}

// Close ends every waiting call with ErrClosed, waits for the store's goroutines and closes the file. The group that is
// being written is finished and answered. A second Close returns what the first did.
func (s *Store) Close() error { return s.close() }

func (s *Store) shutdown() error {
	close(s.stop)
	s.commits.close()
	s.queues.close()
	s.limits.close()
	s.running.Wait()
	s.watchers.Close()
	// Remove the pid file first: once the file is unlocked, the pid file belongs to the next process.
	removed := s.remove()
	return errors.Join(removed, s.queues.leases.ledger.close(), s.closeFile())
}

// closeFile closes the file. Where bbolt kept its locks after a fault only the file is closed, which unlocks it, and the map stays until
// the process ends.
func (s *Store) closeFile() error {
	if s.file.stuck.Load() {
		return s.file.os.Close()
	}
	return s.db.Close()
}

// initialMmap is the initial size of the map. It takes address space, not memory; but on Windows the file becomes as large
// as the map.
func initialMmap() int {
	if runtime.GOOS == "windows" || strconv.IntSize < 64 {
		return 0
	}
	return 1 << 30
}
