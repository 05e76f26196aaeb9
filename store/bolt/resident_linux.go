package bolt

import (
	"os"
	"syscall"

	"go.etcd.io/bbolt"
)

// releasePages removes the file's pages from this process's resident memory: bbolt maps the file, so every page that was
// ever read counts as resident, and opening reads the whole file. The kernel keeps the pages in its page cache as it sees
// fit, from where the next read maps them again.
func (s *Store) releasePages() error {
	return s.read(func(tx *bbolt.Tx) error { // the transaction keeps the map in place
		page := int64(os.Getpagesize())
		size := (tx.Size() + page - 1) / page * page
		_, _, errno := syscall.Syscall(syscall.SYS_MADVISE, tx.DB().Info().Data, uintptr(size), syscall.MADV_DONTNEED)
		if errno != 0 {
			return errno
		}
		return nil
	})
}
