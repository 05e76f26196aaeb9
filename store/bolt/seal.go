package bolt

import (
	"encoding/binary"
	"hash/crc32"
)

// Everything that is stored under a key is sealed, so that a changed byte of a key or a value is noticed when it is read:
//
//	mark (1 byte) · sum of the bucket, the key and the head (4 bytes) · head · body · sum of the body (4 bytes; absent if the body is empty)
//
// The head is short and checked with the key; the body may be large and is checked when it is read. Stores of format 1 had no seals.
// What was written then stays as it is until it is written again, and is read unsealed where the store says that it has such entries.

const (
	sealMark = 0xB7
	sumSize  = 4
	sealSize = 1 + sumSize // what precedes the head
)

// castagnoli is the polynomial that processors compute.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// bucket is one bucket of the file; doc.go describes the layout.
type bucket struct {
	name []byte
	seed uint32 // of the sums, so that an entry of another bucket is not valid in this one
	// head returns the length of the head of an entry that begins with b; false: b is none.
	head func(b []byte) (int, bool)
	// plain reports whether a value may be one of format 1. No value that begins with sealMark is, so damage of a sealed one is not read
	// as an unsealed one.
	plain func(value []byte) bool
}

func newBucket(name string, head func([]byte) (int, bool), plain func([]byte) bool) *bucket {
	return &bucket{name: []byte(name), seed: crc32.Checksum([]byte(name), castagnoli), head: head, plain: plain}
}

// allHead is the head of entries that have no body.
func allHead(b []byte) (int, bool) { return len(b), true }

// noHead is the head of entries that have only a body.
func noHead([]byte) (int, bool) { return 0, true }

func (b *bucket) headSum(key, head []byte) uint32 {
	return crc32.Update(crc32.Update(b.seed, castagnoli, key), castagnoli, head)
}

func (b *bucket) bodySum(body []byte) uint32 { return crc32.Update(^b.seed, castagnoli, body) }

// appendSealed appends a sealed entry without a body.
func (b *bucket) appendSealed(to, key, head []byte) []byte {
	to = append(to, sealMark)
	to = binary.BigEndian.AppendUint32(to, b.headSum(key, head))
	return append(to, head...)
}

// beginSeal appends the room for what precedes the head; setSeal fills it when the key and the head are known.
func beginSeal(to []byte) []byte { return append(to, sealMark, 0, 0, 0, 0) }

// setSeal sets the sum of the key and the head, which are headSize bytes.
func (b *bucket) setSeal(sealed, key []byte, headSize int) {
	binary.BigEndian.PutUint32(sealed[1:], b.headSum(key, sealed[sealSize:sealSize+headSize]))
}

// endSeal appends the sum of the body, which is what was appended after from.
func (b *bucket) endSeal(to []byte, from int) []byte {
	if len(to) == from {
		return to
	}
	return binary.BigEndian.AppendUint32(to, b.bodySum(to[from:]))
}

// entry is what is stored under a key, without its seal.
type entry struct {
	head, body []byte
	sum        []byte // of the body; nil: there is none
	sealed     bool
}

// bytes returns head and body, which follow each other.
func (e entry) bytes() []byte { return e.head[:len(e.head)+len(e.body)] }

// open returns an entry whose key and head are as they were written; the body is checked by checkBody. unsealed: the store
// has entries without a seal, and a value with no part of a seal is one.
func (b *bucket) open(key, value []byte, unsealed bool) (entry, error) {
	e, headOK := b.parse(key, value)
	if headOK && value[0] == sealMark {
		return e, nil
	}
	if !unsealed || headOK {
		return entry{}, errDamaged
	}
	if e.sum != nil && b.checkBody(e) == nil || !b.plain(value) { // the other parts of the seal are damaged
		return entry{}, errDamaged
	}
	size, ok := b.head(value)
	if !ok || size > len(value) {
		return entry{}, errDamaged
	}
	return entry{head: value[:size], body: value[size:]}, nil
}

// parse splits a sealed value, and reports whether the sum of its key and head is right.
func (b *bucket) parse(key, value []byte) (e entry, headOK bool) {
	if len(value) < sealSize {
		return e, false
	}
	rest := value[sealSize:]
	size, ok := b.head(rest)
	if !ok || size > len(rest) {
		return e, false
	}
	e = entry{head: rest[:size], body: rest[size:], sealed: true}
	if n := len(e.body); n > sumSize {
		e.body, e.sum = e.body[:n-sumSize], e.body[n-sumSize:]
	} else if n > 0 {
		return e, false
	}
	return e, binary.BigEndian.Uint32(value[1:]) == b.headSum(key, e.head)
}

// checkBody returns errDamaged if the body is not as it was written.
func (b *bucket) checkBody(e entry) error {
	if e.sum != nil && binary.BigEndian.Uint32(e.sum) != b.bodySum(e.body) {
		return errDamaged
	}
	return nil
}
