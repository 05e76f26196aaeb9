package pages

import (
	"bytes"
	"errors"
	"fmt"
)

// wholePages is how many pages are read at once; of a longer page only the elements and the keys are.
const wholePages = 4

// page is a branch or leaf page, or one inside the value of a bucket.
type page struct {
	f        *File
	at       int64 // in the file
	number   uint64
	branch   bool
	count    int
	capacity int    // bytes of the page with its overflow
	head     []byte // the first bytes: header and elements at least
}

// element is one element of a page: offsets are from the start of the page.
type element struct {
	flags  uint32
	child  uint64 // of a branch
	key    []byte
	value  int // offset
	length int // of the value
}

// open reads the head of a page. inline is the page in the value of a bucket; nil: it is read from the file at a page number.
func (f *File) open(number uint64, at int64, inline []byte) (*page, error) {
	p := &page{f: f, number: number, at: at}
	if inline != nil {
		if len(inline) < headerSize {
			return nil, errors.New("it is shorter than a header")
		}
		p.head, p.capacity = inline, len(inline)
		return p, p.parse(inline)
	}
	head, err := f.read(at, f.Meta.Page)
	if err != nil {
		return nil, err
	}
	p.head = head
	overflow := int(order.Uint32(head[12:]))
	if uint64(overflow) >= f.Meta.Pages {
		return p, fmt.Errorf("it claims %d more pages of %d", overflow, f.Meta.Pages)
	}
	p.capacity = (overflow + 1) * f.Meta.Page
	if err := p.parse(head); err != nil {
		return p, err
	}
	need := headerSize + p.count*elementSize
	if overflow < wholePages {
		need = p.capacity
	}
	if need > len(head) {
		longer, err := f.read(at, min(need, p.capacity))
		if err != nil {
			return p, err
		}
		p.head = longer
	}
	return p, nil
}

// parse reads the kind of the page and the number of elements.
func (p *page) parse(head []byte) error {
	switch flags := order.Uint16(head[8:]); flags {
	case flagBranch:
		p.branch = true
	case flagLeaf:
	default:
		return fmt.Errorf("its kind is %#x, neither a branch nor a leaf", flags)
	}
	p.count = int(order.Uint16(head[10:]))
	if headerSize+p.count*elementSize > p.capacity {
		return fmt.Errorf("it claims %d elements, and has no room for them", p.count)
	}
	return nil
}

// overflow is how many pages the page has after its first.
func (p *page) overflow() uint64 { return uint64(p.capacity/p.f.Meta.Page) - 1 }

// self is the number in the header.
func (p *page) self() uint64 { return order.Uint64(p.head) }

// bytes returns a part of the page.
func (p *page) bytes(from, n int) ([]byte, error) {
	if from < 0 || n < 0 || from > p.capacity || n > p.capacity-from {
		return nil, errors.New("it lies outside of the page")
	}
	if from+n <= len(p.head) {
		return p.head[from : from+n : from+n], nil
	}
	return p.f.read(p.at+int64(from), n)
}

// element reads an element and its key; end is where its data ends.
func (p *page) element(i int) (e element, end int, err error) {
	at := headerSize + i*elementSize
	b, err := p.bytes(at, elementSize)
	if err != nil {
		return e, 0, err
	}
	var pos, keySize int
	if p.branch {
		pos, keySize, e.child = int(order.Uint32(b)), int(order.Uint32(b[4:])), order.Uint64(b[8:])
	} else {
		e.flags, pos, keySize, e.length = order.Uint32(b), int(order.Uint32(b[4:])), int(order.Uint32(b[8:])), int(order.Uint32(b[12:]))
	}
	if keySize == 0 {
		return e, 0, errors.New("it has no key")
	}
	e.value = at + pos + keySize
	if e.value > p.capacity || e.length > p.capacity-e.value {
		return e, 0, errors.New("it lies outside of the page")
	}
	e.key, err = p.bytes(at+pos, keySize)
	return e, e.value + e.length, err
}

// elements calls each for those elements that can be read, in order, and problem for each that cannot and for all that shows that the
// page is not as it was written. Keys below low or not below high are problems and left out; a nil one does not bound.
func (p *page) elements(low, high []byte, each func(element), problem func(string)) {
	next := headerSize + p.count*elementSize
	var last []byte
	for i := range p.count {
		e, end, err := p.element(i)
		switch {
		case err != nil:
			problem(fmt.Sprintf("element %d: %v", i, err))
			continue
		case e.value-len(e.key) != next:
			problem(fmt.Sprintf("element %d does not follow the one before", i))
		case last != nil && bytes.Compare(e.key, last) <= 0:
			problem(fmt.Sprintf("the key of element %d is not greater than the one before", i))
			next = end
			continue
		case low != nil && bytes.Compare(e.key, low) < 0, high != nil && bytes.Compare(e.key, high) >= 0:
			problem(fmt.Sprintf("the key of element %d is outside of what the page above says", i))
			next = end
			continue
		}
		next, last = end, e.key
		each(e)
	}
	p.checkEnd(next, problem)
}

// checkEnd checks that a page has no more room than its elements need, and nothing after them.
func (p *page) checkEnd(end int, problem func(string)) {
	if p.number == 0 { // inside of a value
		if end != p.capacity {
			problem("its elements do not fill it")
		}
		return
	}
	size := p.f.Meta.Page
	if want := (end + size - 1) / size; p.capacity/size != want && p.capacity/size != end/size+1 {
		problem(fmt.Sprintf("it has %d pages, and its elements need %d", p.capacity/size, want))
	}
	if p.count > 0 {
		return
	}
	if rest, err := p.bytes(headerSize, size-headerSize); err != nil || len(bytes.Trim(rest, "\x00")) > 0 {
		problem("it claims to be empty, and is not")
	}
}
