//go:build linux || darwin

package bolt

import (
	"encoding/binary"
	"os"
	"runtime"
	"syscall"
)

// errQuota: the user may not use more of the disk.
const errQuota = syscall.EDQUOT

// noFollow has an open fail at a symbolic link.
const noFollow = syscall.O_NOFOLLOW

// Where a meta page has the number of its transaction.
const beatOffset = 64

// beat is a map of the two meta pages, which bbolt writes in turn, each with the number of its transaction.
type beat struct {
	data []byte
	page int
}

// open maps the pages until b is garbage: calls that race with Close still read them.
func (b *beat) open(f *os.File, page int) (err error) {
	b.page = page
	if b.data, err = syscall.Mmap(int(f.Fd()), 0, 2*page, syscall.PROT_READ, syscall.MAP_SHARED); err != nil {
		return err
	}
	runtime.AddCleanup(b, func(data []byte) { _ = syscall.Munmap(data) }, b.data)
	return nil
}

// after reports whether the page of a transaction still has it, or a later one. It faults where the page is not there.
func (b *beat) after(transaction uint64) bool {
	if b.data == nil {
		return true
	}
	have := binary.NativeEndian.Uint64(b.data[int(transaction%2)*b.page+beatOffset:])
	return have >= transaction && (have-transaction)%2 == 0
}
