package bolt

import (
	"encoding/binary"

	"github.com/runplane/runplane/store"
)

// The buckets; doc.go describes the layout.
var (
	recordsBucket  = newBucket("records", recordHead, plainRecord)
	termsBucket    = newBucket("terms", allHead, isEmpty)
	logsBucket     = newBucket("logs", noHead, plainChunk)
	wakesBucket    = newBucket("wakes", allHead, plainWake)
	dueBucket      = newBucket("due", allHead, plainDue)
	expiriesBucket = newBucket("expiries", allHead, isEmpty)

	// buckets are those above, of which every store has all.
	buckets = []*bucket{recordsBucket, termsBucket, logsBucket, wakesBucket, dueBucket, expiriesBucket}

	aboutBucket = []byte("about")
)

// appendKind appends the part with which every key of a kind begins.
func appendKind(b []byte, kind string) []byte {
	return append(append(b, kind...), 0)
}

// appendSized appends the length of s and s.
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

// appendTermPrefix appends the prefix of a term's index keys; the ID follows it.
func appendTermPrefix(b []byte, kind, term string) []byte {
	return appendSized(appendKind(b, kind), term)
}

// appendLogPrefix appends the prefix of a log's keys; the sequence number follows it.
func appendLogPrefix(b []byte, k store.Key) []byte {
	return appendSized(appendKind(b, k.Kind), k.ID)
}

func appendSeq(b []byte, seq int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(seq))
}

// appendDueKey appends a key of the due bucket, which orders a kind's wakes by time.
func appendDueKey(b []byte, k store.Key, at int64) []byte {
	return append(appendInstant(appendKind(b, k.Kind), at), k.ID...)
}

// appendExpiryKey appends a key of the expiries bucket, which orders records by when they expire.
func appendExpiryKey(b []byte, at int64, recordKey []byte) []byte {
	return append(appendInstant(b, at), recordKey...)
}

// appendInstant appends nanoseconds since 1970 so that the bytes sort by time.
func appendInstant(b []byte, at int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(at)^1<<63)
}

func parseInstant(b []byte) int64 {
	return int64(binary.BigEndian.Uint64(b) ^ 1<<63)
}
