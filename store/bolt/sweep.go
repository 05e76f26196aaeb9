package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// sweepChunk is how many expired records one commit removes.
const sweepChunk = 1000

// runSweeper removes expired records, which reads already leave out, from the file, and releases the file's pages; it
// returns when stop closes.
func (s *Store) runSweeper(every time.Duration, stop <-chan struct{}) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		for s.anyExpired() && s.sweepOnce() {
		}
		_ = s.releasePages() // pages in use are mapped again on access; on an error the kernel reclaims pages when memory is short
	}
}

// anyExpired reports whether a record has expired, without a write transaction.
func (s *Store) anyExpired() (found bool) {
	err := s.read(func(tx *bbolt.Tx) error {
		k, _ := tx.Bucket(expiriesBucket.name).Cursor().First()
		found = len(k) > 8 && parseInstant(k) <= s.believed(s.clock.Now()).UnixNano()
		return nil
	})
	return err == nil && found
}

// sweepOnce has the committer remove up to sweepChunk records; false: there were none, or it failed and the next tick will
// try again.
func (s *Store) sweepOnce() bool {
	r := &request{sweep: true, done: make(chan struct{}, 1)}
	if s.commits.add(r) != nil {
		return false
	}
	<-r.done
	return r.err == nil && r.expired > 0
}

// sweep removes up to sweepChunk records that expired until then, and entries of the index that no record needs, and returns how many. What
// is damaged stays, and is passed to skipped.
func (w *writer) sweep(until int64, skipped func(error)) (removed int, err error) {
	var after []byte
	for removed < sweepChunk {
		expired := w.expired(after, until)
		if len(expired) == 0 {
			return removed, nil
		}
		for _, e := range expired {
			switch ok, err := w.sweepOne(e); {
			case errors.Is(err, errDamaged):
				skipped(err)
			case err != nil:
				return 0, err
			case ok:
				removed++
			}
		}
		after = expired[len(expired)-1].key
	}
	return removed, nil
}

// expiry is an entry of the index of expiries.
type expiry struct{ key, value []byte }

// expired returns copies of the next up to sweepChunk entries after a key that expired until then.
func (w *writer) expired(after []byte, until int64) (out []expiry) {
	c := w.bucket(expiriesBucket).Cursor()
	k, v := c.Seek(after)
	if after != nil && bytes.Equal(k, after) {
		k, v = c.Next()
	}
	for ; len(k) > 8 && parseInstant(k) <= until && len(out) < sweepChunk; k, v = c.Next() {
		out = append(out, expiry{bytes.Clone(k), bytes.Clone(v)})
	}
	return out
}

// sweepOne removes the record of an entry, if it expires at that time, with the entry.
func (w *writer) sweepOne(e expiry) (removed bool, err error) {
	rec := e.key[8:]
	key, ok := parseRecordKey(rec)
	if _, err := expiriesBucket.open(e.key, e.value, w.unsealed); err != nil || !ok {
		return false, fmt.Errorf("an entry of the index of expiries, of %s: %w", key, errDamaged)
	}
	if raw := w.bucket(recordsBucket).Get(rec); raw != nil {
		old, err := openRecord(rec, raw, w.unsealed)
		if err != nil {
			return false, fmt.Errorf("%s, which has expired: %w", key, err)
		}
		if old.expires == parseInstant(e.key) {
			return true, w.deleteRecord(keyOp{key, rec})
		}
	}
	return true, w.bucket(expiriesBucket).Delete(e.key)
}
