package bolt

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/runplane/runplane/store"
)

// What entries of format 1 look like, which had no seals: see bucket.plain.

// isEmpty: the keys of an index say all.
func isEmpty(value []byte) bool { return len(value) == 0 }

func plainRecord(value []byte) bool {
	r, err := parseRecord(value)
	for err == nil && len(r.terms) > 0 {
		_, r.terms, err = cutSized(r.terms)
	}
	return err == nil
}

// plainChunk: no entry is empty.
func plainChunk(value []byte) bool {
	for rest := value; len(rest) > 0; {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size == 0 || size > uint64(len(rest)-n) {
			return false
		}
		rest = rest[n+int(size):]
	}
	return len(value) > 0
}

// plainWake takes the time of a wake that begins as a seal does, one of the years 2095 to 2097, for damage.
func plainWake(value []byte) bool {
	return len(value) > 8 && value[0] != sealMark && plainDue(value[8:])
}

// plainDue: fairness keys are text.
func plainDue(value []byte) bool {
	priority, fairness, err := parseWake(value)
	return err == nil && priority >= 1 && priority <= store.Priorities && utf8.Valid(fairness)
}
