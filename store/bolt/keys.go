package bolt

import (
	"encoding/binary"

	"github.com/runplane/runplane/store"
)

// The names of the buckets; doc.go has their layout.
var (
	recordsBucket  = []byte("records")
	termsBucket    = []byte("terms")
	logsBucket     = []byte("logs")
	wakesBucket    = []byte("wakes")
	dueBucket      = []byte("due")
	expiriesBucket = []byte("expiries")
	aboutBucket    = []byte("about")
)

// appendKind begins every key that belongs to a kind.
func appendKind(b []byte, kind string) []byte {
	return append(append(b, kind...), 0)
}

// appendSized appends s behind its length.
func appendSized(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func appendRecordKey(b []byte, k store.Key) []byte {
	return append(appendKind(b, k.Kind), k.ID...)
}

// parseRecordKey is the inverse of appendRecordKey.
func parseRecordKey(b []byte) (k store.Key, ok bool) {
	for i, c := range b {
		if c == 0 {
			return store.Key{Kind: string(b[:i]), ID: string(b[i+1:])}, true
		}
	}
	return k, false
}

// appendTermPrefix begins the index keys of a term; the ID follows.
func appendTermPrefix(b []byte, kind, term string) []byte {
	return appendSized(appendKind(b, kind), term)
}

// appendLogPrefix begins the keys of a log; the sequence number follows.
func appendLogPrefix(b []byte, k store.Key) []byte {
	return appendSized(appendKind(b, k.Kind), k.ID)
}

func appendSeq(b []byte, seq int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(seq))
}

// appendDueKey orders a kind's wakes by time.
func appendDueKey(b []byte, k store.Key, at int64) []byte {
	return append(appendInstant(appendKind(b, k.Kind), at), k.ID...)
}

// appendExpiryKey orders records by the time of their expiry.
func appendExpiryKey(b []byte, at int64, recordKey []byte) []byte {
	return append(appendInstant(b, at), recordKey...)
}

// appendInstant keeps the order of instants in the order of bytes.
func appendInstant(b []byte, at int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(at)^1<<63)
}

func parseInstant(b []byte) int64 {
	return int64(binary.BigEndian.Uint64(b) ^ 1<<63)
}
