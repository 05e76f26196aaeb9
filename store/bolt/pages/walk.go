package pages

import (
	"bytes"
	"fmt"
	"os"
)

// Damage is a part of the file that is not as it was written.
type Damage struct {
	Page   uint64 // its number
	Bucket string // of the tree that the page belongs to; empty: the tree of buckets
	What   string
	// Low and High bound the keys that may be missing because of it; a nil one does not bound. Lost is false where all keys were read.
	Lost      bool
	Low, High []byte
}

// Error describes the damage.
func (d *Damage) Error() string {
	of := "of the list of buckets"
	if d.Bucket != "" {
		of = fmt.Sprintf("of bucket %q", d.Bucket)
	}
	return fmt.Sprintf("page %d %s: %s", d.Page, of, d.What)
}

// Value is the value of a key. It is read when it is asked for.
type Value struct {
	p    *page
	from int
	Size int
}

// Head returns the first n bytes, or all if there are fewer.
func (v Value) Head(n int) ([]byte, error) { return v.p.bytes(v.from, min(n, v.Size)) }

// Bytes returns all.
func (v Value) Bytes() ([]byte, error) { return v.p.bytes(v.from, v.Size) }

// Visit is what a walk calls. Fields may be nil; an error ends the walk.
type Visit struct {
	Bucket func(name string) error // before its entries
	Entry  func(bucket string, key []byte, v Value) error
	Damage func(Damage) error
}

// maxDepth is more than the depth of any tree: a branch page has at least two children.
const maxDepth = 64

// walk is one walk.
type walk struct {
	f    *File
	v    Visit
	used []uint64 // a bit for each page of the file: it was visited
	err  error
}

// inFile returns how many whole pages the file has.
func (w *walk) inFile() uint64 { return uint64(w.f.size) / uint64(w.f.Meta.Page) }

// use notes that a page of the file was visited, and reports whether it was before.
func (w *walk) use(n uint64) bool {
	before := w.isUsed(n)
	if n < w.inFile() {
		w.used[n/64] |= 1 << (n % 64)
	}
	return before
}

func (w *walk) isUsed(n uint64) bool { return n < w.inFile() && w.used[n/64]&(1<<(n%64)) != 0 }

// Walk visits every entry of every bucket in order of their keys. What it cannot read it reports as damage and leaves out.
func (f *File) Walk(v Visit) error {
	w := &walk{f: f, v: v}
	w.used = make([]uint64, w.inFile()/64+1)
	w.use(0)
	w.use(1)
	if f.Stale {
		w.damage(Damage{What: f.Problem + "; the state before the last commit is read", Lost: true})
	}
	if n := f.Short(); n > 0 {
		w.damage(Damage{Page: uint64(f.size / int64(f.Meta.Page)), What: fmt.Sprintf("the file is %d bytes shorter than its pages", n)})
	}
	w.tree("", f.Meta.Root, nil, nil, 0)
	return w.err
}

func (w *walk) damage(d Damage) {
	if w.err == nil && w.v.Damage != nil {
		w.err = w.v.Damage(d)
	}
}

// tree visits the page and all below it. The keys are at least low and less than high.
func (w *walk) tree(bucket string, number uint64, low, high []byte, depth int) {
	if w.err != nil {
		return
	}
	d := Damage{Page: number, Bucket: bucket, Lost: true, Low: low, High: high}
	switch {
	case number < 2 || number >= w.f.Meta.Pages:
		d.What = fmt.Sprintf("there are %d pages", w.f.Meta.Pages)
	case number >= w.inFile():
		d.What = "the file ends before it"
	case w.isUsed(number):
		d.What = "it is used twice"
	case depth > maxDepth:
		d.What = "the tree is too deep"
	}
	if d.What != "" {
		w.damage(d)
		return
	}
	p, err := w.page(&d)
	if err != nil {
		d.What = err.Error()
		w.damage(d)
		return
	}
	for i := range p.overflow() + 1 {
		if w.use(number + i) {
			w.damage(Damage{Page: number + i, Bucket: bucket, What: "it is used twice"})
		}
	}
	if depth > 0 && p.count == 0 {
		d.What = "it is empty"
		w.damage(d)
	}
	w.elements(p, bucket, low, high, depth)
}

