package bolt

import (
	"encoding/binary"
	"time"

	"github.com/runplane/runplane/store"
)

// An encoded record: version (8 bytes), expiry (8 bytes; 0: never), length of the terms (varint), terms; then the value. All before the
// value is the head of its seal, so that the value need not be read to know the rest.
const recordHeader = 16

// recordHead returns the length of what precedes the value.
func recordHead(b []byte) (int, bool) {
	if len(b) < recordHeader+1 {
		return 0, false
	}
	size, n := binary.Uvarint(b[recordHeader:])
	if n <= 0 || size > 1<<31 {
		return 0, false
	}
	return recordHeader + n + int(size), true
}

// noVersion is more than any version: the first byte of a record of format 1 is zero.
const noVersion = 1 << 56

// stored is a record as it is on disk; its slices are valid until the transaction ends.
type stored struct {
	version int64
	expires int64
	terms   []byte // each preceded by its length
	value   []byte
	entry   entry
}

// appendRecord encodes a record with version 0; the committer calls setVersion.
func appendRecord(b []byte, p *store.Put, expires int64) []byte {
	b = append(b, make([]byte, 8)...)
	b = binary.BigEndian.AppendUint64(b, uint64(expires))
	size := 0
	for _, t := range p.Terms {
		size += 2 + len(t)
	}
	b = binary.AppendUvarint(b, uint64(size))
	for _, t := range p.Terms {
		b = appendSized(b, t)
	}
	return append(b, p.Value...)
}

func setVersion(record []byte, version int64) {
	binary.BigEndian.PutUint64(record, uint64(version))
}

// openRecord decodes what is stored at a key of the records; the value is not checked yet.
func openRecord(key, raw []byte, unsealed bool) (stored, error) {
	e, err := recordsBucket.open(key, raw, unsealed)
	if err != nil {
		return stored{}, err
	}
	r, err := parseRecord(e.bytes())
	r.entry = e
	return r, err
}

func parseRecord(b []byte) (stored, error) {
	if len(b) < recordHeader+1 {
		return stored{}, errDamaged
	}
	r := stored{version: int64(binary.BigEndian.Uint64(b)), expires: int64(binary.BigEndian.Uint64(b[8:]))}
	if r.version < 1 || r.version >= noVersion {
		return stored{}, errDamaged
	}
	b = b[recordHeader:]
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return stored{}, errDamaged
	}
	r.terms, r.value = b[n:n+int(size)], b[n+int(size):]
	return r, nil
}

// liveAt reports whether the record exists and has not expired at now.
func (r *stored) liveAt(now int64) bool {
	return r.version > 0 && (r.expires == 0 || r.expires > now)
}

// record decodes a copy; a bare one has no value.
func (r *stored) record(key store.Key, bare bool) (store.Record, error) {
	out := store.Record{Key: key, Version: r.version}
	if !bare {
		if err := recordsBucket.checkBody(r.entry); err != nil {
			return out, err
		}
		out.Value = append([]byte(nil), r.value...)
	}
	if r.expires != 0 {
		out.Expires = time.Unix(0, r.expires)
	}
	for rest := r.terms; len(rest) > 0; {
		term, tail, err := cutSized(rest)
		if err != nil {
			return out, err
		}
		out.Terms = append(out.Terms, string(term))
		rest = tail
	}
	return out, nil
}

// cutSized is the inverse of appendSized: it returns the first string and what follows it.
func cutSized(b []byte) (s, rest []byte, err error) {
	if len(b) < 2 {
		return nil, nil, errDamaged
	}
	n := 2 + int(binary.BigEndian.Uint16(b))
	if n > len(b) {
		return nil, nil, errDamaged
	}
	return b[2:n], b[n:], nil
}

// hasTerm reports whether term is in a block of terms.
func hasTerm(block, term []byte) bool {
	for len(block) > 0 {
		t, rest, err := cutSized(block)
		if err != nil {
			return false
		}
		if string(t) == string(term) {
			return true
		}
		block = rest
	}
	return false
}
