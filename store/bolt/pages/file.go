package pages

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// Sizes and marks of the format.
const (
	headerSize  = 16 // of a page
	elementSize = 16 // of an element of a branch or leaf page
	metaSize    = 64 // with its checksum
	bucketSize  = 16 // of the value of a bucket: its root page and a sequence
	magic       = 0xED0CDAED
	version     = 2
	minPage     = 1 << 10
	maxPage     = 1 << 24

	flagBranch = 0x01
	flagLeaf   = 0x02
	flagBucket = 0x01 // of an element
)

// Both byte orders of our platforms are the machine's own, which bbolt writes.
var order = binary.NativeEndian

// ErrNoMeta is the error of a file of which no meta page is whole: nothing says where the data begins.
var ErrNoMeta = errors.New("neither of the two meta pages is whole")

// Meta is a meta page.
type Meta struct {
	Page        int    // the size of pages
	Root        uint64 // the page of the root bucket
	Pages       uint64 // one more than the last page in use
	Transaction uint64
}

// File is a file that is read. Create it with Open.
type File struct {
	Meta    Meta   // the state that is read
	Stale   bool   // a meta page is damaged: Meta may be the state before the last commit
	Problem string // what is wrong with that page

	in   io.ReaderAt
	size int64
}

// Open reads the meta pages of a file of size bytes. It returns ErrNoMeta if neither is whole.
func Open(in io.ReaderAt, size int64) (*File, error) {
	f := &File{in: in, size: size}
	page := 0
	if m, err := f.readMeta(0); err == nil {
		page = m.Page
	}
	for try := minPage; page == 0 && try <= maxPage; try *= 2 { // the second one says where it is itself
		if m, err := f.readMeta(int64(try)); err == nil && m.Page == try {
			page = try
		}
	}
	if page == 0 {
		return nil, ErrNoMeta
	}
	first, err0 := f.readMeta(0)
	second, err1 := f.readMeta(int64(page))
	switch {
	case err0 != nil && err1 != nil:
		return nil, ErrNoMeta
	case err0 != nil:
		f.Meta, f.Stale, f.Problem = second, true, fmt.Sprintf("meta page 0: %v", err0)
	case err1 != nil:
		f.Meta, f.Stale, f.Problem = first, true, fmt.Sprintf("meta page 1: %v", err1)
	case second.Transaction > first.Transaction:
		f.Meta = second
	default:
		f.Meta = first
	}
	return f, nil
}

func (f *File) readMeta(at int64) (m Meta, err error) {
	var b [headerSize + metaSize]byte
	if _, err := f.in.ReadAt(b[:], at); err != nil {
		return m, errors.New("it cannot be read")
	}
	return parseMeta(b[headerSize:])
}

func parseMeta(b []byte) (m Meta, err error) {
	sum := fnv.New64a()
	sum.Write(b[:metaSize-8])
	switch {
	case order.Uint32(b) != magic:
		return m, errors.New("it does not begin as a meta page")
	case order.Uint32(b[4:]) != version:
		return m, fmt.Errorf("it has version %d, not %d", order.Uint32(b[4:]), version)
	case order.Uint64(b[metaSize-8:]) != sum.Sum64():
		return m, errors.New("its checksum does not match")
	}
	m = Meta{Page: int(order.Uint32(b[8:])), Root: order.Uint64(b[16:]), Pages: order.Uint64(b[40:]), Transaction: order.Uint64(b[48:])}
	if m.Page < minPage || m.Page > maxPage || m.Page&(m.Page-1) != 0 {
		return m, fmt.Errorf("it has pages of %d bytes", m.Page)
	}
	return m, nil
}

// Short returns how many bytes the file lacks of the pages in use.
func (f *File) Short() int64 {
	return max(0, int64(min(f.Meta.Pages, 1<<40))*int64(f.Meta.Page)-f.size)
}

// read reads n bytes; what is not in the file is an error.
func (f *File) read(at int64, n int) ([]byte, error) {
	if at < 0 || n < 0 || at > f.size || int64(n) > f.size-at {
		return nil, errors.New("the file ends before it")
	}
	b := make([]byte, n)
	if _, err := f.in.ReadAt(b, at); err != nil {
		return nil, fmt.Errorf("it cannot be read: %w", err)
	}
	return b, nil
}
