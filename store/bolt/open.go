package bolt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bberrors "go.etcd.io/bbolt/errors"

	"github.com/runplane/runplane/store"
)

// Options is where the store is kept. Exactly one of Dir and Mem must be set.
type Options struct {
	Dir   string        // the folder of runplane.db; created if missing, accessible only to its owner
	Mem   bool          // a temporary file instead, never synced, removed by Close or when the process ends
	Sweep time.Duration // how often expired records are removed from the file; 0: 30 s
}

// fileName is the name of the file in Options.Dir.
const fileName = "runplane.db"

// lockWait is how long Open waits for another process to unlock the file: long enough for one that is ending.
const lockWait = 200 * time.Millisecond

// format is the version of the layout in doc.go.
const format = "1"

// Store is a store.Store in one file. Create it with Open.
type Store struct {
	db       *bbolt.DB
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

// Open opens the store, creating it if missing, and starts its goroutines, which Close ends. When another process has the
// file open the error wraps store.ErrInUse and names that process.
func Open(o Options) (*Store, error) {
	if (o.Dir == "") != o.Mem {
		return nil, fmt.Errorf("%w: bolt needs either a folder or Mem", store.ErrInvalid)
	}
	if o.Sweep <= 0 {
		o.Sweep = 30 * time.Second
	}
	s := &Store{stop: make(chan struct{})}
	var err error
	if o.Mem {
		err = s.openMem()
	} else {
		err = s.openDir(o.Dir)
	}
	if err != nil {
		return nil, err
	}
	if err := s.db.Update(makeBuckets); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", s.db.Path(), err), s.db.Close(), s.remove())
	}
	if err := releasePages(s.db); err != nil { // finding the free pages has read the whole file
		return nil, errors.Join(fmt.Errorf("open %s: %w", s.db.Path(), err), s.db.Close(), s.remove())
	}
	s.commits.notEmpty.L = &s.commits.mu
	s.commits.tails = map[string]int64{}
	s.queues.init(s.db)
	s.limits.init()
	s.close = sync.OnceValue(s.shutdown)

	s.running.Go(s.commitGroups)
	s.running.Go(func() { s.queues.runClock(s.stop) })
	s.running.Go(func() { s.runSweeper(o.Sweep, s.stop) })
	return s, nil
}

func (s *Store) openDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	path := filepath.Join(dir, fileName)
	db, err := openFile(path, false)
	if errors.Is(err, bberrors.ErrTimeout) {
		return inUse(dir, path)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	s.db = db
	s.remove = func() error { return removeHolder(dir) }
	err = errors.Join(os.Chmod(path, 0o600), syncDir(dir), writeHolder(dir))
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
	db, err := openFile(filepath.Join(dir, fileName), true)
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
// opening instead of being written with each commit, and the map is large from the start, since growing it waits for readers.
func openFile(path string, mem bool) (*bbolt.DB, error) {
	return bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:         lockWait,
		NoFreelistSync:  true,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: initialMmap(),
		NoSync:          mem,
		NoGrowSync:      mem,
		NoStatistics:    true,
	})
}

// makeBuckets creates missing buckets and returns an error for an unknown layout.
func makeBuckets(tx *bbolt.Tx) error {
	about, err := tx.CreateBucketIfNotExists(aboutBucket)
	if err != nil {
		return err
	}
	switch have := about.Get([]byte("format")); {
	case have == nil:
		if err := about.Put([]byte("format"), []byte(format)); err != nil {
			return err
		}
	case string(have) != format:
		return fmt.Errorf("the store has format %q, this version of runplane reads %q", have, format)
	}
	for _, name := range [][]byte{recordsBucket, termsBucket, logsBucket, wakesBucket, dueBucket, expiriesBucket} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return nil
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
	return errors.Join(removed, s.db.Close())
}

// initialMmap is the initial size of the map. It takes address space, not memory; but on Windows the file becomes as large
// as the map.
func initialMmap() int {
	if runtime.GOOS == "windows" || strconv.IntSize < 64 {
		return 0
	}
	return 1 << 30
}
