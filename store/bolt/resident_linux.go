package bolt

import (
	"os"
	"syscall"

	"go.etcd.io/bbolt"
)

// trim takes the file's pages out of this process's memory: bbolt reads through a map, so that whatever was ever read counts as
// resident, and opening reads everything. The kernel keeps the pages in its cache as it sees fit; who reads one again
// finds it there.
func trim(db *bbolt.DB) error {
	return view(db, func(tx *bbolt.Tx) error { // as long as it lasts the map stays where it is
		page := int64(os.Getpagesize())
		size := (tx.Size() + page - 1) / page * page
		_, _, errno := syscall.Syscall(syscall.SYS_MADVISE, tx.DB().Info().Data, uintptr(size), syscall.MADV_DONTNEED)
		if errno != 0 {
			return errno
		}
		return nil
	})
}