// page reads a page that a branch or bucket names. Two pages that were swapped are read where they are.
func (w *walk) page(d *Damage) (*page, error) {
	at := func(n uint64) int64 { return int64(n) * int64(w.f.Meta.Page) }
	p, err := w.f.open(d.Page, at(d.Page), nil)
	if p == nil || p.self() == d.Page {
		return p, err
	}
	other := p.self()
	if other >= 2 && other < w.f.Meta.Pages {
		if q, err := w.f.open(d.Page, at(other), nil); err == nil && q.self() == d.Page {
			w.damage(Damage{Page: d.Page, Bucket: d.Bucket, What: fmt.Sprintf("it is in the place of page %d", other)})
			return q, nil
		}
	}
	if err == nil {
		w.damage(Damage{Page: d.Page, Bucket: d.Bucket, What: fmt.Sprintf("its header says that it is page %d", other)})
	}
	return p, err
}

// elements visits what a page names or holds.
func (w *walk) elements(p *page, bucket string, low, high []byte, depth int) {
	var all []element
	sound := true
	p.elements(low, high, func(e element) { all = append(all, e) }, func(what string) {
		if sound { // one line for a page
			w.damage(Damage{Page: p.number, Bucket: bucket, What: what, Lost: true, Low: low, High: high})
		}
		sound = false
	})
	if p.branch {
		w.ahead(all)
	}
	for i := range all {
		if w.err != nil {
			return
		}
		e := &all[i]
		switch {
		case p.branch:
			end := high
			if i+1 < len(all) {
				end = all[i+1].key
			}
			w.tree(bucket, e.child, e.key, end, depth+1)
		case bucket == "" && e.flags == flagBucket:
			w.bucket(p, e)
		case bucket == "" || e.flags != 0:
			what := fmt.Sprintf("the flags %#x of key %q are wrong", e.flags, e.key)
			w.damage(Damage{Page: p.number, Bucket: bucket, What: what, Lost: true, Low: e.key, High: append(bytes.Clone(e.key), 0)})
		case w.v.Entry != nil:
			w.err = w.v.Entry(bucket, e.key, Value{p: p, from: e.value, Size: e.length})
		}
	}
}

// ahead has the pages below a page read together: one after the other would wait for the disk each time.
func (w *walk) ahead(below []element) {
	f, ok := w.f.in.(*os.File)
	if !ok {
		return
	}
	for i := range below {
		if n := below[i].child; n < w.inFile() {
			readAhead(f, int64(n)*int64(w.f.Meta.Page), w.f.Meta.Page)
		}
	}
}

// bucket visits the bucket of an element of the root.
func (w *walk) bucket(p *page, e *element) {
	name := string(e.key)
	if w.v.Bucket != nil {
		if w.err = w.v.Bucket(name); w.err != nil {
			return
		}
	}
	v, err := p.bytes(e.value, e.length)
	switch {
	case err != nil || len(v) < bucketSize:
		w.damage(Damage{Page: p.number, Bucket: name, What: "its entry in the list of buckets is damaged", Lost: true})
		return
	case order.Uint64(v[8:]) != 0: // sequences of buckets are not used
		w.damage(Damage{Page: p.number, Bucket: name, What: "it has a sequence"})
	}
	if root := order.Uint64(v); root != 0 {
		w.tree(name, root, nil, nil, 0)
		return
	}
	q, err := w.f.open(0, 0, v[bucketSize:])
	if err != nil || q.branch {
		w.damage(Damage{Page: p.number, Bucket: name, What: "the page in its entry in the list of buckets is damaged", Lost: true})
		return
	}
	w.elements(q, name, nil, nil, 0)
}
