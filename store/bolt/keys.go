package bolt

import (
	"encoding/binary"
	"math"
	"time"

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

// instant is t in nanoseconds since 1970, clamped to what fits.
func instant(t time.Time) int64 {
	const most = math.MaxInt64 / int64(time.Second)
	switch s := t.Unix(); {
	case s >= most:
		return math.MaxInt64
	case s <= -most:
		return math.MinInt64
	}
	return t.UnixNano()
}

// appendInstant keeps the order of instants in the order of bytes.
func appendInstant(b []byte, at int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(at)^1<<63)
}

func parseInstant(b []byte) int64 {
	return int64(binary.BigEndian.Uint64(b) ^ 1<<63)
}

// successor is the first key behind all those that begin with prefix; nil when there is none.
func successor(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			next := append([]byte(nil), prefix[:i+1]...)
			next[i]++
			return next
		}
	}
	return nil
}
