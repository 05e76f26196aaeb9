package bolt

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/runplane/runplane/store"
)

// ledgerName is the file beside the store that says which keys are leased. It is written with each lease and each release and never
// synced: what a process has written is there after that process was killed. So the next process knows which leases were not released,
// and no lease costs a commit. What the loss of a machine leaves of it may be old, and is only a hint (store.Lease.Died).
const ledgerName = "runplane.leases"

// A digest names a key or an owner in the ledger. The zero digest of a key is a free place, that of an owner is no owner.
type digest [16]byte

func digestOf(text string) (d digest) {
	sum := sha256.Sum256([]byte(text))
	copy(d[:], sum[:])
	return d
}

func keyDigest(k store.Key) digest { return digestOf(k.Kind + "\x00" + k.ID) }

// ownerDigest of no owner is the zero digest.
func ownerDigest(owner string) (d digest) {
	if owner != "" {
		d = digestOf(owner)
	}
	return d
}

// placeSize is the size of a place in the file: the digests of a key and of the owner of its last lease.
const placeSize = 2 * len(digest{})

// ledger is the places of the file. Its zero value writes nothing.
type ledger struct {
	file   *os.File
	places map[digest]int64
	free   []int64
	size   int64 // in places
}

// open opens the file in the folder and returns the owners of the leases that were not released, by key.
func (l *ledger) open(path string) (map[digest]digest, error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|noFollow, 0o600)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxLedger))
	if err := errors.Join(err, f.Chmod(0o600)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	l.file, l.places = f, map[digest]int64{}
	left := map[digest]digest{}
	for ; len(b) >= placeSize; b = b[placeSize:] {
		key, owner := digest(b[:len(digest{})]), digest(b[len(digest{}):placeSize])
		if key == (digest{}) {
			l.free = append(l.free, l.size)
		} else {
			l.places[key], left[key] = l.size, owner
		}
		l.size++
	}
	return left, nil
}

// maxLedger is how many bytes of the file are read: places for two million leases.
const maxLedger = 64 << 20

// write notes that the owner has the last lease of a key. A place that cannot be written costs a hint.
func (l *ledger) write(key, owner digest) {
	if l.file == nil {
		return
	}
	at, ok := l.places[key]
	if !ok {
		if n := len(l.free); n > 0 {
			at, l.free = l.free[n-1], l.free[:n-1]
		} else {
			at = l.size
			l.size++
		}
		l.places[key] = at
	}
	_, _ = l.file.WriteAt(append(key[:], owner[:]...), at*int64(placeSize))
}

// clear notes that the last lease of a key was released.
func (l *ledger) clear(key digest) {
	if at, ok := l.places[key]; ok { // else nothing is written
		delete(l.places, key)
		l.free = append(l.free, at)
		_, _ = l.file.WriteAt(make([]byte, placeSize), at*int64(placeSize))
	}
}

// close closes the file, and removes it if every lease was released. The store is still locked.
func (l *ledger) close() error {
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	if len(l.places) > 0 || err != nil {
		return err
	}
	if err = os.Remove(l.file.Name()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// openLedger opens the ledger of a store in a folder. Without it the store works, and does not know what the last process left.
func (s *Store) openLedger(path string) {
	left, err := s.queues.leases.ledger.open(path)
	if err != nil {
		s.file.warning(store.Condition{
			Message: fmt.Sprintf("%s cannot be used (%v)", path, err),
			Cure: "remove it, or have it writable, and start again; until then what a crash leaves at work is found only where its " +
				"records say so",
		})
		return
	}
	for key, owner := range left {
		s.queues.leases.left[key] = leftLease{owner: owner}
	}
}
