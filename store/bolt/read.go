package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

	"go.etcd.io/bbolt"

	"github.com/runplane/runplane/store"
)

// checkEvery is after how many entries a scan checks its context.
const checkEvery = 256

// view calls read with a read transaction, one consistent state of the file.
func (s *Store) view(ctx context.Context, read func(*bbolt.Tx) error) error {
	if ctx.Err() != nil {
		return store.Ended(ctx)
	}
	return s.read(read)
}

// read is view without a context. A panic becomes an error, and so does an access to a part of the map that the file has no more.
func (s *Store) read(read func(*bbolt.Tx) error) (err error) {
	if err := s.file.alive(); err != nil {
		return err
	}
	began := false
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			if err = s.recovered("read", p); !errors.As(err, new(*Fault)) {
				err = s.classify("read", fmt.Errorf("%w: %w", err, errDamaged))
			}
			if !began {
				unlockReaders(s.db)
			}
		}
	}()
	return s.classify("read", s.db.View(func(tx *bbolt.Tx) error {
		began = true
		return read(tx)
	}))
}

// recovered returns the error of a panic. bbolt panics with a text on a damaged page, and the system on one that is not there: then the
// file is broken. What remains is an entry that is damaged, or a defect of this package.
func (s *Store) recovered(doing string, p any) error {
	if err := errors.Join(s.file.inPlace(s.size.Load()), s.file.alive()); err != nil {
		return s.file.usable()
	}
	_, ours := p.(runtime.Error)
	if _, fault := p.(interface{ Addr() uintptr }); ours && !fault {
		return fmt.Errorf("%s: panic: %v", doing, p)
	}
	return s.file.breakWith(&Fault{Kind: Damaged, Path: s.file.path, Detail: fmt.Sprintf("a page cannot be used (%v)", p)})
}

// Get reads one record; see store.Store.
func (s *Store) Get(ctx context.Context, key store.Key) (out store.Record, err error) {
	if err := key.Valid(); err != nil {
		return out, err
	}
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		var found bool
		rec := appendRecordKey(nil, key)
		out, found, err = s.liveRecord(rec, tx.Bucket(recordsBucket.name).Get(rec), key, s.clock.Now().UnixNano(), false)
		if err == nil && !found {
			return fmt.Errorf("%q: %w", key, store.ErrNotFound)
		}
		return err
	})
	return out, err
}

// liveRecord decodes a copy of the record; not found: no bytes, or an expired record.
func (s *Store) liveRecord(rec, raw []byte, key store.Key, now int64, bare bool) (out store.Record, found bool, err error) {
	if raw == nil {
		return out, false, nil
	}
	r, err := openRecord(rec, raw, s.unsealed)
	if err == nil && !r.liveAt(now) {
		return out, false, nil
	}
	if err == nil {
		out, err = r.record(key, bare)
	}
	if err != nil {
		return out, false, fmt.Errorf("%s: %w", key, err)
	}
	return out, true, nil
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
	now := s.clock.Now().UnixNano()
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		records := tx.Bucket(recordsBucket.name)
		scan := newScan(tx.Bucket(index.name).Cursor(), base, q)
		for n := 1; len(out) < q.Limit; n++ {
			if n%checkEvery == 0 && ctx.Err() != nil {
				return store.Ended(ctx)
			}
			id, raw, ok := scan.next()
			if !ok {
				return nil
			}
			key := store.Key{Kind: q.Kind, ID: string(id)}
			rec := appendRecordKey(nil, key)
			if q.Term != "" {
				if _, err := termsBucket.open(append(bytes.Clone(base), id...), raw, s.unsealed); err != nil {
					return fmt.Errorf("the index of %s: %w", key, err)
				}
				if raw = records.Get(rec); raw == nil {
					return fmt.Errorf("%s, which the index names: %w", key, errDamaged)
				}
			}
			r, found, err := s.liveRecord(rec, raw, key, now, q.Bare)
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
		c := tx.Bucket(logsBucket.name).Cursor()
		n, last := 0, after
		for k, chunk := c.Seek(appendSeq(bytes.Clone(prefix), after+1)); bytes.HasPrefix(k, prefix); k, chunk = c.Next() {
			e, err := logsBucket.open(k, chunk, s.unsealed)
			if err == nil {
				err = logsBucket.checkBody(e)
			}
			if err != nil || len(k) != len(prefix)+8 {
				return fmt.Errorf("the log of %s: %w", key, errDamaged)
			}
			if n++; n%checkEvery == 0 && ctx.Err() != nil {
				return store.Ended(ctx)
			}
			end := int64(binary.BigEndian.Uint64(k[len(prefix):]))
			var first int64
			out, first, err = appendEntries(out, e.body, end, after, limit)
			if err != nil || first > last+1 {
				return fmt.Errorf("the log of %s after entry %d: %w", key, last, errDamaged)
			}
			if last = end; len(out) >= limit {
				return nil
			}
		}
		return nil
	})
	return out, err
}

// appendEntries appends the entries of a chunk with numbers above after, until out has limit; last is the number of the
// chunk's last entry, first that of its first one.
func appendEntries(out []store.Entry, chunk []byte, last, after int64, limit int) (all []store.Entry, first int64, err error) {
	var parts [][]byte
	var few [16][]byte
	parts = few[:0]
	for len(chunk) > 0 {
		size, n := binary.Uvarint(chunk)
		if n <= 0 || size > uint64(len(chunk)-n) {
			return nil, 0, errDamaged
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
	return out, last - int64(len(parts)) + 1, nil
}
