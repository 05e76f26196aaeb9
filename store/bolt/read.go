package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
	bberrors "go.etcd.io/bbolt/errors"

	"github.com/runplane/runplane/store"
)

// checkEvery is after how many entries a scan checks its context.
const checkEvery = 256

// view calls read with a read transaction, one consistent state of the file.
func (s *Store) view(ctx context.Context, read func(*bbolt.Tx) error) error {
	if ctx.Err() != nil {
		return store.Ended(ctx)
	}
	return view(s.db, read)
}

// view is Store.view without a context. It turns a panic into an error: bbolt panics on a damaged page.
func view(db *bbolt.DB, read func(*bbolt.Tx) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("read: %w: %v", errDamaged, p)
		}
	}()
	return classify("read", db.View(read))
}

// classify adds context to an error; of a closed file it makes store.ErrClosed.
func classify(doing string, err error) error {
	switch {
	case err == nil, errors.Is(err, store.ErrNotFound):
		return err
	case errors.Is(err, bberrors.ErrDatabaseNotOpen):
		return store.ErrClosed
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// Get reads one record; see store.Store.
func (s *Store) Get(ctx context.Context, key store.Key) (out store.Record, err error) {
	if err := key.Valid(); err != nil {
		return out, err
	}
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		var found bool
		out, found, err = liveRecord(tx.Bucket(recordsBucket).Get(appendRecordKey(nil, key)), key, time.Now().UnixNano(), false)
		if err == nil && !found {
			return fmt.Errorf("%q: %w", key, store.ErrNotFound)
		}
		return err
	})
	return out, err
}

// liveRecord decodes a copy of the record; not found: no bytes, or an expired record.
func liveRecord(raw []byte, key store.Key, now int64, bare bool) (out store.Record, found bool, err error) {
	if raw == nil {
		return out, false, nil
	}
	r, err := parseRecord(raw)
	if err != nil || !r.liveAt(now) {
		return out, false, err
	}
	out, err = r.record(key, bare)
	return out, err == nil, err
}

// List reads a page of records; see store.Store.
func (s *Store) List(ctx context.Context, q store.Query) (out []store.Record, err error) {
	if q, err = q.Filled(); err != nil {
		return nil, err
	}
	base, index := appendKind(nil, q.Kind), recordsBucket
	if q.Term != "" {
		base, index = appendTermPrefix(nil, q.Kind, q.Term), termsBucket
	}
	now := time.Now().UnixNano()
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		records := tx.Bucket(recordsBucket)
		scan := newScan(tx.Bucket(index).Cursor(), base, q)
		for n := 1; len(out) < q.Limit; n++ {
			if n%checkEvery == 0 && ctx.Err() != nil {
				return store.Ended(ctx)
			}
			id, raw, ok := scan.next()
			if !ok {
				return nil
			}
			key := store.Key{Kind: q.Kind, ID: string(id)}
			if q.Term != "" {
				raw = records.Get(appendRecordKey(nil, key))
			}
			r, found, err := liveRecord(raw, key, now, q.Bare)
			if err != nil {
				return err
			}
			if found {
				out = append(out, r)
			}
		}
		return nil
	})
	return out, err
}

// scan iterates over the keys base+ID of a query, in its direction.
type scan struct {
	cursor  *bbolt.Cursor
	base    int    // length of the base
	low     []byte // first key
	high    []byte // first key after the range; nil: the end of the bucket
	reverse bool
	started bool
}

func newScan(c *bbolt.Cursor, base []byte, q store.Query) *scan {
	w := &scan{cursor: c, base: len(base), reverse: q.Reverse}
	w.low = append(bytes.Clone(base), q.Prefix...)
	w.high = store.PrefixEnd(w.low)
	if q.After == "" {
		return w
	}
	after := append(bytes.Clone(base), q.After...)
	if q.Reverse {
		if w.high == nil || bytes.Compare(after, w.high) < 0 {
			w.high = after
		}
	} else if after = append(after, 0); bytes.Compare(after, w.low) > 0 { // the least key after After
		w.low = after
	}
	return w
}

func (w *scan) next() (id, value []byte, ok bool) {
	var k, v []byte
	switch {
	case w.started && w.reverse:
		k, v = w.cursor.Prev()
	case w.started:
		k, v = w.cursor.Next()
	case !w.reverse:
		k, v = w.cursor.Seek(w.low)
	case w.high == nil:
		k, v = w.cursor.Last()
	default:
		if k, _ = w.cursor.Seek(w.high); k == nil {
			k, v = w.cursor.Last()
		} else {
			k, v = w.cursor.Prev()
		}
	}
	w.started = true
	if k == nil || bytes.Compare(k, w.low) < 0 || w.high != nil && bytes.Compare(k, w.high) >= 0 {
		return nil, nil, false
	}
	return k[w.base:], v, true
}

// Log reads entries of a key's log; see store.Store.
func (s *Store) Log(ctx context.Context, key store.Key, after int64, limit int) (out []store.Entry, err error) {
	if err := key.Valid(); err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = store.DefaultEntries
	}
	after = max(after, 0)
	prefix := appendLogPrefix(nil, key)
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		c := tx.Bucket(logsBucket).Cursor()
		n := 0
		for k, chunk := c.Seek(appendSeq(bytes.Clone(prefix), after+1)); bytes.HasPrefix(k, prefix); k, chunk = c.Next() {
			if len(k) != len(prefix)+8 {
				return errDamaged
			}
			if n++; n%checkEvery == 0 && ctx.Err() != nil {
				return store.Ended(ctx)
			}
			out, err = appendEntries(out, chunk, int64(binary.BigEndian.Uint64(k[len(prefix):])), after, limit)
			if err != nil || len(out) >= limit {
				return err
			}
		}
		return nil
	})
	return out, err
}

// appendEntries appends the entries of a chunk with numbers above after, until out has limit; last is the number of the
// chunk's last entry.
func appendEntries(out []store.Entry, chunk []byte, last, after int64, limit int) ([]store.Entry, error) {
	var parts [][]byte
	var few [16][]byte
	parts = few[:0]
	for len(chunk) > 0 {
		size, n := binary.Uvarint(chunk)
		if n <= 0 || size > uint64(len(chunk)-n) {
			return nil, errDamaged
		}
		parts = append(parts, chunk[n:n+int(size)])
		chunk = chunk[n+int(size):]
	}
	for i, part := range parts {
		seq := last - int64(len(parts)) + 1 + int64(i)
		if seq > after && len(out) < limit {
			out = append(out, store.Entry{Seq: seq, Value: append([]byte(nil), part...)})
		}
	}
	return out, nil
}
